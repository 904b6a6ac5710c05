"""What all targets of one command share, and the objects that are created for one target at a time."""

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
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.fields import SOURCES, Kind, own_fields
from bootstrap.fleet.scheduler import TurnDeadline
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import Refused
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import HeldNow, RunContext, Shared
from bootstrap.plugin.retry import read_twice


@dataclass
class Workspace:
    """The shared state of a command's targets.

    Args:
        reporter: creates the receiver of the events of one target's run.
        trace: takes one line per API call.
        command: as typed, for messages that ask to run it again.
        ask_permissions: whether runs ask if the login may do their steps.
        keep_identity: whether an offboarding keeps the identity even if nothing else uses it.
        keep_secret: whether an offboarding keeps Akka's secret.
    """

    deadline: TurnDeadline
    pool: AkkaPool
    state: Path
    reporter: Callable[[Entry], Reporter]
    trace: Callable[[str], None]
    command: str
    shared: Shared = field(default_factory=Shared)
    ask_permissions: bool = True
    keep_identity: bool = False
    keep_secret: bool = False

    def __post_init__(self) -> None:
        self.assembly = Assembly(self.state)
        self._scopes: dict[AkkaScope, AkkaScope] = {}

    def scope(self, entry: Entry) -> AkkaScope:
        """The target's Akka project; with its owner and the user once they were read from Akka."""
        return self._scopes.get(entry.scope, entry.scope)

    def akka(self, entry: Entry) -> AkkaCli:
        return PooledAkkaCli(entry.scope, self.deadline, self.trace, pool=self.pool)

    def open_target(self, entry: Entry) -> OpenedTarget:
        """Open a session for a target, without any call. The caller closes it."""
        reporter = self.reporter(entry)
        options = own_fields(entry.provider.name)
        context = RunContext(
            self.deadline,
            reporter.waiting,
            self.trace,
            ask_secret=asks(entry),
            sources={options[one.field].key: str(one) for one in entry.sources},
            of_file=True,
            shared=self.shared,
        )
        self.record(entry, context)
        session = entry.provider.open(entry.target, context)
        return OpenedTarget(entry.target, session, context, self.akka(entry), self.scope(entry), reporter)

    def record(self, entry: Entry, context: RunContext) -> None:
        """Record the changes of this context in the audit trail as this target's."""
        label, name = entry.target.label, entry.secret_name
        target = audit.Audited(entry.provider.name, label, lambda: self.scope(entry), name)
        self.assembly.record(context, target)

    async def held(self, entry: Entry) -> HeldCredential | None:
        """The credential that Akka holds under the target's name.

        Raises:
            PullkeyError: Akka cannot be asked.
        """
        akka = self.akka(entry)
        problems = await akka.preflight()
        if problems:
            raise Refused(problems)
        self._scopes[entry.scope] = await akka.scope_by_name()
        return await akka.credential(entry.secret_name)

    async def held_confirmed(self, entry: Entry) -> HeldCredential | None:
        """As `held`, but read twice before accepting that the credential is absent: replicas lag."""
        if (held := await self.held(entry)) is None:
            akka = self.akka(entry).with_fresh_listings()
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
        clear_up_only: bool = False,
    ) -> Run:
        """The run that brings a target to its desired state, as `pullkey onboard` and `pullkey rotate` do.

        Args:
            entry: the target.
            opened: its session and context.
            dry_run: only read.
            as_planned: the steps that may be done.
            held: returns Akka's record, where it need not be read again.
            clear_up_only: do nothing but clean up after an earlier run, since the target is to be removed.
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
            ask_permissions=self.ask_permissions,
            clear_up_only=clear_up_only,
            defer_removal=True,
            report_unrecorded_keys=False,
        )
        return self.assembly.run(opened, options, held=held)

    def offboard_options(self, *, dry_run: bool) -> OffboardOptions:
        """The options of every removal: what a plan shows is what is done."""
        return OffboardOptions(
            dry_run=dry_run,
            yes=True,
            command=self.command,
            ask_permissions=self.ask_permissions,
            keep_identity=self.keep_identity,
            keep_secret=self.keep_secret,
        )

    def offboarding(self, entry: Entry, located: LocatedCredential, options: OffboardOptions) -> Offboarding:
        """The operation that removes a target; `located` must have its session and context."""
        if located.session is None or located.context is None:
            raise AssertionError("its cloud resources were found")
        opened = OpenedTarget(
            located.target or entry.target,
            located.session,
            located.context,
            self.akka(entry),
            self.scope(entry),
            self.reporter(entry),
        )
        return self.assembly.offboarding(located, opened, options)

    def journal(self, entry: Entry) -> Journal:
        return self.assembly.journal(self.scope(entry), entry.secret_name, entry.target.lock_key)


def about(entry: Entry, scope: AkkaScope) -> dict[str, Any]:
    """The fields that identify a target in the audit trail and in JSON, with its `Workspace.scope`."""
    return audit.about(entry.provider.name, entry.target.label, scope, entry.secret_name)


def source_names(entry: Entry) -> str:
    """The fields of a target that can name the source of its secret: `token or login`."""
    return " or ".join(
        one.name for one in own_fields(entry.provider.name).values() if one.kind is Kind.SOURCE
    )


def asks(entry: Entry) -> Callable[[str], Awaitable[Secret | None]]:
    """The function that gives a session its secret: it reads the source in the file, without a prompt."""

    async def ask(what: str) -> Secret | None:
        if not entry.sources:
            raise messages.no_source(what, entry.place.line, source_names(entry), SOURCES)
        return await entry.sources[0].read()

    return ask
