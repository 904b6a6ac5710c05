"""What all the targets of one command share, and what is made for one when its turn comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine import audit_log as audit
from bootstrap.engine.assembly import Assembly, OpenedTarget
from bootstrap.engine.journal import Journal
from bootstrap.engine.locate import LocatedCredential
from bootstrap.engine.offboard import Offboarding
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.run import Run
from bootstrap.engine.run_options import OffboardOptions, PlannedSteps, RunOptions
from bootstrap.fleet import messages
from bootstrap.fleet.akka_pool import AkkaPool, PooledAkkaCli
from bootstrap.fleet.fields import SOURCES, Kind, own_fields
from bootstrap.fleet.registries import Entry
from bootstrap.fleet.scheduler import TurnDeadline
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import Refused
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import HeldNow, RunContext, Shared
from bootstrap.plugin.retry import read_twice


@dataclass
class Workspace:
    """What the targets of a command have in common.

    Args:
        reporter: makes what takes the events of one target's run.
        trace: takes one line per call of an API.
        command: as it was typed, for whoever is to type it again.
    """

    deadline: TurnDeadline
    desk: AkkaPool
    state: Path
    reporter: Callable[[Entry], Reporter]
    trace: Callable[[str], None]
    command: str
    shared: Shared = field(default_factory=Shared)

    def __post_init__(self) -> None:
        self.assembly = Assembly(self.state)
        self._scopes: dict[AkkaScope, AkkaScope] = {}

    def scope(self, entry: Entry) -> AkkaScope:
        """The target's Akka project, with its owner and the user, once Akka was asked."""
        return self._scopes.get(entry.scope, entry.scope)

    def akka(self, entry: Entry) -> AkkaCli:
        return PooledAkkaCli(entry.scope, self.deadline, self.trace, desk=self.desk)

    def opened(self, entry: Entry) -> OpenedTarget:
        """A session of a target's own; calls nobody. Whoever has it closes it."""
        reporter = self.reporter(entry)
        context = RunContext(
            self.deadline, reporter.waiting, self.trace, ask_secret=asks(entry), shared=self.shared
        )
        self.record(entry, context)
        session = entry.provider.open(entry.target, context)
        return OpenedTarget(entry.target, session, context, self.akka(entry), self.scope(entry), reporter)

    def record(self, entry: Entry, context: RunContext, who: str = "") -> None:
        """What is changed in this context is recorded as this target's, if anything is."""
        label, name = entry.target.label, entry.secret_name
        self.assembly.record(context, entry.provider.name, label, self.scope(entry), name, who)

    async def held(self, entry: Entry) -> HeldCredential | None:
        """What Akka holds under the target's name.

        Raises:
            PullkeyError: Akka cannot be asked.
        """
        akka = self.akka(entry)
        problems = await akka.preflight()
        if problems:
            raise Refused(problems)
        self._scopes[entry.scope] = await akka.scope_by_name()
        return await akka.credential(entry.secret_name)

    async def held_surely(self, entry: Entry) -> HeldCredential | None:
        """As `held`; a list that passes the credential over is not believed until it was read again."""
        if (held := await self.held(entry)) is None:
            akka = self.akka(entry).anew()
            held = await read_twice(lambda: akka.credential(entry.secret_name))
        return held

    def run(
        self,
        entry: Entry,
        opened: OpenedTarget,
        *,
        dry_run: bool,
        as_planned: PlannedSteps | None = None,
        held: HeldNow | None = None,
    ) -> Run:
        """What brings a target to where the file wants it, as `pullkey onboard` and `pullkey rotate` do.

        Args:
            entry: the target.
            opened: it, opened.
            dry_run: only look.
            as_planned: what may be done.
            held: says what Akka holds, where it need not be asked.
        """
        options = RunOptions(
            secret_name=entry.secret_name,
            replace=entry.replace,
            anyway=entry.anyway,
            dry_run=dry_run,
            yes=True,
            command=self.command,
            grace=entry.keep_old,
            overlap=entry.overlap,
            as_planned=as_planned,
            report_unrecorded_keys=False,
        )
        return self.assembly.run(opened, options, held=held)

    def offboarding(self, entry: Entry, behind: LocatedCredential, options: OffboardOptions) -> Offboarding:
        """What removes a target; `behind` was found whole."""
        if behind.session is None or behind.context is None:
            raise AssertionError("its cloud resources were found")
        opened = OpenedTarget(
            behind.target or entry.target,
            behind.session,
            behind.context,
            self.akka(entry),
            self.scope(entry),
            self.reporter(entry),
        )
        return self.assembly.offboarding(behind, opened, options)

    def journal(self, entry: Entry) -> Journal:
        return self.assembly.journal(self.scope(entry), entry.secret_name, entry.target.lock_key)


def about(entry: Entry, scope: AkkaScope) -> dict[str, Any]:
    """Which target it is, for the audit trail and for programs; `scope` as `Workspace.scope` has it."""
    return audit.about(entry.provider.name, entry.target.label, scope, entry.secret_name)


def source_names(entry: Entry) -> str:
    """The fields of a target that may name the source of its secret: `token or login`."""
    return " or ".join(
        one.name for one in own_fields(entry.provider.name).values() if one.kind is Kind.SOURCE
    )


def asks(entry: Entry) -> Callable[[str], Awaitable[Secret | None]]:
    """What a session asks for a secret: it is read from the source that the file names, and nobody is
    asked.
    """

    async def ask(what: str) -> Secret | None:
        if not entry.sources:
            raise messages.no_source(what, entry.place.line, source_names(entry), SOURCES)
        return await entry.sources[0].read()

    return ask
