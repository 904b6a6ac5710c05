"""How the conformance suite onboards a registry of the emulator."""

from __future__ import annotations

from bootstrap.plugin.conformance import ConformanceCase

CASES = (
    ConformanceCase("acr"),
    ConformanceCase("acr-token", ("--auth-kind", "token")),
)
