"""Prompts at the terminal for required values that were not given, before a command starts."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.cli.choices import choose
from bootstrap.cli.options import clean, command_as_typed, prompted_options
from bootstrap.output.prompt import ask_line
from bootstrap.output.terminal import say, say_command
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing, Provider

_SECONDS = 20.0
_MOST = 30
_OTHER = "other"


def ask_missing(provider: Provider, values: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the values that the provider requires, as the user types or chooses them.

    Raises:
        Interrupted: Ctrl-C or Ctrl-D.
        UsageProblem: a typed value is not valid.
    """
    complete = dict(values)
    while (missing := provider.missing(complete)) is not None:
        key = missing.option.removeprefix("--").replace("-", "_")
        answer = ""
        while not answer:
            answer = _ask(missing)
        complete[key] = clean(key, answer)
        prompted_options.append(
            f"{missing.option}={answer}" if answer.startswith("-") else shlex.join([missing.option, answer])
        )
    return complete


def show_command() -> None:
    """Print the equivalent command without prompts, if there were any."""
    if prompted_options:
        say("To do the same without these questions:", sys.stderr)
        say_command(command_as_typed(), sys.stderr)


def _ask(missing: Missing) -> str:
    choices = _choices(missing)
    if not choices:
        return ask_line(missing.question, sys.stderr)
    answer = choose(f"{missing.question}:", [*choices, (_OTHER, "type it")])
    return ask_line(missing.question, sys.stderr) if answer == _OTHER else answer


def _choices(missing: Missing) -> Sequence[tuple[str, str]]:
    """The choices that the cloud lists; none if it cannot be read or has too many."""
    if missing.choices is None:
        return ()
    from bootstrap.cli.secrets import keep_to_ourselves
    from bootstrap.model import event_loop
    from bootstrap.model.deadline import Deadline

    list_them = missing.choices

    async def listed() -> Sequence[tuple[str, str]]:
        context = RunContext(Deadline(_SECONDS), lambda _: None, lambda _: None)
        try:
            async with asyncio.timeout(_SECONDS):
                return await list_them(context)
        finally:
            await context.shared.close()

    keep_to_ourselves()
    try:
        found = event_loop.run(listed())
    except Exception:  # noqa: BLE001  - an SDK can raise anything; then the value is typed
        return ()
    return found if len(found) <= _MOST else ()
