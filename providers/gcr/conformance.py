"""How the conformance suite onboards a registry of the emulator."""

from __future__ import annotations

from bootstrap.plugin.conformance import ConformanceCase

CASES = (
    ConformanceCase("gcr", disables_key=True),
    ConformanceCase("gcr-upload", ("--key-source", "upload"), disables_key=True),
)
