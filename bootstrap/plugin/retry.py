"""Retry calls while a cloud catches up, within the run's deadline, and show the reason for each wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

from bootstrap.model import clock
from bootstrap.model.deadline import Deadline, Tell
from bootstrap.plugin.observe import read_until_shown

# Disable stamina's hooks, which would log the error.
set_on_retry_hooks([])


T = TypeVar("T")


_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0
_SHORTEST_TRY_SECONDS = 0.1
_SHORTEST_PAUSE_SECONDS = 0.001  # the clock may not advance in less
_LEAST_PAUSE_SECONDS = 0.5  # "Retry-After: 0" must not become a busy loop


async def read_twice(ask: Callable[[], Awaitable[T | None]]) -> T | None:
    """Read twice before accepting that an expected object is absent: replicas lag (see `observe`).

    Args:
        ask: reads from the cloud each time, without a cache.
    """
    return await read_until_shown(ask)


@dataclass(frozen=True)
class Delay:
    """Why a failed call should be retried.

    Args:
        reason: one line to show to the user.
        at_most: the seconds, from its first occurrence, for which this reason can explain a failure; after
            that the failure is a refusal. None: until the run's deadline.
        after: the seconds to wait that the service has requested (Retry-After, RetryInfo). If there is less
            time than that, the call fails at once.
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
    """Repeat a call until it succeeds, as long as each failure is a delay and not a refusal.

    Args:
        call: everything to repeat, reads included: a policy must be read again before each write.
        why: the delay that explains an error ("Google does not know the account yet"); None for a refusal. A
            plain text is a delay without a bound of its own.
        deadline: when to give up and raise the last error.
        tell: shows each new reason once.

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
        # Do not start another try that would miss the deadline if it takes as long as this one.
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
        timeout=None,  # `is_delay` decides on each pause, and when to stop
    ):
        began = clock.monotonic()
        with attempt:
            return await call()
    raise AssertionError("stamina either returns or raises")


def _backoff(tries: int) -> float:
    """Exponential backoff with jitter, in seconds."""
    doublings = min(tries - 1, 10)  # enough to reach the longest pause
    return min(_FIRST_PAUSE_SECONDS * 2.0**doublings, _LONGEST_PAUSE_SECONDS) + clock.jitter(0.5)
