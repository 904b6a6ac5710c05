"""The simulated processes of pullkey, each of which can be killed at any point, and the machines that they
run on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from bootstrap.testing.simulation.disk import Disk

_CURRENT: ContextVar[Process] = ContextVar("simulated_process")
CALL_SECONDS: ContextVar[Callable[[], float]] = ContextVar("seconds_of_a_call", default=lambda: 30.0)
"""The time limit of the next call of the cloud, in seconds, of the target whose task asks."""


class Killed(BaseException):
    """The process was killed: nothing it still runs has any effect."""


@dataclass(frozen=True)
class Machine:
    """A computer with a disk of its own."""

    name: str
    disk: Disk = field(default_factory=Disk)


class Process:
    """One process of pullkey.

    Args:
        name: in the event log.
        machine: where it runs.
        log: takes one line for each event.
        kill_at: the number of the point at which it is killed; 0 for none.
        interrupt_at: the number of the point at which the user presses Ctrl-C; 0 for none.
    """

    def __init__(
        self,
        name: str,
        machine: Machine,
        log: Callable[[str], None],
        *,
        kill_at: int = 0,
        interrupt_at: int = 0,
    ) -> None:
        self.name = name
        self.machine = machine
        self.alive = True
        self.killed = False
        self.journals = ""
        """The journals on its machine when it was killed."""
        self.alone = True
        """Whether no other process has run at the same time."""
        self.points = 0
        self.created: set[str] = set()
        """The keys that it has created, as the cloud knows them."""
        self.answered: set[str] = set()
        """Those of them whose creation was answered."""
        self.interrupt: Callable[[], None] | None = None
        """What Ctrl-C does; None while nothing can be interrupted."""
        self._log = log
        self._kill_at = kill_at
        self._interrupt_at = interrupt_at
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._ended: asyncio.Event = asyncio.Event()

    def note(self, what: str) -> None:
        """Write one line into the event log."""
        self._log(f"{self.name}: {what}")

    def point(self, what: str) -> None:
        """Mark a point: an effect outside is about to happen, or has just happened.

        Raises:
            Killed: the process is killed here, or was before.
        """
        if not self.alive:
            raise Killed
        self.points += 1
        if self.points == self._kill_at:
            self.kill(what)
            raise Killed
        if self.points == self._interrupt_at and self.interrupt is not None:
            self.note(f"interrupted at: {what}")
            self.interrupt()

    def kill(self, what: str) -> None:
        """Kill it as SIGKILL does: immediately, with its locks released."""
        self.note(f"killed at: {what}")
        self.alive, self.killed = False, True
        self.journals = b"\n".join(self.machine.disk.journals()).decode()
        self.machine.disk.release(self)
        for task in list(self._tasks):
            task.cancel()
        self._ended.set()

    async def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Run the process. Return False if it was killed."""
        token = _CURRENT.set(self)
        try:
            task = asyncio.create_task(work(), name=self.name)
        finally:
            _CURRENT.reset(token)
        task.add_done_callback(lambda _: self._ended.set())
        await self._ended.wait()
        if self.killed:
            return False
        task.result()
        self.alive = False
        self.machine.disk.release(self)
        return True

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Whether this process started a task."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)


def current() -> Process:
    """The process of the current task.

    Raises:
        Killed: there is none, or it was killed.
    """
    process = _CURRENT.get()
    if not process.alive:
        raise Killed
    return process


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """For the loop: assigns each task to the process that starts it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    process = _CURRENT.get(None)
    if process is not None:
        process.owns(task)
    return task
