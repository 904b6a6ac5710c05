"""Time in which minutes pass at once: for what waits and asks again."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from bootstrap.model import clock
from bootstrap.testing.simulation.loop import VirtualClock, VirtualLoop

Play = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine, and returns its result."""


@contextmanager
def virtual_time() -> Iterator[Play]:
    """A clock for all that is run by what this yields."""
    loop = VirtualLoop()
    try:
        with clock.use(VirtualClock(loop, random.Random(0))):
            yield loop.run_until_complete
    finally:
        loop.close()


def of(act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The result of a coroutine, on a clock of its own."""
    with virtual_time() as play:
        return play(act())
