"""Puts operations together: the same for one target and for many, whatever command asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bootstrap.akka import AkkaCli
from bootstrap.akka_scope import AkkaScope
from bootstrap.audit import Trail, about
from bootstrap.behind import Behind
from bootstrap.engine import Run
from bootstrap.journal import Journal, journal_of
from bootstrap.offboarding import Offboarding
from bootstrap.proofs import Proofs
from bootstrap.provider import HeldNow, RunContext, Session, Target
from bootstrap.reporter import Reporter
from bootstrap.run_options import OffboardOptions, RunOptions
from bootstrap.secret import Secret
from bootstrap.verification import Verification


@dataclass(frozen=True)
class OpenedTarget:
    """One target, and what an operation on it works with.

    Args:
        scope: its Akka project, with the name of the current project where none was typed.
    """

    target: Target
    session: Session
    context: RunContext
    akka: AkkaCli
    scope: AkkaScope
    reporter: Reporter


@dataclass
class Assembly:
    """What the operations of one command have in common.

    Args:
        state: the state directory.
        trail: where changes are recorded, if they are.
    """

    state: Path
    trail: Trail | None = None

    def __post_init__(self) -> None:
        self.proofs = Proofs(self.state)

    def journal(self, scope: AkkaScope, secret_name: str, identity: str = "") -> Journal:
        """The journal of an Akka secret, and of the `identity` of its target."""
        return journal_of(self.state, scope, secret_name, identity)

    def record(
        self,
        context: RunContext,
        provider: str,
        label: str,
        scope: AkkaScope,
        secret_name: str,
        who: str = "",
    ) -> None:
        """What is changed in this context from now on is recorded in the trail, if there is one."""
        if self.trail is not None:
            context.audit = self.trail.of(context.run_id, about(provider, label, scope, secret_name), who)

    def run(
        self,
        opened: OpenedTarget,
        options: RunOptions,
        *,
        held: HeldNow | None = None,
        akka_checked: bool = False,
    ) -> Run:
        """An onboarding or a rotation."""
        return Run(
            opened.target,
            opened.session,
            context=opened.context,
            akka=opened.akka,
            journal=self.journal(opened.scope, options.secret_name, opened.target.identity),
            reporter=opened.reporter,
            options=options,
            proofs=self.proofs,
            held=held,
            akka_checked=akka_checked,
        )

    def verification(
        self,
        opened: OpenedTarget,
        options: RunOptions,
        *,
        password: Secret | None,
        reopen: Callable[[], Session],
        akka_checked: bool = False,
    ) -> Verification:
        """A verification, which opens another session with `reopen` where it has to look again."""
        return Verification(
            opened.target,
            opened.session,
            context=opened.context,
            akka=opened.akka,
            journal=self.journal(opened.scope, options.secret_name, opened.target.identity),
            reporter=opened.reporter,
            options=options,
            akka_checked=akka_checked,
            password=password,
            reopen=reopen,
        )

    def offboarding(
        self,
        behind: Behind,
        opened: OpenedTarget,
        options: OffboardOptions,
    ) -> Offboarding:
        """The removal of a credential whose cloud resources were found."""
        return Offboarding(
            behind,
            context=opened.context,
            akka=opened.akka,
            journal=self.journal(opened.scope, behind.held.name, opened.target.identity),
            reporter=opened.reporter,
            options=options,
            proofs=self.proofs,
        )
