"""Many targets side by side: how many at once, who must go first, and how long each may take."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from bootstrap.fleet.registries import Entry
from bootstrap.model import clock
from bootstrap.model.deadline import Deadline, Turn

_TURN: ContextVar[Turn] = ContextVar("pullkey_turn")
"""One object for all tasks of a turn, so that each sees it extended."""


class TurnDeadline(Deadline):
    """The deadline of whichever target is at work: what many share, as a connection, keeps to that of who
    uses it.

    Args:
        seconds: how long the turn of each target may take.
    """

    def begin(self) -> None:
        """A target's turn begins, in this task and in those that it starts."""
        _TURN.set(Turn(clock.monotonic() + self.seconds))

    def _now(self) -> Turn:
        return _TURN.get(self._turn)


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


@dataclass(frozen=True)
class Failure:
    """Why what several targets share could not be made.

    Args:
        step: which of the steps failed.
        what: what went wrong, and for which target.
        waited: whether the target's time was spent on it.
    """

    step: str
    what: str
    waited: bool


@dataclass
class _FirstGoesAlone:
    """One thing that several targets share and that the first of them may have to make."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    there: bool = False
    failure: Failure | None = None


class Scheduler:
    """Gives targets their turns.

    The first target of an identity goes alone, and so does the first of a registry for that identity: what it
    makes is there for those that come after. Were they to go side by side and one of them failed, its undoing
    could take away what another has found and relies on.
    """

    def __init__(self, bounds: Bounds, deadline: TurnDeadline) -> None:
        self._deadline = deadline
        self._clouds: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.cloud))
        self._groups: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.group))
        self._lanes: dict[str, _FirstGoesAlone] = defaultdict(_FirstGoesAlone)

    @property
    def seconds(self) -> float:
        """How long a turn may take."""
        return self._deadline.seconds

    @contextlib.asynccontextmanager
    async def room(self, entry: Entry) -> AsyncIterator[None]:
        """A turn in which nothing is made."""
        async with self._place(entry):
            self._deadline.begin()
            yield

    @contextlib.asynccontextmanager
    async def _place(self, entry: Entry) -> AsyncIterator[None]:
        async with self._groups[entry.group], self._clouds[entry.provider.name]:
            yield

    @contextlib.asynccontextmanager
    async def making(self, entry: Entry) -> AsyncIterator[_Turn]:
        """A turn in which something may be made; whoever has it says in the end whether what others need
        is there.
        """
        async with contextlib.AsyncExitStack() as held, contextlib.AsyncExitStack() as room:
            alone = held.enter_context(contextlib.ExitStack())
            lanes = []
            for name in (entry.target.shared_identity_key, f"registry {entry.target.lock_key}"):
                lane = self._lanes[name]
                if not lane.there:
                    await lane.lock.acquire()
                    if lane.there:
                        lane.lock.release()
                    else:
                        alone.callback(lane.lock.release)
                        lanes.append(lane)
            failure = next((lane.failure for lane in lanes if lane.failure is not None), None)

            async def pause(seconds: float) -> None:
                """Whatever is shared is there by now, so the others go on meanwhile."""
                for lane in lanes:
                    lane.there = True
                alone.close()
                await room.aclose()
                await asyncio.sleep(seconds)
                await room.enter_async_context(self._place(entry))

            turn = _Turn(failure, pause)
            if failure is None:
                await room.enter_async_context(self.room(entry))
            yield turn
            for lane in lanes:
                lane.there = lane.there or turn.there
            if turn.failed is not None:
                whole = turn.failed.step == "identity" or turn.failed.waited
                for lane in lanes:
                    if whole or lane is not self._lanes[entry.target.shared_identity_key]:
                        lane.failure = turn.failed

    @contextlib.asynccontextmanager
    async def removing(self, entry: Entry) -> AsyncIterator[None]:
        """A turn in which something is removed: one target of an identity at a time, so that the last
        takes it away.
        """
        async with self._lanes[f"removing {entry.target.shared_identity_key}"].lock, self.room(entry):
            yield


@dataclass
class _Turn:
    """One target's turn.

    Attributes:
        failure: why what it shares with others could not be made; it fails at once then.
        pause: gives the turn to others for so many seconds.
        there: whether what others need is there in the end.
        failed: why not, where the others would fail in the same way.
    """

    failure: Failure | None
    pause: Callable[[float], Awaitable[None]]
    there: bool = False
    failed: Failure | None = None
