"""The common part of onboarding, rotation and verification: the steps of a target and their status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.records import KeyHolders, key_holders, keys_in_use
from bootstrap.engine import messages
from bootstrap.engine.handoff import HandoffStep
from bootstrap.engine.journal import Journal
from bootstrap.engine.key_retirement import DeleteReplacedKey, RetireReplacedKey, grace_over
from bootstrap.engine.operation import Operation
from bootstrap.engine.preflight import Preflight, PreflightResult
from bootstrap.engine.pull_check import HandshakeStep
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.result import Result, StepResult
from bootstrap.engine.run_options import RunOptions
from bootstrap.engine.unfinished import unfinished
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import PullkeyError, Refused
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.text import sentence
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import HeldNow, RunContext
from bootstrap.plugin.provider import Target
from bootstrap.plugin.recorded_key import usable_key, username_in_akka
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import State, Step, StepStatus
from bootstrap.registry import Patience

_GRACE = dt.timedelta(hours=24)
"""As `--keep-old` by default: how long another credential may go back to the key that it has replaced."""


class TargetOperation(Operation):
    """An operation that consists of the steps of a target.

    Args:
        held: returns Akka's record if the command has just read it. It is read again before the registration.
        akka_checked: whether the command has already checked the Akka CLI, its login and the project.

    Attributes:
        steps: the target's steps, without quiet ones that have nothing to do.
    """

    def __init__(
        self,
        target: Target,
        session: Session,
        *,
        context: RunContext,
        akka: AkkaCli,
        journal: Journal,
        reporter: Reporter,
        options: RunOptions,
        verified_pulls: VerifiedPulls | None = None,
        patience: Patience | None = None,
        held: HeldNow | None = None,
        akka_checked: bool = False,
    ) -> None:
        super().__init__(
            context=context,
            akka=akka,
            journal=journal,
            reporter=reporter,
            options=options,
            verified_pulls=verified_pulls,
        )
        self.target = target
        self.options = options
        self._own_journal = journal
        self._patience = patience or Patience()
        self._seen_held = held
        self._akka_checked = akka_checked
        self._begin_with(session)

    def _begin_with(self, session: Session) -> None:
        """Create steps and preflight for a session with which nothing was read yet."""
        context, options = self.context, self.options
        self.session = session
        self._preflight = Preflight(
            session, context, self.akka, options, held=self._seen_held, akka_checked=self._akka_checked
        )
        self._held = self._preflight.held
        context.held = self._held
        context.place = self._place
        context.in_use = AsyncOnce(lambda: keys_in_use(self.akka))
        key_pending = self._preflight.key_pending
        self.handoff = HandoffStep(session, context, self.akka, options.secret_name, key_pending=key_pending)
        self.handshake = HandshakeStep(
            session,
            context,
            challenge=self._preflight.trusted_challenge,
            key_pending=key_pending,
            compares=self._preflight.compares,
            patience=self._patience,
        )

        def is_on_record(key_id: str) -> bool:
            return any(entry.known.get("key_id") == key_id for entry in self._own_journal.entries)

        self.clear = DeleteReplacedKey(
            session,
            context,
            grace=options.grace,
            command=options.command,
            key_pending=key_pending,
            others_hold=self._others_need,
            is_on_record=is_on_record,
        )
        self.steps: list[Step] = [self.clear, *session.steps, self.handshake, self.handoff]
        if options.grace is not None:
            self.steps.append(
                RetireReplacedKey(
                    session,
                    context,
                    grace=options.grace,
                    overlap=options.overlap,
                    command=options.command,
                    key_pending=key_pending,
                    others_hold=self._others_hold,
                    others_need=self._others_need,
                    is_on_record=is_on_record,
                )
            )

    async def _others_hold(self, link: KeyRef, *, anew: bool = False) -> str:
        """Which other credential of Akka's has the same key, in words; "" if none has.

        All targets of a command share what was read, unless it is read `anew` or was not complete.
        """
        holders = self._holders()
        if anew:
            holders.invalidate()
        found = await holders()
        scope, name = await self.akka.shown(), self.options.secret_name
        if others := sorted(one for one in found.of(link) if not one.is_of(scope, name)):
            return messages.held_as(others[0].label(scope), others[0].name)
        if found.unread:
            holders.invalidate()
            return messages.may_be_held(found.unread[0])
        return ""

    async def _others_need(self, link: KeyRef, *, anew: bool = False) -> str:
        """As `_others_hold`; also this credential in a region that may not have its new key yet, and a
        credential that has replaced the key and is still within its grace period.
        """
        held = await self._held()
        if held is not None and held.lagging_regions:
            return messages.may_be_in_regions(held.name, held.lagging_regions)
        if holder := await self._others_hold(link, anew=anew):
            return holder
        scope, name = await self.akka.shown(), self.options.secret_name
        for newer, place in (await self._holders()()).replaced_by(link):
            if place.is_of(scope, name):
                continue
            holds = await read_twice(partial(self.session.key.facts, newer.key_id))
            if not grace_over(holds, self.options.grace or _GRACE):
                return messages.may_go_back(place.label(scope), place.name)
        return ""

    def _holders(self) -> AsyncOnce[KeyHolders]:
        return self.context.shared.get(
            ("akka", "holders of keys", self.akka.scope.context),
            lambda: AsyncOnce(
                lambda: key_holders(self.akka), passing=lambda _: True, deadline=self.context.deadline
            ),
        )

    async def _place(self) -> str:
        await self._preflight.akka_problems()  # reads the names, unless the command has
        return await self.akka.place(self.options.secret_name)

    async def _close(self) -> None:
        await self.session.close()
        if self.session.credential is not None:
            # There may be thousands of targets, and something may still refer to each.
            self.session.credential.password.drop_index()

    async def _remove_replaced(self, held: HeldCredential, *, look_only: bool = False) -> Result:
        from bootstrap.engine.offboard import remove_replaced  # late: few runs replace a key

        return await remove_replaced(
            held, self.context, self.akka, self.reporter, self._verified_pulls, look_only=look_only
        )

    def _failed(self, error: PullkeyError) -> None:
        """Record the error; for a refusal, its problems."""
        if not isinstance(error, Refused):
            super()._failed(error)
            return
        self.result.result, self.result.problems = "refused", error.problems
        self.result.exit_code = error.exit_code
        self.reporter.problems(error.problems)

    async def _note_unfinished(self) -> None:
        self.result.who = await self._preflight.connect()
        self.result.unfinished = await unfinished(self._own_journal, self.session)
        self.result.left_over += self.result.unfinished.left_over
        if self.result.unfinished.what:
            self._notice(f"{sentence(self.result.unfinished.what)} The next run clears up after it first.")

    def _noted(self, seen: PreflightResult) -> Mapping[str, StepStatus]:
        """Add the preflight's statuses and notices to the result, and show the notices."""
        if seen.project_seen:
            self.reporter.project(self.akka.resolved.described)
        self.result.public = seen.public
        self.steps = [
            step for step in self.steps if not (step.quiet and seen.statuses[step.name].state is State.DONE)
        ]
        for step in self.steps:
            self.result.steps[step.name] = StepResult(step.name, step.title, seen.statuses[step.name])
        for notice in seen.findings.notices:
            self._notice(notice.text, warning=notice.warning)
        return seen.statuses

    def _show_steps(self, statuses: Mapping[str, StepStatus], *, read_only: bool = False) -> None:
        """Show the steps, except a verification of a new key if none is created."""
        shown = []
        for step in self.steps:
            seen = statuses[step.name]
            if step.changes or not (read_only or seen.state is State.DONE):
                shown.append((step.name, step.title, seen))
        self.reporter.planned(shown)

    def _connected(self, who: str) -> None:
        self.result.who = who
        self.reporter.connected(self.target.label, who)

    async def _described(self) -> dict[str, str | None]:
        """The credential without its password."""
        made = self.session.credential
        if made is not None:
            return {
                "server": made.server,
                "username": made.username,
                "email": made.email,
                "key_id": made.link.key_id,
                "ends": made.expires.isoformat(timespec="seconds") if made.expires else None,
            }
        link, _ = await usable_key(self.session)
        return {
            "server": await self.session.server(),
            "username": await username_in_akka(self.session),
            "email": str(link) if link else None,
            "key_id": link.key_id if link else None,
            "ends": None,
        }
