"""Counters of this test process, for docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bootstrap.testing.harness.leak_scan import Figures

FIGURES = Figures()
"""The total of all leak scans of this process."""
COUNTS: Counter[str] = Counter()
"""Other counters for docs/reliability.md, by `FIGURE: WHAT`."""


def count(figure: str, found: Mapping[str, int]) -> None:
    """Add to the counters of one figure. Call it before asserting, so that failures count too."""
    COUNTS.update({f"{figure}: {what}": number for what, number in found.items()})
