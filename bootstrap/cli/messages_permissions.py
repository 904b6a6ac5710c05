"""Messages of `pullkey permissions`."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.errors import UsageProblem
from bootstrap.model.text import did_you_mean


def no_such_role(form: str, provider: str, login: str, formats: Sequence[str]) -> UsageProblem:
    """`formats` are those of the provider's roles; without any, `login` says what it takes instead."""
    fix = (
        f"Pass --format {' or '.join(formats)}."
        if formats
        else f"{login} See: pullkey permissions {provider}"
    )
    return UsageProblem(f"--format {form} is not for {provider}", fix=fix)


def nothing_to_grant(commands: str, provider: str) -> UsageProblem:
    return UsageProblem(
        f"--for {commands}: {provider} has nothing to do for it, so it takes no permission",
        fix="Name other commands.",
    )


def unknown_command(word: str, commands: Sequence[str]) -> UsageProblem:
    near = did_you_mean(word, commands)
    return UsageProblem(
        f"--for: {word!r} is not one of {', '.join(commands)}", fix=near or "Separate several by commas."
    )
