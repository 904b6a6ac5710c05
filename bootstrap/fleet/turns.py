"""Many targets side by side: how many at once, who must go first, and how long each may take."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field

from bootstrap.fleet.registries import Entry
from bootstrap.waiting import Deadline

_END: ContextVar[float] = ContextVar("pullkey_end_of_turn")


class TurnDeadline(Deadline):
    """The deadline of whichever target is at work: what many share, as a connection, keeps to that of who uses it.

    Args:
        seconds: how long the turn of each target may take.
    """

    def begin(self) -> None:
        """A target's turn begins, in this task and in those that it starts."""
        _END.set(time.monotonic() + self.seconds)

    @property
    def left(self) -> float:
        return max(0.0, _END.get(self._end) - time.monotonic())


@dataclass(frozen=True)
class Bounds:
    """How much may go on at once.

    Args:
        cloud: targets of one provider.
        group: targets of one Google project, or one registry.
        akka: processes of the Akka CLI.
    """

    cloud: int = 16
    group: int = 4
    akka: int = 8


@dataclass
class _Lane:
    """One thing that several targets share and that the first of them may have to make."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    there: bool = False


class Turns:
    """Gives targets their turns.

    The first target of an identity goes alone, and so does the first of a registry for that identity: what it makes is
    there for those that come after. Were they to go side by side and one of them failed, its undoing could take away what
    another has found and relies on.
    """

    def __init__(self, bounds: Bounds, deadline: TurnDeadline) -> None:
        self._deadline = deadline
        self._clouds: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.cloud))
        self._groups: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.group))
        self._lanes: dict[str, _Lane] = defaultdict(_Lane)

    @contextlib.asynccontextmanager
    async def room(self, entry: Entry) -> AsyncIterator[None]:
        """A turn in which nothing is made."""
        async with self._groups[entry.group], self._clouds[entry.provider.name]:
            self._deadline.begin()
            yield

    @contextlib.asynccontextmanager
    async def making(self, entry: Entry) -> AsyncIterator[_Turn]:
        """A turn in which something may be made; whoever has it says in the end whether what others need is there."""
        turn = _Turn()
        async with contextlib.AsyncExitStack() as held:
            alone = []
            for name in (entry.target.who, f"registry {entry.target.identity}"):
                lane = self._lanes[name]
                if not lane.there:
                    await lane.lock.acquire()
                    if lane.there:
                        lane.lock.release()
                    else:
                        held.callback(lane.lock.release)
                        alone.append(lane)
            async with self.room(entry):
                yield turn
            for lane in alone:
                lane.there = turn.there

    @contextlib.asynccontextmanager
    async def removing(self, entry: Entry) -> AsyncIterator[None]:
        """A turn in which something is removed: one target of an identity at a time, so that the last takes it away."""
        async with self._lanes[f"removing {entry.target.who}"].lock, self.room(entry):
            yield


@dataclass
class _Turn:
    there: bool = False
