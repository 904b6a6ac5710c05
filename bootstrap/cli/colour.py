"""`--no-color`, which is valid before and after every command's name."""

from __future__ import annotations

import os
from typing import TypeVar

import click

C = TypeVar("C", bound=click.Command)
_NAME = "--no-color"


def with_no_color(command: C) -> C:
    """Add the option to a command and its subcommands."""
    if not any(_NAME in parameter.opts for parameter in command.params):
        command.params.append(
            click.Option(
                [_NAME],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_switch_off,
                help="Print no colours; the variable NO_COLOR does the same.",
            )
        )
    for one in getattr(command, "commands", {}).values():
        with_no_color(one)
    return command


def switch_off_if_typed(arguments: list[str]) -> None:
    """Apply the option where the arguments could not be parsed."""
    typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if _NAME in typed:
        os.environ["NO_COLOR"] = "1"


def _switch_off(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        # `bootstrap.output.terminal.wants_colour` reads it, and so do child processes.
        os.environ["NO_COLOR"] = "1"
