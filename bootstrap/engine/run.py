"""An onboarding or rotation of one target: preflight, the missing steps, and undo on failure.

For the order of the steps see "The order of a run" in `docs/architecture.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.records import keys_of, keys_of_links
from bootstrap.engine import messages
from bootstrap.engine.handoff import HandoffStep
from bootstrap.engine.journal import OFFBOARD, Entry, Record
from bootstrap.engine.lost_keys import DeleteLostKeys
from bootstrap.engine.pull_check import HandshakeStep
from bootstrap.engine.recovery import Recovery, left_overs_of
from bootstrap.engine.removal_entry import as_intent
from bootstrap.engine.run_options import PlannedSteps
from bootstrap.engine.step_runner import StepRunner
from bootstrap.engine.target_operation import TargetOperation
from bootstrap.engine.transaction import Transaction
from bootstrap.engine.unrecorded_keys import unrecorded_keys
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.errors import Declined, PullkeyError, Refused
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import EngineStep, State, Step, StepRole, StepStatus
from bootstrap.registry import Patience

_SIGNALS_SECONDS = 0.01
"""A prompt blocks the event loop: a Ctrl-C that came before it is handled first."""


class Run(TargetOperation):
    """One onboarding or rotation."""

    _all_done = False
    _step_runner: StepRunner | None = None

    @property
    def then(self) -> str:
        """What happens after an interruption. Once Akka has replaced a key, nothing is rolled back."""
        if self._all_done:
            return "ending, since every step is done"
        if self._step_runner is not None and self._step_runner.only_retirement_left:
            return "ending, since Akka has the new key"
        if self.options.grace is not None and self._changes.registering:
            return "rolling back, unless Akka has the new key by then"
        return "rolling back"

    def _begin_with(self, session: Session) -> None:
        super()._begin_with(session)
        self.steps.insert(0, DeleteLostKeys(session, self.context))
        self._recovery: Recovery | None = None
        self._changes = Transaction(
            session, self.context, self.akka, self._own_journal, self.reporter, self.options, self.result
        )
        self.handoff.note = self._changes.note_registration
        self._keys_now = AsyncOnce(session.key.list_ours)
        if self.options.report_unrecorded_keys:
            # Read together with Akka's record: by then, a run that can still overwrite this run's record has
            # created its key.
            self.handoff.registered = self._keys_now.start

    def unfinished(self) -> list[str]:
        if self._all_done:
            return []
        if self._step_runner is not None and self._step_runner.only_retirement_left:
            return [f"Not done: {step.title}" for step in self.steps if step.name == EngineStep.RETIRE]
        return self._changes.unfinished()

    async def _perform(self, *, recovered: bool) -> None:
        if self.options.clear_up_only:
            await self._undo_lost_run()
            return
        statuses = await self._examine()
        self._show_steps(statuses)
        pending = [step for step in self.steps if statuses[step.name].state is not State.DONE]
        planned = self.options.as_planned
        if planned is not None and EngineStep.LOST not in planned.steps:
            # A run may have turned out to be lost since; the next one deletes its keys.
            pending = [step for step in pending if step.name != EngineStep.LOST]
        if self.result.public and pending and not recovered and not self.options.anyway:
            self.result.result = "unneeded"
            return
        if planned is not None:
            await self._refuse_unless_planned(planned, pending)
        if not pending:
            await self._note_unconfirmed()
        if self.options.dry_run:
            self.result.result = "planned"
            return
        if pending:
            await self._ask(pending)
            await self._change(pending)
            if self.handoff in pending:
                await self._settle()
        else:
            self._keys_now = AsyncOnce(lambda: self.session.key.list_ours(as_seen=True))
            if self.result.undone:
                self.result.result, self.result.changed = "done", True
        self.result.credential = await self._described()
        if self.options.report_unrecorded_keys:
            await self._report_unrecorded_keys()
        self._end_journal()

    # -- looking and asking ----------------------------------------------------------------------------------

    async def _examine(self) -> Mapping[str, StepStatus]:
        """Run the preflight, and keep its results.

        Raises:
            Refused: there are problems.
        """
        seen = await self._preflight.examine(self.steps, self._connected)
        statuses = self._noted(seen)
        if self.clear.kept_enabled:
            self._notice(self.clear.kept_enabled)
        if seen.findings.problems:
            raise Refused(seen.findings.problems)
        return statuses

    async def _refuse_unless_planned(self, planned: PlannedSteps, pending: Sequence[Step]) -> None:
        held = await self._held()
        more = [step for step in pending if step.name not in planned.steps]
        if pending and (held.email if held else None) != planned.email:
            raise Refused([messages.record_changed_since_plan(self.options.secret_name)])
        if more:
            raise Refused([messages.steps_not_planned([step.title for step in more])])

    async def _note_unconfirmed(self) -> None:
        held = await self._held()
        if held is not None and held.link is not None:
            self.result.unconfirmed = await self.session.unconfirmed(held)
        if self.result.unconfirmed:
            self._notice(self.result.unconfirmed)

    async def _ask(self, pending: Sequence[Step]) -> None:
        """Prompt for the secrets of a new key and for confirmation. The registry is checked first, so that no
        input is wasted.

        Raises:
            Declined: the user did not answer yes.
            Refused: the registry does not answer, or refuses the user's password; or the record that would be
                overwritten is of another place.
        """
        asks, new_key = not self.options.yes, StepRole.KEY in {step.name for step in pending}
        if new_key:
            if asks and self.options.wait and (problems := await self._preflight.unreachable()):
                raise Refused(problems)
            if asks:
                self.reporter.show_plan()
            await asyncio.sleep(_SIGNALS_SECONDS)
            await self.session.prompt_secrets()
            await self.result.note_login(self.session)
            if self.handoff in pending:
                await self._judge_record_again()
        supplied = self.session.supplied() if asks and new_key and self.options.wait else None
        if supplied is not None and (problems := await self._preflight.refused(supplied)):
            raise Refused(problems)
        if asks and not self.reporter.confirm(self._question(pending)):
            raise Declined

    async def _judge_record_again(self) -> None:
        """Judge the record that is to be overwritten with the login that the prompt has given: only that may
        show that it is of another place.

        Raises:
            Refused: it is.
        """
        found = await self._preflight.record_findings()
        if found.problems:
            raise Refused(found.problems)
        for notice in found.notices:
            if notice.text not in self.result.notices:
                self._notice(notice.text, warning=notice.warning)

    def _question(self, pending: Sequence[Step]) -> str:
        """The confirmation prompt: what is granted, on what, and to whom."""
        name, where = self.options.secret_name, self.akka.resolved.label
        granted = [step.title for step in pending if step.name == StepRole.GRANT]
        if self.options.grace is not None:
            last = f"Replace the key of {name} in {where}"
        elif self.handoff in pending:
            last = f"Register {name} in {where}"
        else:
            last = f"Repair what {name} in {where} needs"
        return f"{', and '.join([*granted, last[:1].lower() + last[1:] if granted else last])}?"

    # -- changing --------------------------------------------------------------------------------------------

    async def _change(self, pending: Sequence[Step]) -> None:
        self.changing = self.result.begun = True
        with contextlib.suppress(PullkeyError):
            self._changes.keys_before = {key.key_id for key in await self.session.key.list_ours(as_seen=True)}
            self._changes.held_before = keys_of(filter(None, [await self._held()]))
            self._changes.keys_before |= self._changes.held_before
            self.handoff.record.keys_before = self._changes.keys_before
        self._own_journal.begin(self.context.run_id, self.options.command)
        overwritten = await self._overwritten_record(pending)
        removal = None
        if overwritten is not None:
            removal = self._own_journal.about_to(OFFBOARD, as_intent(overwritten))
        if any(step.name == StepRole.KEY for step in pending):
            await self._changes.note_keys_of_regions(await self._held())
        self._step_runner = self._runner()
        await self._step_runner.do_all(pending)
        self._changes.leave_keys_of_regions()
        self._all_done = True
        self.result.result, self.result.changed = "done", True
        if overwritten is None or removal is None:
            return
        if self.options.defer_removal:
            # In the journal until then, in case the command is killed.
            removal.leave(messages.resources_of_replaced(overwritten, self.options.command))
            self.result.overwritten = overwritten
        else:
            await self._remove_overwritten(overwritten, removal)

    async def _overwritten_record(self, pending: Sequence[Step]) -> HeldCredential | None:
        """The record of another registry or identity, registered by pullkey, that the handoff overwrites."""
        held = await self._held()
        if held is None or held.link is None or self.handoff not in pending:
            return None
        link, _ = await key_in_record(self.session, held)
        return held if link is None else None

    async def _remove_overwritten(self, held: HeldCredential, entry: Entry) -> None:
        """Remove the resources of the overwritten record. Failures do not undo the run: Akka has
        the new key.
        """
        removed = await self._remove_replaced(held)
        left = left_overs_of(held, removed)
        entry.leave(*left)
        self.result.left_over += left

    def _runner(self) -> StepRunner:
        return StepRunner(
            self.session,
            self.context,
            self.reporter,
            self.options,
            self.result,
            self._changes,
            self._stop,
            handoff=self.handoff,
            handshake=self.handshake,
            clear=self.clear,
            held=self._held,
            keys_now=self._keys_now,
            verified_pulls=self._verified_pulls,
        )

    async def _recover(self, lost: Record) -> None:
        """Clean up after a run that did not end. Identity and grant are kept, since this run needs them.

        Raises:
            Refused: Akka or the cloud cannot be read.
        """
        self.result.who = await self._preflight.connect()
        if problems := await self._preflight.akka_problems():
            raise Refused(problems)
        held = await self._held()
        recovery = await self._clear_up(
            self.session, self._own_journal, lost, held, secret_name=self.options.secret_name
        )
        self._changes.adopt(recovery.kept)
        self._recovery = recovery
        if recovery.whole is not None:
            # A record that Akka shows truncated is no reason to replace its key.
            self._preflight.use(recovery.whole)
        elif recovery.removed:
            self._preflight.use(recovery.held)

    async def _undo_lost_run(self) -> None:
        """Undo what a lost run has created and the cleanup has kept for this one, which needs none of it."""
        if self._recovery is None:
            return
        self._changes.keys_before = set()
        if self.result.left_over:
            self._changes.leave_adopted()
        else:
            await self._changes.undo()
        self.result.result, self.result.changed = "done", bool(self.result.undone)

    async def _settle(self) -> None:
        """Remove keys that earlier runs kept because Akka might hold them, now that Akka shows this run's
        key.
        """
        if self._recovery is None:
            return
        for left in await self._recovery.settle():
            self.result.left_over.remove(left)
        self.result.left_over += self._recovery.left_over
        for left in self._recovery.left_over:
            self.context.audit(Change("recovery", left.what, ChangeOutcome.LEFT_OVER, who=self.result.who))
        for what in self._recovery.undone:
            if what not in self.result.undone:
                self.result.undone.append(what)
                self.context.audit(Change("recovery", what, ChangeOutcome.UNDONE, who=self.result.who))

    async def _report_unrecorded_keys(self) -> None:
        """Report keys that a lost run on another machine may have left. Only the cloud shows them, and
        nothing shows whether they are used.
        """
        # A key that the record named before is accounted for only if the new one names it too.
        named = self.session.credential.link if self.session.credential else None
        if named is None:
            named, _ = await key_in_record(self.session, await self._held())
        accounted_for = keys_of_links([named] if named is not None else [])
        reported = " ".join(f"{one.what} {one.command}" for one in self.result.left_over)
        for text in await unrecorded_keys(
            self.session, self.akka, accounted_for, reported, keys=self._keys_now
        ):
            self._notice(text)


def all_steps(session: Session, context: RunContext, akka: AkkaCli, secret_name: str) -> list[Step]:
    """All steps of a target, for callers that only describe them."""

    async def nothing() -> Any:
        raise AssertionError("a reader does no step")

    handshake = HandshakeStep(
        session, context, challenge=nothing, key_pending=nothing, compares=nothing, patience=Patience()
    )
    return [*session.steps, handshake, HandoffStep(session, context, akka, secret_name, key_pending=nothing)]
