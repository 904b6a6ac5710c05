"""Observe whether an object exists in a cloud: present, absent or unknown.

Clouds read from many replicas, some of which lag. One read that shows the object is enough to call it
present; one "not found" is not enough to call it absent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from bootstrap.model.deadline import Deadline

T = TypeVar("T")

# Seconds before each further read. One is enough if nothing contradicts the absence.
_PAUSES = (2.0,)
# Recorded at Google: reads of one object alternated between 200 and 404 for seconds.
_PAUSES_IF_CONTRADICTED = (1.0, 2.0, 4.0)
_PAUSES_UNTIL_AGREED = (4.0, 4.0)


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


@dataclass(frozen=True)
class Unlisted(Generic[T]):
    """Those of several things that no list named.

    Attributes:
        things: in the order in which they were asked for.
        certain: whether there was time for as many lists as confirm an absence.
    """

    things: list[T]
    certain: bool


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
    found: T | None = None

    async def is_shown() -> bool:
        nonlocal found
        found = await read()
        return found is not None

    enough = await _repeat(is_shown, contradicted_by, deadline)
    if found is not None:
        return Present(found)
    if enough:
        return Absent()
    return Unknown(contradicted_by or "it was not shown, and there was no time to look again")


async def read_until_shown(
    read: Callable[[], Awaitable[T | None]], *, contradicted_by: str = "", deadline: Deadline | None = None
) -> T | None:
    """The object; None if none of the reads of `confirm_absent` showed it."""
    seen = await confirm_absent(read, contradicted_by=contradicted_by, deadline=deadline)
    return seen.value if isinstance(seen, Present) else None


async def confirm_unlisted(
    things: Collection[T],
    named: Callable[[], Awaitable[Collection[T]]],
    *,
    contradicted_by: str = "",
    deadline: Deadline | None = None,
) -> Unlisted[T]:
    """Read a list until it has named all of the things, or until enough lists agree on those that none names.

    Each list may lag or pass something over, so what any of them names counts as named.

    Args:
        things: to look for.
        named: reads the list from its source each time, without a cache. Its errors are passed on.
        contradicted_by: evidence that the list should name them; there are then four lists.
        deadline: when the reads must end.
    """
    rest = list(things)

    async def all_named() -> bool:
        nonlocal rest
        if rest:
            now = await named()
            rest = [one for one in rest if one not in now]
        return not rest

    enough = await _repeat(all_named, contradicted_by, deadline)
    return Unlisted(rest, certain=enough)


async def read_settled(read: Callable[[], Awaitable[T]]) -> T:
    """What is shown once a change that was under way is shown everywhere.

    If a change may or may not have been made, one read shows neither: a lagging replica shows the object
    after it was removed, and a list may omit it before. There are four reads within seven seconds, and up to
    two more until two in a row agree.

    Args:
        read: reads from the cloud each time, without a cache. Its errors are passed on.
    """
    shown = await read()
    for pause in (*_PAUSES_IF_CONTRADICTED, *_PAUSES_UNTIL_AGREED):
        await asyncio.sleep(pause)
        before, shown = shown, await read()
        if shown == before and pause >= _PAUSES_IF_CONTRADICTED[-1]:
            break
    return shown


async def _repeat(
    settled: Callable[[], Awaitable[bool]], contradicted_by: str, deadline: Deadline | None
) -> bool:
    """Read until `settled` returns True, or often enough to confirm an absence. Return False if time ran
    out.
    """
    if await settled():
        return True
    for pause in _PAUSES_IF_CONTRADICTED if contradicted_by else _PAUSES:
        if deadline is not None and deadline.left <= pause:
            return False
        await asyncio.sleep(pause)
        if await settled():
            return True
    return True
