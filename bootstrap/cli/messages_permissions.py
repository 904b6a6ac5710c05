"""Messages of `pullkey permissions`."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.errors import UsageProblem
from bootstrap.model.text import did_you_mean


def no_such_role(form: str, provider: str, login: str) -> UsageProblem:
    return UsageProblem(
        f"--format {form} is not for {provider}",
        fix=f"{login} See: pullkey permissions {provider}",
    )


def unknown_command(word: str, commands: Sequence[str]) -> UsageProblem:
    near = did_you_mean(word, commands)
    return UsageProblem(
        f"--for: {word!r} is not one of {', '.join(commands)}", fix=near or "Separate several by commas."
    )
