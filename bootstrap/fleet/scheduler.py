"""Schedules many targets: how many run in parallel, which runs first, and how long each may take."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass, field

from bootstrap.fleet.entry import Entry
from bootstrap.model import clock
from bootstrap.model.deadline import Deadline, Turn
from bootstrap.plugin.step import StepRole

_TURN: ContextVar[Turn] = ContextVar("pullkey_turn")
"""One object for all tasks of a turn, so that each sees an extension."""


class TurnDeadline(Deadline):
    """The deadline of the target whose task asks, so that shared objects such as a connection respect it.

    Args:
        seconds: how long each target may take.
    """

    def begin(self) -> None:
        """Start a target's turn, in this task and in those that it starts."""
        _TURN.set(Turn(clock.monotonic() + self.seconds))

    def _now(self) -> Turn:
        return _TURN.get(self._turn)


@dataclass(frozen=True)
class Bounds:
    """How much may run in parallel.

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
    """Why a resource that several targets share could not be created.

    Args:
        step: which of the steps failed.
        what: what went wrong, and for which target.
        waited: whether it used up the target's time.
    """

    step: str
    what: str
    waited: bool


@dataclass
class _FirstGoesAlone:
    """A resource that several targets share and that the first of them may have to create."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    exists: bool = False
    failure: Failure | None = None


class Scheduler:
    """Runs targets in parallel, within bounds.

    The first target of an identity runs alone, and so does the first of a registry for that identity: what it
    creates exists for those that follow. If they ran in parallel and one failed, its rollback could delete
    what another has found and relies on.
    """

    def __init__(self, bounds: Bounds, deadline: TurnDeadline) -> None:
        self._deadline = deadline
        self._clouds: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.cloud))
        self._groups: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.group))
        self._shared_resources: dict[str, _FirstGoesAlone] = defaultdict(_FirstGoesAlone)

    @property
    def seconds(self) -> float:
        """How long a turn may take."""
        return self._deadline.seconds

    @contextlib.asynccontextmanager
    async def reading(self, entry: Entry) -> AsyncIterator[None]:
        """A turn that creates nothing."""
        async with self._within_bounds(entry):
            self._deadline.begin()
            yield

    @contextlib.asynccontextmanager
    async def _within_bounds(self, entry: Entry) -> AsyncIterator[None]:
        async with self._groups[entry.group], self._clouds[entry.provider.name]:
            yield

    @contextlib.asynccontextmanager
    async def changing(self, entry: Entry, steps: Collection[str]) -> AsyncIterator[_Turn]:
        """A turn that may create something; the caller records at the end whether the shared resources exist.

        Args:
            entry: the target.
            steps: what is to be done for it; the failure of another step does not concern it.
        """
        async with contextlib.AsyncExitStack() as held, contextlib.AsyncExitStack() as room:
            alone = held.enter_context(contextlib.ExitStack())
            resources = []
            for name in (entry.target.shared_identity_key, f"registry {entry.target.lock_key}"):
                resource = self._shared_resources[name]
                if not resource.exists:
                    await resource.lock.acquire()
                    if resource.exists:
                        resource.lock.release()
                    else:
                        alone.callback(resource.lock.release)
                        resources.append(resource)
            failures = [resource.failure for resource in resources]
            failure = next((one for one in failures if one is not None and one.step in steps), None)

            async def pause(seconds: float) -> None:
                """Sleep outside of the turn: what is shared exists by now, so the others can continue."""
                for resource in resources:
                    resource.exists = True
                alone.close()
                await room.aclose()
                await asyncio.sleep(seconds)
                await room.enter_async_context(self._within_bounds(entry))

            turn = _Turn(failure, pause)
            if failure is None:
                await room.enter_async_context(self.reading(entry))
            yield turn
            for resource in resources:
                resource.exists = resource.exists or turn.exists
            if turn.failed is not None:
                whole = turn.failed.step == StepRole.IDENTITY or turn.failed.waited
                for resource in resources:
                    if whole or resource is not self._shared_resources[entry.target.shared_identity_key]:
                        resource.failure = turn.failed

    @contextlib.asynccontextmanager
    async def removing(self, entry: Entry) -> AsyncIterator[None]:
        """A turn that removes something: one target of an identity at a time, so that the last deletes it."""
        async with (
            self._shared_resources[f"removing {entry.target.shared_identity_key}"].lock,
            self.reading(entry),
        ):
            yield


@dataclass
class _Turn:
    """One target's turn.

    Attributes:
        failure: why what it needs and shares with others could not be created; it has no time or room then,
            and fails at once.
        pause: lets others run for so many seconds.
        exists: whether what others need exists in the end.
        failed: why not, where the others would fail in the same way.
    """

    failure: Failure | None
    pause: Callable[[float], Awaitable[None]]
    exists: bool = False
    failed: Failure | None = None
