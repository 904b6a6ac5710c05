"""The commands for a file of registries, in the simulation: `apply`, `rotate -f` and `offboard -f`, assembled
as in `bootstrap.cli.file_work`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.reporter import quiet
from bootstrap.fleet.akka_pool import AkkaPool, PooledAkkaCli
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.executor import Executor
from bootstrap.fleet.fault import Place
from bootstrap.fleet.planner import Planner
from bootstrap.fleet.progress import FleetReporter
from bootstrap.fleet.rotations import keep_only_rotations
from bootstrap.fleet.scheduler import Bounds, Scheduler, TurnDeadline
from bootstrap.fleet.target_result import TargetResult
from bootstrap.fleet.workspace import Workspace
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.context import RunContext
from bootstrap.testing.simulation.akka import OWNER, PROJECT
from bootstrap.testing.simulation.scenario import Command
from bootstrap.testing.simulation.seams import PROGRAM, STATE
from bootstrap.testing.simulation.target import SimulatedTarget

Prepare = Callable[[str, RunContext], None]
_TYPED = {"onboard": "apply -f", "rotate": "rotate -f", "offboard": "offboard -f"}


class _Reporter:
    """Keeps the notes for the user."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_values, **_named: None


class _Workspace(Workspace):
    """Opens the contexts of a command as the simulation wants them."""

    prepare: Prepare

    def akka(self, entry: Entry) -> AkkaCli:
        return PooledAkkaCli(entry.scope, self.deadline, self.trace, PROGRAM, pool=self.pool)

    def record(self, entry: Entry, context: RunContext) -> None:
        self.prepare(entry.secret_name, context)


class FileCommand:
    """A command on a file.

    Args:
        command: its verb is that of the command for one target: `onboard` stands for `apply`.
        targets: those of the file.
        prepare: called with the secret's name for each context that the command opens.
    """

    def __init__(self, command: Command, targets: Sequence[SimulatedTarget], prepare: Prepare) -> None:
        deadline = TurnDeadline(command.timeout)
        self._verb = command.verb
        self._entries = [
            Entry(
                number,
                Place(number, 1),
                plugins.load("simulated"),
                target,
                AkkaScope(PROJECT, OWNER),
                target.secret_name,
                {},
                {},
                remove=command.verb == "offboard",
                keep_old=dt.timedelta(seconds=command.keep_old),
            )
            for number, target in enumerate(targets, 1)
        ]
        typed = f"pullkey {_TYPED[command.verb]} registries.yaml"
        self._workspace = _Workspace(
            deadline, AkkaPool(Bounds().akka), STATE, lambda _: quiet(), lambda _: None, typed
        )
        self._workspace.prepare = prepare
        self._reporter = _Reporter()
        reporter: Any = self._reporter
        fleet: FleetReporter = reporter
        planner = Planner(self._workspace, rotate=command.verb == "rotate")
        self._executor = Executor(self._workspace, Scheduler(Bounds(), deadline), planner, fleet)
        self.interrupt = self._executor.interrupt

    @property
    def notices(self) -> list[str]:
        """The notes that belong to no target."""
        return self._reporter.notices

    async def execute(self) -> list[TargetResult]:
        """Plan it, and apply the plan."""
        chosen: dict[str, Any] = {"chosen": keep_only_rotations} if self._verb == "rotate" else {}
        plan = await self._executor.plan(self._entries, **chosen)
        return await self._executor.do(plan)
