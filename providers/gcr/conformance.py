"""How the conformance suite onboards a registry of the emulator."""

from __future__ import annotations

import datetime as dt

from bootstrap.plugin.conformance import ConformanceCase

# The suite's runs have half a minute, and a run counts as ended ten minutes after its deadline (`mark.py`).
_ENDED = dt.timedelta(minutes=15)

CASES = (
    ConformanceCase("gcr", disables_key=True),
    ConformanceCase(
        "gcr-upload", ("--key-source", "upload"), disables_key=True, lost_keys_deleted_after=_ENDED
    ),
    ConformanceCase("gcr-auto", ("--key-source", "auto"), disables_key=True, lost_keys_deleted_after=_ENDED),
)
