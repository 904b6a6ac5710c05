"""An event loop whose time jumps to the next timer, and the clock that shows it."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from typing import Any

from bootstrap.model.clock import Clock

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""The date and time at which each simulation begins."""


class Stuck(Exception):
    """No task is ready and no timer is set: all tasks would wait forever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs ready tasks, then jumps to the next timer. It has no files, threads or signals."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._selector = self

    def time(self) -> float:
        return self._seconds

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Print nothing: the tasks of a killed process leave errors that are never retrieved."""

    # -- asyncio's interface of a selector -------------------------------------------------------------------

    def select(self, timeout: float | None) -> list[Any]:
        """Called where a real loop would sleep."""
        if timeout is None:
            raise Stuck
        if timeout > 0:
            self._seconds = self._scheduled[0].when()  # type: ignore[attr-defined]
        return []

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class VirtualClock(Clock):
    """The time of a `VirtualLoop`.

    Args:
        loop: the loop.
        chance: for the jitter of retries.
    """

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance

    def monotonic(self) -> float:
        return self._loop.time()

    def time(self) -> float:
        return self.now().timestamp()

    def now(self) -> dt.datetime:
        return BEGIN + dt.timedelta(seconds=self._loop.time())

    def jitter(self, most: float) -> float:
        return self._chance.uniform(0, most)
