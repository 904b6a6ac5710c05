"""What the simulated processes run: the product's commands, assembled as in `bootstrap.cli`, without a
terminal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.assembly import Assembly, OpenedTarget
from bootstrap.engine.locate import credential_named, find
from bootstrap.engine.removal_entry import being_removed
from bootstrap.engine.reporter import quiet
from bootstrap.engine.run_options import OffboardOptions, RunOptions
from bootstrap.model import clock
from bootstrap.model.change import Audit, Change, ChangeOutcome
from bootstrap.model.codes import Code
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import LeftOver, PullkeyError, exit_code_of_many
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import EngineStep
from bootstrap.testing.simulation.akka import OWNER, PROJECT
from bootstrap.testing.simulation.ended import CommandResult
from bootstrap.testing.simulation.file_commands import FileCommand
from bootstrap.testing.simulation.process import CALL_SECONDS, Process
from bootstrap.testing.simulation.scenario import Command
from bootstrap.testing.simulation.seams import PROGRAM, STATE
from bootstrap.testing.simulation.target import SimulatedTarget

_CALL_SECONDS = 30.0


class CommandRun:
    """One command of a process."""

    def __init__(self, command: Command, targets: Sequence[SimulatedTarget], process: Process) -> None:
        self.command = command
        self.targets = targets if command.file else [targets[command.target]]
        """Those that it is for."""
        self.ended = CommandResult()
        self._target = self.targets[0]
        self.process = process
        self._assembly = Assembly(STATE)

    async def __call__(self) -> None:
        work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "onboard": self._onboard,
            "rotate": self._rotate,
            "offboard": self._offboard,
        }
        self._deadline = Deadline(self.command.timeout)
        self._akka = AkkaCli(AkkaScope(PROJECT, OWNER), self._deadline, lambda _: None, PROGRAM)
        begin = clock.monotonic()
        try:
            await (self._on_a_file if self.command.file else work[self.command.verb])()
        except PullkeyError as error:
            # What the command prints, and how it ends.
            self.ended.result, self.ended.exit_code, self.ended.error = "failed", error.exit_code, error
            self.ended.targets = {one.secret_name: "failed" for one in self.targets}
        self.ended.seconds = clock.monotonic() - begin

    def _context(self) -> RunContext:
        context = RunContext(self._deadline, lambda _: None, lambda _: None)
        context.audit = self._audit(self._target.secret_name)
        return context

    def _calls_within(self, context: RunContext) -> None:
        """Limit each call of the cloud to the time that is left of the run, or of its undoing."""
        CALL_SECONDS.set(lambda: (context.undo_deadline or context.deadline).clip(_CALL_SECONDS))

    def _audit(self, secret_name: str) -> Audit:
        def says(change: Change) -> None:
            self.process.note(f"says: {change.step}: {change.what}: {change.outcome}")
            self.ended.says.append(change)
            if change.step == EngineStep.HANDOFF and change.outcome == ChangeOutcome.DONE:
                self.ended.registered.add(secret_name)
                self.ended.key_ids.add(change.key_id)

        return says

    async def _opened(self, target: Any, session: Any, context: RunContext) -> OpenedTarget:
        return OpenedTarget(target, session, context, self._akka, await self._akka.scope_by_name(), quiet())

    async def _run(self, target: Any, session: Any, context: RunContext, options: RunOptions) -> None:
        opened = await self._opened(target, session, context)
        # As `pullkey rotate` has done before.
        run = self._assembly.run(opened, options, akka_checked=self.command.verb == "rotate")
        self._calls_within(context)
        self.process.interrupt = run.interrupt
        outcome = await run.execute()
        self.ended.of(self._target.secret_name, outcome, notices=outcome.notices)

    def _prepare(self, secret_name: str, context: RunContext) -> None:
        context.audit = self._audit(secret_name)
        self._calls_within(context)

    async def _on_a_file(self) -> None:
        work = FileCommand(self.command, self.targets, self._prepare)
        self.process.interrupt = work.interrupt
        results = await work.execute()
        for one in results:
            notices = [*one.planned.notices, *one.notices]
            self.ended.of(one.entry.secret_name, one, notices=notices)
        self.ended.notices += work.notices
        self.ended.exit_code = exit_code_of_many([one.exit_code for one in results])

    async def _onboard(self) -> None:
        context = self._context()
        session = plugins.load("simulated").open(self._target, context)
        options = RunOptions(
            secret_name=self._target.secret_name, yes=True, command="pullkey onboard simulated"
        )
        await self._run(self._target, session, context, options)

    async def _rotate(self) -> None:
        name = self._target.secret_name
        held = credential_named(await self._akka.credentials_with([name]), name, "the project")
        located = await find(held, self._context())
        if located.target is None or located.session is None or located.context is None:
            raise located.error or PullkeyError(
                "its resources could not be found", code=Code.CREDENTIAL_UNREADABLE
            )
        located.context.new_key = True
        grace = dt.timedelta(seconds=self.command.keep_old)
        options = RunOptions(
            secret_name=name, anyway=True, yes=True, command=f"pullkey rotate {name}", grace=grace
        )
        await self._run(located.target, located.session, located.context, options)

    async def _offboard(self) -> None:
        name = self._target.secret_name
        scope = await self._akka.scope_by_name()
        held = next((one for one in await self._akka.credentials_with([name]) if one.name == name), None)
        if held is None:
            journal = self._assembly.journal(scope, name)
            lost = journal.left_behind()
            if lost is not None and (journal.at_work or being_removed(lost) is None):
                raise PullkeyError(f"run {lost.run_id} did not end", code=Code.RUN_UNFINISHED)
            held = being_removed(lost)
        if held is None:
            if await self._akka.lists_secret(name):
                self.ended.left_over = [LeftOver(f"Akka's secret {name}", self._akka.secret_removal(name))]
                self.ended.result, self.ended.exit_code = "unchanged", 6
                self.ended.targets[name] = "unchanged"
                return
            raise PullkeyError(f"There is no credential named {name}", code=Code.CREDENTIAL_NOT_FOUND)
        located = await find(held, self._context())
        if located.target is None or located.session is None or located.context is None:
            raise located.error or PullkeyError(
                "its resources could not be found", code=Code.CREDENTIAL_UNREADABLE
            )
        await located.session.connect()
        options = OffboardOptions(yes=True, command=f"pullkey offboard {name}")
        opened = await self._opened(located.target, located.session, located.context)
        work = self._assembly.offboarding(located, opened, options)
        self._calls_within(located.context)
        self.process.interrupt = work.interrupt
        result = await work.execute()
        kept = [
            f"{item.removal.what} ({item.removal.why}) {item.removal.command}"
            for item in result.removals
            if item.result != "removed"
        ]
        self.ended.of(name, result, notices=[*result.notices, *kept])
