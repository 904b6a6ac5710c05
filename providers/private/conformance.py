"""How the conformance suite onboards a registry of the emulator."""

from __future__ import annotations

from bootstrap.plugin.conformance import ConformanceCase

_PASSWORD = "pull-in-the-sandbox"  # noqa: S105  - that of the sandbox, which its documentation shows
CASES = (
    ConformanceCase(
        "private",
        ("--username", "ops", "--password-stdin"),
        stdin=_PASSWORD,
        later_stdin=_PASSWORD,
        creates_key=False,
    ),
)
