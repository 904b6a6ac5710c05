"""A tick each second for what shows progress, so that it can say how long something takes while nothing
else happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from bootstrap.output.terminal import say

_SECONDS = 1.0
_LONG_SECONDS = 10.0
"""Longer than a look takes where all is there, also on a busy machine."""


class Ticked(Protocol):
    """What shows progress."""

    def tick(self) -> None:
        """A second or so has passed."""


@contextlib.contextmanager
def ticking(shown: Ticked, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> Iterator[None]:
    """While this is open, `shown` gets its ticks from the running event loop."""

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
def saying_that_it_looks(seconds: float = _LONG_SECONDS) -> Iterator[None]:
    """While this is open, a terminal shows after some seconds why a look takes so long. For what shows no
    progress itself.
    """

    async def say_it() -> None:
        await asyncio.sleep(seconds)
        say("Still looking. What is not shown is asked for again before it counts as missing.", sys.stderr)

    task = asyncio.get_running_loop().create_task(say_it()) if sys.stderr.isatty() else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
