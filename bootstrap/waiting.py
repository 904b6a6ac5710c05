"""Waiting out a cloud's own delays: one deadline a run, and always saying what is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

# What is waited for is told in words of our own; stamina's own hooks would log the error itself.
set_on_retry_hooks([])

T = TypeVar("T")
_AFTER_SECONDS = 5.0
_AGAIN_SECONDS = 2.0


async def surely(ask: Callable[[], Awaitable[T | None]]) -> T | None:
    """Ask for what is expected to be there: that there is none is believed the second time.

    Clouds read from many servers, of which some lag; what is passed over because of one of them is left behind.

    Args:
        ask: asks for it anew each time.
    """
    found = await ask()
    if found is None:
        await asyncio.sleep(_AGAIN_SECONDS)
        found = await ask()
    return found


class Deadline:
    """The moment by which a run must have ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left <= 0

    def within(self, seconds: float) -> float:
        """How long one call may take that is given `seconds` at most: no longer than is left of the run.

        What is called after that, to undo and to see what is left, has a little time of its own.
        """
        return min(seconds, max(self.left, _AFTER_SECONDS))


Tell = Callable[[str], None]
"""Takes one line for the person who waits."""


async def wait_out(
    call: Callable[[], Awaitable[T]],
    *,
    why: Callable[[Exception], str | None],
    deadline: Deadline,
    tell: Tell,
) -> T:
    """Call until it succeeds, as long as its failure is a delay and not a refusal.

    Args:
        call: the whole of what must be done again, reads included: a policy must be read anew before each write.
        why: says what delay an error is ("Google does not know the account yet"), or None for one that will not pass.
        deadline: when to give up; the last error is then raised.
        tell: told once for each new reason.

    Raises:
        Exception: the error that `why` did not recognise, or the last one at the deadline.
    """
    told: set[str] = set()

    def is_delay(error: Exception) -> bool:
        reason = why(error)
        if reason is not None and reason not in told:
            told.add(reason)
            tell(reason)
        return reason is not None

    async for attempt in stamina.retry_context(
        on=is_delay,
        attempts=None,
        timeout=max(deadline.left, 0.1),
        wait_initial=0.5,
        wait_max=10.0,
        wait_jitter=0.5,
    ):
        with attempt:
            return await call()
    raise AssertionError("stamina either returns or raises")
