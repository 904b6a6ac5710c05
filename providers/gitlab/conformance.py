"""How the conformance suite onboards a registry of the emulator."""

from __future__ import annotations

from bootstrap.plugin.conformance import ConformanceCase

_LOGIN = "glpat-sandbox-maintainer"
_OWNERS = "glpat-sandbox-owner"
CASES = (
    ConformanceCase("gitlab", ("--login-stdin",), stdin=_LOGIN, later_stdin=_LOGIN),
    ConformanceCase("gitlab-group", ("--group", "acme", "--login-stdin"), stdin=_OWNERS, later_stdin=_OWNERS),
)
