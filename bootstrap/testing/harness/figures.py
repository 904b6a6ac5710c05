"""What the tests of this process have counted, for docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bootstrap.testing.harness.leak_scan import Figures

FIGURES = Figures()
"""What all the leak scans of this process have come to."""
COUNTS: Counter[str] = Counter()
"""What else tests have counted, for docs/reliability.md: by `FIGURE: WHAT`."""


def count(figure: str, found: Mapping[str, int]) -> None:
    """Add to what the tests have counted of one figure; before they judge it, so that what is wrong counts
    too.
    """
    COUNTS.update({f"{figure}: {what}": number for what, number in found.items()})
