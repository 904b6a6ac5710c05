"""Ticks once a second, so that a progress display can show elapsed time while nothing else happens."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from bootstrap.output.terminal import say

_SECONDS = 1.0
_LONG_SECONDS = 10.0
"""Longer than reading the state takes where everything exists, also on a busy machine."""


class ProgressDisplay(Protocol):
    """A progress display."""

    def tick(self) -> None:
        """A second or so has passed."""


@contextlib.contextmanager
def ticking(
    shown: ProgressDisplay, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> Iterator[None]:
    """Within this context, `shown` gets ticks from the running event loop."""

    async def tick() -> None:
        while True:
            await sleep(_SECONDS)
            shown.tick()

    task = asyncio.get_running_loop().create_task(tick())
    try:
        yield
    finally:
        task.cancel()


@contextlib.contextmanager
def explaining_slow_reads(seconds: float = _LONG_SECONDS) -> Iterator[None]:
    """Within this context, show on a terminal after `seconds` why reading takes so long."""

    async def say_it() -> None:
        await asyncio.sleep(seconds)
        say("Still looking. What is not shown is asked for again before it counts as missing.", sys.stderr)

    task = asyncio.get_running_loop().create_task(say_it()) if sys.stderr.isatty() else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
