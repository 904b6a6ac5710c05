"""Observe whether an object exists in a cloud: present, absent or unknown.

Clouds read from many replicas, some of which lag. One read that shows the object is enough to call it
present; one "not found" is not enough to call it absent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from bootstrap.model.deadline import Deadline

T = TypeVar("T")

# Seconds before each further read. One is enough if nothing contradicts the absence.
_PAUSES = (2.0,)
# Recorded at Google: reads of one object alternated between 200 and 404 for seconds.
_PAUSES_IF_CONTRADICTED = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Present(Generic[T]):
    """A read showed the object."""

    value: T


@dataclass(frozen=True)
class Absent:
    """No read showed the object."""


@dataclass(frozen=True)
class Unknown:
    """The object was not shown, but there were not enough reads to call it absent."""

    why: str


Observation = Present[T] | Absent | Unknown


async def confirm_absent(
    read: Callable[[], Awaitable[T | None]], *, contradicted_by: str = "", deadline: Deadline | None = None
) -> Observation[T]:
    """Read until the object is shown, or until enough reads in a row did not show it.

    Args:
        read: reads from the cloud each time, without a cache; None if the object is not shown. Its errors are
            passed on.
        contradicted_by: evidence that the object exists, as a clause: "Akka's record names it", "the creation
            was answered with ALREADY_EXISTS". There are then four reads within seven seconds.
        deadline: when the reads must end; the result is Unknown if that is too early.
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
