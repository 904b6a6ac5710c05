"""Waiting out a cloud's own delays: one deadline a run, and always saying what is waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

from bootstrap.model import clock
from bootstrap.model.deadline import Deadline, Tell
from bootstrap.plugin.observe import Present, confirm_absent

# What is waited for is told in words of our own; stamina's own hooks would log the error itself.
set_on_retry_hooks([])


T = TypeVar("T")


_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0


_SHORTEST_TRY_SECONDS = 0.1


_SHORTEST_PAUSE_SECONDS = 0.001  # less is no time: a clock may not move in it


_LEAST_PAUSE_SECONDS = 0.5  # a "Retry-After: 0" must not become a loop without a pause


async def read_twice(ask: Callable[[], Awaitable[T | None]]) -> T | None:
    """Ask for what is expected to be there: that there is none is believed the second time (see `observe`).

    Args:
        ask: asks for it anew each time.
    """
    seen = await confirm_absent(ask)
    return seen.value if isinstance(seen, Present) else None


@dataclass(frozen=True)
class Delay:
    """Why a call is worth making again.

    Args:
        reason: one line for the person who waits.
        at_most: how many seconds this reason can explain a failure, counted from the first time; after that
            it is a refusal. None: for as long as the run has time.
        after: how many seconds the service asks to be left alone (Retry-After, RetryInfo). A wait that would
            take longer than there is time is not begun.
    """

    reason: str
    at_most: float | None = None
    after: float | None = None


async def retry_while(
    call: Callable[[], Awaitable[T]],
    *,
    why: Callable[[Exception], Delay | str | None],
    deadline: Deadline,
    tell: Tell,
) -> T:
    """Call until it succeeds, as long as its failure is a delay and not a refusal.

    Args:
        call: the whole of what must be done again, reads included: a policy must be read anew before each
            write.
        why: says what delay an error is ("Google does not know the account yet"), or None for one that will
            not pass; a text alone has no bound but the deadline.
        deadline: when to give up; the last error is then raised.
        tell: told once for each new reason.

    Raises:
        Exception: the error that `why` did not recognise, or the last one at the deadline.
    """
    begun: dict[str, float] = {}
    tries, began = 0, clock.monotonic()

    def is_delay(error: Exception) -> bool | float:
        nonlocal tries
        tries += 1
        found = why(error)
        if found is None:
            return False
        delay = found if isinstance(found, Delay) else Delay(found)
        first = delay.reason not in begun
        since = clock.monotonic() - begun.setdefault(delay.reason, clock.monotonic())
        left = deadline.left if delay.at_most is None else min(deadline.left, delay.at_most - since)
        # No further try is begun that, if it takes as long as this one, cannot end in time.
        left -= max(clock.monotonic() - began, _SHORTEST_TRY_SECONDS)
        if left < _SHORTEST_PAUSE_SECONDS or (delay.after is not None and delay.after >= left):
            return False
        if first:
            tell(delay.reason)
        if delay.after is not None:
            return max(delay.after, _LEAST_PAUSE_SECONDS)
        return min(_backoff(tries), left)

    async for attempt in stamina.retry_context(
        on=is_delay,
        attempts=None,
        timeout=None,  # `is_delay` says how long each pause is, and when to stop
    ):
        began = clock.monotonic()
        with attempt:
            return await call()
    raise AssertionError("stamina either returns or raises")


def _backoff(tries: int) -> float:
    """Twice as long each time, and not the same for all who wait."""
    doublings = min(tries - 1, 10)  # by then it is the longest pause
    return min(_FIRST_PAUSE_SECONDS * 2.0**doublings, _LONGEST_PAUSE_SECONDS) + clock.jitter(0.5)
