"""The clock by which pullkey measures every deadline, age and pause.

Tests and the simulation replace it (`use`) with one on which minutes pass instantly. The emulators do not
use it: a cloud has its own clock.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time as _time
from collections.abc import Iterator


class Clock:
    """The machine's clock and random source. A replacement overrides the methods that it controls."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never decreasing: for deadlines and durations."""
        return _time.monotonic()

    def time(self) -> float:
        """Seconds since the Unix epoch, as in tokens and headers."""
        return _time.time()

    def now(self) -> dt.datetime:
        """Date and time in UTC: for ages, expiries and records."""
        return dt.datetime.now(dt.UTC)

    def jitter(self, most: float) -> float:
        """A random number of seconds up to `most`, so that concurrent retries do not coincide."""
        return random.uniform(0, most)  # noqa: S311  - it spreads retries; no secret depends on it


_clock = Clock()


def monotonic() -> float:
    """See `Clock.monotonic`."""
    return _clock.monotonic()


def time() -> float:
    """See `Clock.time`."""
    return _clock.time()


def now() -> dt.datetime:
    """See `Clock.now`."""
    return _clock.now()


def jitter(most: float) -> float:
    """See `Clock.jitter`."""
    return _clock.jitter(most)


@contextlib.contextmanager
def use(clock: Clock) -> Iterator[None]:
    """Use another clock in the whole process while the context is open."""
    global _clock  # noqa: PLW0603  - a process has one clock; threads and tasks must not differ
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before
