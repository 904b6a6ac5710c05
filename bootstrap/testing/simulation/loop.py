"""An event loop whose time jumps to the next timer, and the clock that shows it.

Where a real loop waits for files, threads and signals, this one has nothing to wait for. `call_soon` and
`_run_once` are asyncio's own without that: they are most of what a simulation does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import heapq
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from bootstrap.model.clock import Clock

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""The date and time at which each simulation begins."""


_RESOLUTION_SECONDS = 1e-9
"""Timers that are closer together than this are due together."""


class Stuck(Exception):
    """No task is ready and no timer is set: all tasks would wait forever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs ready tasks, then jumps to the next timer. It has no files, threads or signals, and no network."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0

    def time(self) -> float:
        return self._seconds

    def call_soon(  # type: ignore[override]  # the stub ties the arguments to the callback
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run the callback after those that are ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _run_once(self) -> None:
        """Run all callbacks that are ready; if there is none, let the time pass until there is one.

        Raises:
            Stuck: there is no timer either.
        """
        ready, timers = self._ready, self._scheduled
        while timers and timers[0].cancelled():
            heapq.heappop(timers)._scheduled = False  # type: ignore[attr-defined]
        if not ready:
            if not timers:
                raise Stuck
            self._seconds = max(self._seconds, timers[0].when())
        due = self._seconds + _RESOLUTION_SECONDS
        while timers and timers[0].when() < due:
            timer = heapq.heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Print nothing: the tasks of a killed process leave errors that are never retrieved."""


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
