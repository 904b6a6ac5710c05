"""How the conformance suite onboards a registry of the emulator."""

from __future__ import annotations

from bootstrap.plugin.conformance import ConformanceCase

_PASSWORD = "Sandbox-password-1"  # noqa: S105  - that of the sandbox, which its documentation shows
CASES = (
    ConformanceCase("harbor", ("--login-stdin",), stdin=_PASSWORD, later_stdin=_PASSWORD, disables_key=True),
)
