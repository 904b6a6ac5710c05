"""How many calls a run makes, and how many of them wait one for another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

_SAME = 0.005
"""The log's times are in milliseconds."""


def chain(spans: Iterable[tuple[float, float]]) -> int:
    """The most calls that can be picked of which none overlaps another: the length of the run in calls.

    Args:
        spans: when each call began and ended, in seconds. Where each takes long, nothing else tells in it.

    >>> chain([(0, 1), (0, 1), (1, 2)])
    2
    """
    length, free_from = 0, float("-inf")
    for end, begin in sorted((end, begin) for begin, end in spans):
        if begin >= free_from - _SAME:
            length, free_from = length + 1, end
    return length


def span(time: str, ms: float) -> tuple[float, float]:
    """Of one line of the sandbox's log: its `time` is when the call began."""
    begin = dt.datetime.fromisoformat(time).timestamp()
    return begin, begin + ms / 1000
