"""What was observed of a thing in a cloud: it is present, absent, or that is unknown.

Presence is believed early, absence late: clouds read from many servers, of which some lag, so that one "not
found" (or one list without it) is no proof. One read that shows the thing is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from bootstrap.model.deadline import Deadline

T = TypeVar("T")

# Between two reads. A second read is enough where nothing contradicts the first.
_PAUSES = (2.0,)
# Recorded of Google: reads of one thing alternated between 200 and 404 for seconds.
_PAUSES_IF_CONTRADICTED = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Present(Generic[T]):
    """It was shown."""

    value: T


@dataclass(frozen=True)
class Absent:
    """It was not shown, each time it was asked for."""


@dataclass(frozen=True)
class Unknown:
    """It was not shown, which is not enough to conclude that it is absent."""

    why: str


Observation = Present[T] | Absent | Unknown


async def confirm_absent(
    read: Callable[[], Awaitable[T | None]], *, contradicted_by: str = "", deadline: Deadline | None = None
) -> Observation[T]:
    """Read until the thing is shown, or until enough reads in a row did not show it.

    Args:
        read: asks the cloud anew each time (no cache); None if the thing is not shown. What it raises is
            passed on.
        contradicted_by: what speaks against its absence, as a clause: "Akka's record names it", "the creation
            was answered with ALREADY_EXISTS". It is then looked for four times within seven seconds.
        deadline: by when the reads must have ended; if that is too early to be sure, the answer is Unknown.
    """
    found = await read()
    for pause in _PAUSES_IF_CONTRADICTED if contradicted_by else _PAUSES:
        if found is not None:
            break
        if deadline is not None and deadline.left <= pause:
            return Unknown(contradicted_by or "it was not shown, and there was no time to look again")
        await asyncio.sleep(pause)
        found = await read()
    return Absent() if found is None else Present(found)
