"""Converts click's errors about a command line into `PullkeyError`s with a code."""

from __future__ import annotations

import click

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.text import without_logins


class UnknownCommand(click.UsageError):
    """The first word is not a command."""


_CODES: tuple[tuple[type[click.ClickException], Code], ...] = (
    (UnknownCommand, Code.UNKNOWN_COMMAND),
    (click.NoSuchOption, Code.UNKNOWN_OPTION),
    (click.MissingParameter, Code.MISSING_VALUE),
    (click.BadParameter, Code.BAD_VALUE),
)


def as_pullkey_error(error: PullkeyError | click.ClickException) -> PullkeyError:
    """A click error as a `PullkeyError` with the code of its kind; a `PullkeyError` is returned as is."""
    if isinstance(error, PullkeyError):
        return error
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.USAGE)
    context = getattr(error, "ctx", None)
    if context is None:
        return UsageProblem(_without_logins(error.format_message()), code=code)
    from bootstrap.cli.unknown_option import help_of, image_instead, meant_by

    # click puts the choices of a missing argument on lines of their own.
    what, meant = error.format_message().replace("\n\t", " "), ""
    if isinstance(error, click.NoSuchOption):
        # click suggests up to three similar names instead.
        what, meant = f"No such option {error.option_name!r}", meant_by(error.option_name, context)
    elif instead := image_instead(what, context):
        return UsageProblem(_without_logins(what), fix=instead, code=code)
    fix = " ".join(filter(None, (meant, f"See: {help_of(context)}")))
    return UsageProblem(_without_logins(what), fix=fix, code=code)


def _without_logins(text: str) -> str:
    """Remove logins from click's text, which quotes what was typed; a password may hold quotes itself."""
    words = without_logins(text).split(" ")
    return " ".join("(an address with a login)" if "@" in word.partition(":")[2] else word for word in words)
