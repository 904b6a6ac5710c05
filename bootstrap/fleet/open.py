"""What all the targets of one command share, and what is made for one when its turn comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootstrap import audit
from bootstrap.akka import AkkaCli
from bootstrap.audit import Trail
from bootstrap.behind import Behind
from bootstrap.engine import Run
from bootstrap.errors import Refused, UsageProblem
from bootstrap.fleet.akka import AkkaDesk, DeskAkka
from bootstrap.fleet.registries import Entry
from bootstrap.fleet.turns import TurnDeadline
from bootstrap.journal import Journal
from bootstrap.offboarding import Offboarding, Wanted, part_with
from bootstrap.outcome import AsPlanned, Wishes
from bootstrap.proofs import Proofs
from bootstrap.provider import HeldCredential, HeldNow, RunContext, Session, Shared
from bootstrap.reporter import Reporter
from bootstrap.secret import Secret


@dataclass
class Opened:
    """One target at work."""

    entry: Entry
    session: Session
    context: RunContext
    akka: AkkaCli
    reporter: Reporter


@dataclass
class Office:
    """What the targets of a command have in common.

    Args:
        reporter: makes what takes the events of one target's run.
        trace: takes one line per call of an API.
        trail: where changes are recorded, if they are.
        command: as it was typed, for whoever is to type it again.
    """

    deadline: TurnDeadline
    desk: AkkaDesk
    state: Path
    reporter: Callable[[Entry], Reporter]
    trace: Callable[[str], None]
    command: str
    trail: Trail | None = None
    shared: Shared = field(default_factory=Shared)

    def __post_init__(self) -> None:
        self.proofs = Proofs(self.state)

    def akka(self, entry: Entry) -> AkkaCli:
        return DeskAkka(entry.scope, self.deadline, self.trace, desk=self.desk)

    def opened(self, entry: Entry) -> Opened:
        """A session of a target's own; calls nobody. Whoever has it closes it."""
        reporter = self.reporter(entry)
        context = RunContext(
            self.deadline, reporter.waiting, self.trace, ask_secret=asks(entry), shared=self.shared
        )
        if self.trail is not None:
            context.audit = self.trail.of(context.run_id, about(entry))
        return Opened(entry, entry.provider.open(entry.target, context), context, self.akka(entry), reporter)

    async def held(self, entry: Entry) -> HeldCredential | None:
        """What Akka holds under the target's name.

        Raises:
            PullkeyError: Akka cannot be asked.
        """
        akka = self.akka(entry)
        problems = await akka.preflight()
        if problems:
            raise Refused(problems)
        return await akka.credential(entry.secret_name)

    def run(
        self,
        opened: Opened,
        *,
        dry_run: bool,
        as_planned: AsPlanned | None = None,
        held: HeldNow | None = None,
    ) -> Run:
        """What brings a target to where the file wants it, as `pullkey onboard` and `pullkey rotate` do.

        Args:
            opened: the target.
            dry_run: only look.
            as_planned: what may be done.
            held: tells what Akka holds, where it need not be asked.
        """
        entry = opened.entry
        wishes = Wishes(
            secret_name=entry.secret_name,
            replace=entry.replace,
            anyway=entry.anyway,
            dry_run=dry_run,
            yes=True,
            command=self.command,
            grace=entry.keep_old,
            overlap=entry.overlap,
            as_planned=as_planned,
            name_strays=False,
        )
        return Run(
            entry.target,
            opened.session,
            opened.context,
            opened.akka,
            self.journal(entry),
            opened.reporter,
            wishes,
            proofs=self.proofs,
            held=held,
            part_with=lambda held: part_with(held, opened.context, opened.akka, opened.reporter, self.proofs),
        )

    def offboarding(self, entry: Entry, behind: Behind, wanted: Wanted) -> Offboarding:
        """What takes a target out of use; `behind` was found whole."""
        if behind.context is None:
            raise AssertionError("what stands behind it was found")
        reporter, akka = self.reporter(entry), self.akka(entry)
        return Offboarding(behind, behind.context, akka, self.journal(entry, behind), reporter, self.proofs, wanted)  # fmt: skip

    def journal(self, entry: Entry, behind: Behind | None = None) -> Journal:
        target = behind.target if behind is not None and behind.target is not None else entry.target
        return Journal(self.state, entry.scope.place(entry.secret_name), target.identity)


def about(entry: Entry) -> dict[str, Any]:
    """Which target it is, for the audit trail and for programs."""
    return audit.about(entry.provider.name, entry.target.label, entry.scope, entry.secret_name)


def asks(entry: Entry) -> Callable[[str], Awaitable[Secret | None]]:
    """What a session asks for a secret: it is read from the source that the file names, and nobody is asked."""

    async def ask(what: str) -> Secret | None:
        if not entry.sources:
            raise UsageProblem(f"{what} is needed, and the file names no source of it", mend=f"Add it to the target in line {entry.place.line}: see docs/fleet.md.")  # fmt: skip
        return await entry.sources[0].read()

    return ask
