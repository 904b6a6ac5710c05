"""What time it is: every deadline, every age and every pause of pullkey is measured by this clock.

Tests and the simulation put another in its place (`use`), on which minutes pass in no time. The local
emulators do not ask it: a cloud has a clock of its own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time as _time
from collections.abc import Iterator


class Clock:
    """The clock of the machine, and its chance. A substitute overrides what it sets itself."""

    def monotonic(self) -> float:
        """Seconds since some moment; it never goes back. For deadlines and durations."""
        return _time.monotonic()

    def time(self) -> float:
        """Seconds since the Unix epoch, as tokens and headers state them."""
        return _time.time()

    def now(self) -> dt.datetime:
        """The date, in UTC. For ages, expiries and records."""
        return dt.datetime.now(dt.UTC)

    def jitter(self, most: float) -> float:
        """A random number of seconds up to `most`, so that not all who wait come back at once."""
        return random.uniform(0, most)  # noqa: S311  - it spreads retries; no secret depends on it


_clock = Clock()


def monotonic() -> float:
    """As `Clock.monotonic`."""
    return _clock.monotonic()


def time() -> float:
    """As `Clock.time`."""
    return _clock.time()


def now() -> dt.datetime:
    """As `Clock.now`."""
    return _clock.now()


def jitter(most: float) -> float:
    """As `Clock.jitter`."""
    return _clock.jitter(most)


@contextlib.contextmanager
def use(clock: Clock) -> Iterator[None]:
    """Measure by another clock, in the whole process, until this is left."""
    global _clock  # noqa: PLW0603  - a process has one clock; threads and tasks must not differ
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before
