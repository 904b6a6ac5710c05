"""The options that the commands share, as click knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bootstrap.cli.types import DurationType
from bootstrap.errors import UsageProblem
from bootstrap.provider import Option

if TYPE_CHECKING:
    from bootstrap.akka import AkkaScope

F = TypeVar("F", bound=Callable[..., Any])

TIMEOUT = Option("--timeout", "How long to wait for the clouds in all; undoing may take a minute more.", kind="duration", default="10m", metavar="TIME")  # fmt: skip
OUTPUT = Option("--output", "Text for people, or one JSON object on stdout.", choices=("text", "json"), default="text")  # fmt: skip
VERBOSE = Option("--verbose", "Show each call of an API (never a secret).", kind="switch")
CREDENTIAL_STDIN = Option("--credential-stdin", "Read the credential's password from stdin and pull with it too.", kind="switch")  # fmt: skip
IMAGE = Option("--image", "An image of the registry: to find the credential by, or to prove the pull with.", metavar="IMAGE")  # fmt: skip
YES = Option("--yes", "Do not ask before the first change.", kind="switch")


# Longer than any name, host, image or path there is; of repositories many may be named.
_LONGEST, _LONGEST_LIST = 2_000, 65_536


def click_option(option: Option, provider: str = "") -> click.Option:
    """`PULLKEY_<OPTION>` sets it too, and `PULLKEY_<PROVIDER>_<OPTION>` before that."""
    names = option.variables(provider)
    help_text = option.help + (f"  [default: {option.default}]" if option.default else "")
    if option.kind in {"switch", "secret"}:
        # A secret's own switch says where it comes from, which is no setting.
        return click.Option([option.name], is_flag=True, envvar=names if option.kind == "switch" else None, help=help_text)  # fmt: skip
    kind: click.ParamType[Any] = click.STRING
    if option.kind == "duration":
        kind = DurationType()
    elif option.choices:
        kind = click.Choice(option.choices)
    return click.Option(
        [option.name],
        type=kind,
        default=option.default,
        envvar=names,
        help=help_text,
        metavar=option.metavar,
    )


def with_options(*options: Option) -> Callable[[F], F]:
    """A decorator that gives a function the options, in this order in its help."""

    def decorate(function: F) -> F:
        # What `click.option` does, with the parameters that are made here.
        parameters = [click_option(option) for option in reversed(options)]
        function.__click_params__ = [*getattr(function, "__click_params__", []), *parameters]  # type: ignore[attr-defined]
        return function

    return decorate


def clean(key: str, value: Any) -> Any:
    """What a person types is printable; anything else was pasted by mistake, or worse.

    Raises:
        UsageProblem: it is not, or it is another option.
    """
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str):
            option = key.upper() if key == "names" else f"--{key.replace('_', '-')}"
            longest = _LONGEST_LIST if key == "repository" else _LONGEST
            if len(text) > longest:
                raise UsageProblem(f"{option} is {len(text)} characters long, and takes {longest} at most")
            if not text.isprintable():
                raise UsageProblem(
                    f"{option} holds a character that cannot be printed: {text!r}", mend="Type it anew."
                )
            if text.startswith("-"):
                raise UsageProblem(f"{option}: {text!r} begins with a dash; was its value left out?")
    return value


def scope_of(values: Mapping[str, Any]) -> AkkaScope:
    from bootstrap.akka import AkkaScope

    return AkkaScope(
        values["akka_project"] or "",
        values["akka_owner"] or "",
        values["akka_region"] or "",
        values["akka_context"] or "",
    )


def retyped() -> str:
    """The command as it was typed, for a person to type again."""
    import shlex
    import sys

    return shlex.join(["pullkey", *sys.argv[1:]])
