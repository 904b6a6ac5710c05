"""The options that the commands share, and their conversion to click's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bootstrap.cli import messages
from bootstrap.cli.types import DurationType
from bootstrap.model.option import Option
from bootstrap.model.typed_logins import ADDRESSES, refuse_login, refuse_login_in

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope

F = TypeVar("F", bound=Callable[..., Any])

TIMEOUT = Option(
    "--timeout",
    "How long to wait for the clouds in all; undoing may take a minute more.",
    kind="duration",
    default="10m",
    metavar="TIME",
)
OUTPUT = Option(
    "--output", "Text for people, or one JSON object on stdout.", choices=("text", "json"), default="text"
)
VERBOSE = Option("--verbose", "Show each call of an API (never a secret).", kind="switch")
CREDENTIAL_STDIN = Option(
    "--credential-stdin", "Read the credential's password from stdin and pull with it too.", kind="secret"
)
IMAGE = Option(
    "--image",
    "An image of the registry, to find the credential by or to verify the pull with.",
    metavar="IMAGE",
)
EXPIRES_WITHIN = Option(
    "--expires-within",
    "Report a key that expires within this time; default: 14 days, or a third of a shorter life.",
    kind="duration",
    metavar="TIME",
)
ALL_PROJECTS = Option("--all-projects", "All Akka projects that the login sees.", kind="switch")
YES = Option("--yes", "Do not prompt before the first change.", kind="switch")


# Longer than any valid name, host, image or path; a list of repositories may be longer.
_LONGEST, _LONGEST_LIST = 2_000, 65_536


_MAY_BE_EMPTY = "image"  # `--image ""` leaves out the image that a variable names


class CheckedOption(click.Option):
    """Checks the value of a variable for logins before click does, whose errors quote it; and refuses a typed
    value that is empty, as from an unset variable of a script: `--audit ""` would be no audit trail.
    """

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, click.core.ParameterSource]:
        value, source = super().consume_value(ctx, opts)
        typed = source is click.core.ParameterSource.COMMANDLINE and not ctx.resilient_parsing
        if typed and self.name != _MAY_BE_EMPTY and "" in (value if self.multiple else (value,)):
            raise messages.empty_value(self.opts[0])
        return value, source

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        value = super().resolve_envvar_value(ctx)
        if value is not None:
            refuse_login_in(value, f"The variable for {self.opts[0]}")
        return value


_OFFERED = {
    "akka_project": "projects",
    "service": "services",
    "secret_name": "credentials",
    "image": "registries",
    "registry": "registries",
    "server": "registries",
}
"""The completion of option values: functions of `bootstrap.cli.candidates`."""


def offers(kind: str) -> Callable[[click.Context, click.Parameter, str], Any]:
    """A value for a parameter's `shell_complete`; its module is imported only for completion."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Any:
        from bootstrap.cli import candidates

        return getattr(candidates, kind)(ctx, parameter, incomplete)

    return complete


def click_option(option: Option, provider: str = "") -> click.Option:
    """An option for click. `PULLKEY_<PROVIDER>_<OPTION>` and then `PULLKEY_<OPTION>` set it too."""
    names = option.variables(provider)
    help_text = option.help + (f"  [default: {option.default}]" if option.default else "")
    if option.kind in {"switch", "secret"}:
        # The switch of a secret says that it is on stdin, which a variable cannot set.
        return CheckedOption(
            [option.name], is_flag=True, envvar=names if option.kind == "switch" else None, help=help_text
        )
    kind: click.ParamType[Any] = click.STRING
    if option.kind == "duration":
        kind = DurationType()
    elif option.choices:
        kind = click.Choice(option.choices)
    return CheckedOption(
        [option.name],
        type=kind,
        default=option.default,
        envvar=names,
        help=help_text,
        metavar=option.metavar,
        shell_complete=offers(_OFFERED[option.key]) if option.key in _OFFERED else None,
    )


def with_options(*options: Option) -> Callable[[F], F]:
    """A decorator that gives a function the options, in this order in its help."""

    def decorate(function: F) -> F:
        # What `click.option` does, with the parameters of `click_option`.
        parameters = [click_option(option) for option in reversed(options)]
        function.__click_params__ = [*getattr(function, "__click_params__", []), *parameters]  # type: ignore[attr-defined]
        return function

    return decorate


def clean(key: str, value: Any) -> Any:
    """Check a typed value: printable, not too long, without a login, and not another option.

    Raises:
        UsageProblem: it is not valid.
    """
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str):
            option = key.upper() if key == "names" else f"--{key.replace('_', '-')}"
            if key in ADDRESSES or (key in ("name", "names") and "@" in text and ":" in text):
                refuse_login(text, option)
            if key not in ("file", "saved"):  # which no variable sets
                refuse_login_in(text, option)
            longest = _LONGEST_LIST if key == "repository" else _LONGEST
            if len(text) > longest:
                raise messages.too_long(option, len(text), longest)
            if not text.isprintable():
                raise messages.not_printable(option, text)
            if text.startswith("-") and not (key == "audit" and text == "-"):
                raise messages.begins_with_dash(option, text)
    return value


def scope_of(values: Mapping[str, Any]) -> AkkaScope:
    from bootstrap.akka.scope import AkkaScope

    return AkkaScope(
        values["akka_project"] or "",
        values["akka_owner"] or "",
        values["akka_region"] or "",
        values["akka_context"] or "",
    )


@dataclass
class InnerCommand:
    """The current command, where it is one of several that the typed command runs.

    Attributes:
        arguments: of `pullkey`; none if the typed command runs no other.
        interrupted: whether a signal, or Ctrl-D at a question, came while it ran. It may be done
            nevertheless.
        document: its JSON document, which is part of the typed command's.
    """

    arguments: Sequence[str] = ()
    interrupted: bool = False
    document: Mapping[str, Any] | None = None


inner_command = InnerCommand()
prompted_options: list[str] = []
"""The options whose values were prompted for, quoted for a shell."""


def is_typed(key: str) -> bool:
    """Whether an option was given on the command line. What a variable sets may be for other commands, so it
    contradicts nothing.
    """
    source = click.get_current_context().get_parameter_source(key)
    return source is click.core.ParameterSource.COMMANDLINE


def command_as_typed() -> str:
    """The command as typed, with the prompted values, for the user to type again."""
    import shlex
    import sys

    return " ".join([shlex.join(["pullkey", *(inner_command.arguments or sys.argv[1:])]), *prompted_options])


def onboarding_of(verification: str) -> str:
    """The `onboard` command of the target of a typed `verify`.

    >>> onboarding_of("pullkey verify acr --registry acmeshop --output json")
    'pullkey onboard acr --registry acmeshop'
    """
    import shlex

    words = shlex.split(verification.replace(" verify ", " onboard ", 1))
    kept = []
    for number, word in enumerate(words):
        value_of = words[number - 1] if number else ""
        own = word.partition("=")[0] in ("--output", "--credential-stdin", "--verbose")
        if not own and value_of != "--output":
            kept.append(word)
    return shlex.join(kept)
