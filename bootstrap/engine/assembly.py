"""Create the operations on a target, for commands on one target and on a file of targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.journal import Journal, journal_of
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.run import Run
from bootstrap.engine.run_options import OffboardOptions, RunOptions
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import HeldNow, RunContext
from bootstrap.plugin.provider import Target
from bootstrap.plugin.session import Session

if TYPE_CHECKING:
    from bootstrap.engine.audit_log import Audited, Trail
    from bootstrap.engine.locate import LocatedCredential
    from bootstrap.engine.offboard import Offboarding
    from bootstrap.engine.verification import Verification


@dataclass(frozen=True)
class OpenedTarget:
    """One target, with everything that an operation on it needs.

    Args:
        scope: its Akka project, with the current project's name if none was typed.
    """

    target: Target
    session: Session
    context: RunContext
    akka: AkkaCli
    scope: AkkaScope
    reporter: Reporter


@dataclass
class Assembly:
    """Creates the operations of one command.

    Args:
        state: the state directory.
        trail: the audit log, if there is one.
    """

    state: Path
    trail: Trail | None = None

    def __post_init__(self) -> None:
        self.verified_pulls = VerifiedPulls(self.state)

    def journal(self, scope: AkkaScope, secret_name: str, identity: str = "") -> Journal:
        """The journal of an Akka secret; `identity` is the target's `lock_key`."""
        return journal_of(self.state, scope, secret_name, identity)

    def record(self, context: RunContext, target: Audited) -> None:
        """Record what is changed in this context from now on in the trail, if there is one."""
        if self.trail is not None:
            context.audit = self.trail.of(context.run_id, target)

    def run(
        self,
        opened: OpenedTarget,
        options: RunOptions,
        *,
        held: HeldNow | None = None,
        akka_checked: bool = False,
    ) -> Run:
        """Create an onboarding or a rotation."""
        return Run(
            opened.target,
            opened.session,
            context=opened.context,
            akka=opened.akka,
            journal=self.journal(opened.scope, options.secret_name, opened.target.lock_key),
            reporter=opened.reporter,
            options=options,
            verified_pulls=self.verified_pulls,
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
        """Create a verification. It opens another session with `reopen` if it has to read
        everything again.
        """
        from bootstrap.engine.verification import Verification  # late: other commands need none

        return Verification(
            opened.target,
            opened.session,
            context=opened.context,
            akka=opened.akka,
            journal=self.journal(opened.scope, options.secret_name, opened.target.lock_key),
            reporter=opened.reporter,
            options=options,
            akka_checked=akka_checked,
            password=password,
            reopen=reopen,
        )

    def offboarding(
        self,
        located: LocatedCredential,
        opened: OpenedTarget,
        options: OffboardOptions,
    ) -> Offboarding:
        """Create the offboarding of a credential whose cloud resources were located."""
        from bootstrap.engine.offboard import Offboarding  # late: other commands need none

        return Offboarding(
            located,
            context=opened.context,
            akka=opened.akka,
            journal=self.journal(opened.scope, located.held.name, opened.target.lock_key),
            reporter=opened.reporter,
            options=options,
            verified_pulls=self.verified_pulls,
        )
