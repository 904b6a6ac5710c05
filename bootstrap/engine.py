"""One run for one target: look at everything, say what is wrong, do what is missing, undo on failure.

The order is that of `docs/architecture.md`: preflight, identity, grant and key side by side, handshake, handoff.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.akka import AkkaCli
from bootstrap.audit import Change
from bootstrap.changes import Changes
from bootstrap.codes import Code
from bootstrap.common_steps import HandshakeStep
from bootstrap.credential import Credential
from bootstrap.errors import (
    Declined,
    ExitCode,
    Interrupted,
    Problem,
    ProblemKind,
    PullkeyError,
    Refused,
    StepFailed,
)
from bootstrap.examination import Examination, Examined
from bootstrap.handoff import HandoffStep
from bootstrap.journal import Entry, Journal, Record
from bootstrap.link import KeyLink
from bootstrap.once import Once
from bootstrap.outcome import AsPlanned, Outcome, StepResult, Wishes
from bootstrap.plugin import clock
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.recorded_key import key_in_record, usable_key, username_in_akka
from bootstrap.proofs import Proofs
from bootstrap.provider import HeldCredential, HeldNow, RunContext, Session, Target
from bootstrap.records import keys_in_use, keys_of
from bootstrap.recovery import (
    OFFBOARD,
    PartWith,
    Recovery,
    as_intent,
    still_behind,
    strays,
    unfinished,
)
from bootstrap.registry import Patience, Verdict, try_once
from bootstrap.reporter import Reporter
from bootstrap.retirement import RETIRE, ClearStep, RetireStep
from bootstrap.secret import Secret
from bootstrap.steps import Sighting, State, Step
from bootstrap.waiting import Deadline
from bootstrap.words import sentence

_GRACE_SECONDS = 15.0
_OTHERS_SECONDS = 10.0
_SIGNALS_SECONDS = 0.01
"""A prompt holds up the event loop: a Ctrl-C that came before it is taken first."""
AGAIN_SECONDS = 2.0
"""Between the look that did not show something, and the one that is believed."""


@dataclass
class Run:
    """One onboarding. `execute` does it all; `interrupt` may be called meanwhile, from the same event loop."""

    target: Target
    session: Session
    context: RunContext
    akka: AkkaCli
    journal: Journal
    reporter: Reporter
    wishes: Wishes
    patience: Patience = field(default_factory=Patience)
    proofs: Proofs | None = None
    held: HeldNow | None = None
    """Tells what Akka holds, where the command has just asked. Right before it is registered, Akka is asked again."""
    part_with: PartWith = field(kw_only=True)
    """Removes what stood behind a record of ours that another registry's has replaced."""
    akka_checked: bool = False
    """Whether the command has found before that Akka is there, logged in, and sees the project."""
    reopen: Callable[[], Session] | None = None
    """Opens another session of the target, to look again with: what one read does not show, the next may."""

    def __post_init__(self) -> None:
        session, context = self.session, self.context
        self.outcome = Outcome()
        self.changing = False
        self._examination = Examination(
            session, context, self.akka, self.wishes, held=self.held, akka_checked=self.akka_checked
        )
        self._changes = Changes(
            session, context, self.akka, self.journal, self.reporter, self.wishes, self.outcome
        )
        self._held = self._examination.held
        context.held = self._held
        context.in_use = Once(lambda: keys_in_use(self.akka))
        self.akka.lock = lambda: self.journal.descriptor
        key_pending = self._examination.key_pending
        self.handoff = HandoffStep(
            session, context, self.akka, self.wishes.secret_name, key_pending=key_pending
        )
        self.handoff.note = self._changes.note_registration
        self.handshake = HandshakeStep(
            session,
            context,
            challenge=self._examination.trusted_challenge,
            key_pending=key_pending,
            compares=self._examination.compares,
            patience=self.patience,
        )
        self.clear = ClearStep(session, context, grace=self.wishes.grace, key_pending=key_pending)
        self.steps: list[Step] = [self.clear, *session.steps, self.handshake, self.handoff]
        if self.wishes.grace is not None:
            self.steps.append(
                RetireStep(
                    session,
                    context,
                    grace=self.wishes.grace,
                    overlap=self.wishes.overlap,
                    key_pending=key_pending,
                )
            )
        self._stop = asyncio.Event()
        self._recovery: Recovery | None = None
        self._told_left_over = False
        self._keys_now = Once(session.key.list_ours)
        if self.wishes.name_strays:
            # Asked for beside the reading back. Whoever can still register over this run's key has made one by then.
            self.handoff.registered = self._keys_now.begin

    # -- the whole of it -----------------------------------------------------------------------------------------

    async def execute(self) -> Outcome:
        """Do it. Errors that a person can be told are told and stand in the outcome; none is raised."""
        lock = contextlib.nullcontext() if self.wishes.dry_run else self.journal.locked()
        return await self._told(self._execute(), lock)

    async def verify(self, password: Secret | None) -> Outcome:
        """Only look: at key, grant and Akka's record; with the password also at a pull. Changes nothing."""
        return await self._told(self._verify(password), contextlib.nullcontext())

    async def _told(self, work: Coroutine[Any, Any, None], lock: AbstractContextManager[None]) -> Outcome:
        try:
            try:
                with lock:
                    await work
            finally:
                work.close()
        except Refused as refusal:
            self.outcome.result, self.outcome.problems = "refused", refusal.problems
            self.outcome.exit_code = refusal.exit_code
            self.reporter.problems(refusal.problems)
        except PullkeyError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; a person is owed a sentence
            self._failed(as_user_error(error))
        finally:
            if self.outcome.left_over:
                self.outcome.exit_code = ExitCode.LEFT_OVER
            self._tell_left_over()
            await self.session.close()
        return self.outcome

    def _tell_left_over(self) -> None:
        """Before the journal ends: what is in neither would be lost sight of."""
        if not self._told_left_over:
            self._told_left_over = bool(self.outcome.left_over)
            self.reporter.left_over(self.outcome.left_over)

    def _end_journal(self) -> None:
        self._tell_left_over()
        self.journal.end()

    def _failed(self, error: PullkeyError) -> None:
        self.outcome.error = error
        self.outcome.exit_code = error.exit_code
        kinds: dict[type[PullkeyError], str] = {Interrupted: "interrupted", Declined: "refused"}
        self.outcome.result = kinds.get(type(error), "failed")

    then = "rolling back"

    def interrupt(self) -> None:
        """Begin no further step, wait for the calls that are under way, and undo."""
        self._stop.set()

    def unfinished(self) -> list[str]:
        """The steps that were begun and are not undone."""
        return self._changes.unfinished()

    async def _execute(self) -> None:
        lost = self.journal.left_behind()
        if lost is not None:
            self.journal.check_target(lost)
            if self.wishes.dry_run:
                await self._note_unfinished()
            else:
                # First: what the lost run has made may itself stand in the way of this one.
                await self._recover(lost)
        sightings = await self._examine()
        self._show_steps(sightings)
        pending = [step for step in self.steps if sightings[step.name].state is not State.DONE]
        if self.outcome.public and pending and lost is None and not self.wishes.anyway:
            self.outcome.result = "unneeded"
            return
        if self.wishes.as_planned is not None:
            await self._refuse_unless_planned(self.wishes.as_planned, pending)
        if self.wishes.dry_run:
            self.outcome.result = "planned"
            return
        if pending:
            await self._ask(pending)
            await self._change(pending)
            if self.handoff in pending:
                await self._settle()
        else:
            self._keys_now = Once(lambda: self.session.key.list_ours(as_seen=True))
            if self.outcome.undone:
                self.outcome.result, self.outcome.changed = "done", True
        self.outcome.credential = await self._described()
        if self.wishes.name_strays:
            await self._name_strays()
        self._end_journal()

    async def _ask(self, pending: Sequence[Step]) -> None:
        """Ask for what a new key needs, and for the confirmation. Neither is asked for in vain: what the registry shows before, is
        seen before.

        Raises:
            Declined: the answer was not yes.
            Refused: the registry does not answer, or does not accept what was entered.
        """
        asks, new_key = not self.wishes.yes, "key" in {step.name for step in pending}
        if new_key:
            if asks and self.wishes.wait and (problems := await self._examination.unreachable()):
                raise Refused(problems)
            if asks:
                self.reporter.show_plan()
            await asyncio.sleep(_SIGNALS_SECONDS)
            await self.session.ask()
        supplied = self.session.supplied() if asks and new_key and self.wishes.wait else None
        if supplied is not None and (problems := await self._examination.refused(supplied)):
            raise Refused(problems)
        if asks and not self.reporter.confirm(self._question(pending)):
            raise Declined

    async def _note_unfinished(self) -> None:
        """What an earlier run has not ended, or has left over; the next one that may change something goes on with it."""
        self.outcome.who = await self._examination.connect()
        self.outcome.unfinished = await unfinished(self.journal, self.session)
        self.outcome.left_over += self.outcome.unfinished.left_over
        if self.outcome.unfinished.what:
            self._notice(f"{sentence(self.outcome.unfinished.what)} The next run clears up after it first.")

    async def _refuse_unless_planned(self, planned: AsPlanned, pending: Sequence[Step]) -> None:
        held = await self._held()
        more = [step for step in pending if step.name not in planned.steps]
        if pending and (held.email if held else None) != planned.email:
            what = f"Akka's {self.wishes.secret_name} is another one than when this was planned"
        elif more:
            what = f"This was not planned: {'; '.join(step.title for step in more)}"
        else:
            return
        raise Refused([Problem(ProblemKind.SETUP, what, "Something has changed meanwhile: plan again", code=Code.PLAN_STALE)])  # fmt: skip

    async def _change(self, pending: Sequence[Step]) -> None:
        self.changing = self.outcome.begun = True
        with contextlib.suppress(PullkeyError):
            self._changes.keys_before = {key.key_id for key in await self.session.key.list_ours(as_seen=True)}
            self._changes.held_before = keys_of(filter(None, [await self._held()]))
            self._changes.keys_before |= self._changes.held_before
            self.handoff.keys_before = self._changes.keys_before
        self.journal.begin(self.context.run_id, self.wishes.command)
        overwritten = await self._overwritten(pending)
        going = None
        if overwritten is not None:
            going = self.journal.about_to(OFFBOARD, as_intent(overwritten))
        await self._do_all(pending)
        self.outcome.result, self.outcome.changed = "done", True
        if overwritten is not None and going is not None:
            await self._part_with(overwritten, going)

    async def _verify(self, password: Secret | None) -> None:
        seen = await self._examination.examine(self.steps, lambda _: None, checks=True)
        if problems := await self._examination.akka_problems():
            raise Refused(problems)  # nothing that Akka holds could be seen
        if self.reopen is not None and any(one.state is State.MISSING for one in seen.sightings.values()):
            # Absence is believed late: everything is asked anew, Akka too, and only that is reported.
            await asyncio.sleep(AGAIN_SECONDS)
            await self.session.close()
            self.context.shared.forget()
            self.session = self.reopen()
            self.__post_init__()
            seen = await self._examination.examine(self.steps, lambda _: None, checks=True)
        self._connected(await self._examination.connect())
        if self.journal.left_behind() is not None:
            await self._note_unfinished()
        sightings = self._noted(seen)
        self._show_steps(sightings, checks=True)
        if seen.findings.problems:
            self.outcome.problems = seen.findings.problems
            self.reporter.problems(seen.findings.problems)
        self.outcome.credential = await self._described()
        good = all(sightings[step.name].state is State.DONE for step in self.steps)
        good = good and not seen.findings.problems and not self.outcome.unfinished.what
        if password is not None:
            probe = await self.session.probe()
            username = await username_in_akka(self.session) or ""
            credential = Credential(await self.session.server(), username, password, KeyLink("", "", ""))
            challenge = await self._examination.trusted_challenge()
            attempt = await try_once(
                probe, challenge, credential, deadline=self.context.deadline, trace=self.context.trace
            )
            good = good and attempt.verdict is Verdict.PULLS
            if attempt.verdict is Verdict.PULLS and attempt.proven:
                self.outcome.proven = f"it {attempt.detail}"
            elif attempt.verdict is Verdict.PULLS:
                self.outcome.unproven = f"it {attempt.detail}"
            else:
                self._notice(f"The credential on stdin does not pull: {attempt}")
        self.outcome.result = "verified" if good else "drift"
        self.outcome.exit_code = ExitCode.DONE if good else ExitCode.DRIFT

    # -- looking -------------------------------------------------------------------------------------------------

    async def _examine(self) -> Mapping[str, Sighting]:
        """Everything that can be known before a change.

        Raises:
            Refused: there are problems.
        """
        seen = await self._examination.examine(self.steps, self._connected)
        sightings = self._noted(seen)
        if seen.findings.problems:
            raise Refused(seen.findings.problems)
        return sightings

    def _noted(self, seen: Examined) -> Mapping[str, Sighting]:
        """What was seen of each step, and what is to be known; it stands in the outcome from now on."""
        if seen.project_seen:
            self.reporter.project(self.akka.resolved.described)
        self.outcome.public = seen.public
        self.steps = [
            step for step in self.steps if not (step.quiet and seen.sightings[step.name].state is State.DONE)
        ]
        for step in self.steps:
            self.outcome.steps[step.name] = StepResult(step.name, step.title, seen.sightings[step.name])
        for notice in seen.findings.notices:
            self._notice(notice.text, warning=notice.warning)
        return seen.sightings

    def _show_steps(self, sightings: Mapping[str, Sighting], *, checks: bool = False) -> None:
        """Show the steps, but for a verification of a new key where none is created."""
        seen = [(step, sightings[step.name]) for step in self.steps]
        self.reporter.planned([(step.name, step.title, one) for step, one in seen if step.changes or not (checks or one.state is State.DONE)])  # fmt: skip

    def _connected(self, who: str) -> None:
        self.outcome.who = who
        self.reporter.connected(self.target.label, who)

    async def _described(self) -> dict[str, str | None]:
        """The credential without its password."""
        made = self.session.credential
        if made is not None:
            ends = made.ends.isoformat(timespec="seconds") if made.ends else None
            return {
                "server": made.server, "username": made.username, "email": made.email,
                "key_id": made.link.key_id, "ends": ends,
            }  # fmt: skip
        link, _ = await usable_key(self.session)
        return {
            "server": await self.session.server(), "username": await username_in_akka(self.session),
            "email": str(link) if link else None, "key_id": link.key_id if link else None, "ends": None,
        }  # fmt: skip

    async def _overwritten(self, pending: Sequence[Step]) -> HeldCredential | None:
        """The record of ours, of another registry or identity, that this run's handoff takes the name of."""
        held = await self._held()
        if held is None or held.link is None or self.handoff not in pending:
            return None
        link, _ = await key_in_record(self.session, held)
        return held if link is None else None

    async def _part_with(self, held: HeldCredential, entry: Entry) -> None:
        """Akka holds the new one; nothing that goes wrong here is a reason to undo it."""
        parted = await self.part_with(held)
        left = still_behind(held, parted)
        entry.leave(*left)
        self.outcome.left_over += left

    # -- doing ---------------------------------------------------------------------------------------------------

    async def _do_all(self, pending: Sequence[Step]) -> None:
        """Do the steps in their order, side by side where there is none; undo all if one fails."""
        finished = {step.name: asyncio.Event() for step in pending}
        broken: list[PullkeyError] = []
        halt = asyncio.Event()

        async def take(step: Step) -> None:
            # A place for the new key may have to be made first.
            for name in (*step.after, *((self.clear.name,) if step.name == "key" else ())):
                if name in finished:
                    await _first(finished[name].wait(), halt.wait(), self._stop.wait())
            if halt.is_set() or self._stop.is_set():
                return
            try:
                await self._do(step)
                finished[step.name].set()
            except PullkeyError as error:
                broken.append(error)
                halt.set()
            except Exception:
                halt.set()
                raise

        for step in pending:
            if step.name == RETIRE:
                # From the handoff on the old key is to go, even if this run does not live to do it.
                self._changes.promise(step)
        tasks = [asyncio.create_task(take(step), name=step.name) for step in pending]
        try:
            await _first(asyncio.wait(tasks), self._stop.wait())
            if self._stop.is_set():
                await self._wind_up(tasks)
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            if broken:
                raise broken[0]
            if self._stop.is_set():
                raise Interrupted("Interrupted")
        except BaseException as error:
            await asyncio.shield(self._changes.undo())
            if isinstance(error, PullkeyError) or not isinstance(error, Exception):
                raise
            raise as_user_error(error) from error

    async def _wind_up(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """A call under way gets the time to answer: one that is cut off leaves nobody knowing what was made."""
        for task in tasks:
            if task.get_name() == self.handshake.name:
                task.cancel()
        await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _do(self, step: Step) -> None:
        result = self.outcome.steps[step.name]
        if step is self.handshake and not self.wishes.wait:
            result.result, result.detail = "skipped", "not verified, because of --no-wait"
            self.reporter.skip(step.name, f"{step.title}: skipped, because of --no-wait")
            return
        self.reporter.begin(step.name, step.title)
        begin = clock.monotonic()
        if self.context.deadline.passed and not isinstance(step, ClearStep | RetireStep):
            result.result, result.detail = "failed", "not begun: --timeout was over"
            self.reporter.fail(step.name, result.detail)
            raise StepFailed(f"--timeout was over before this step: {step.title}", fix="Run it again with a longer --timeout.", code=Code.TIMEOUT)  # fmt: skip
        entry = await self._changes.begin(step) if step.changes else None
        try:
            done = await step.do()
            self.handoff.beside_others |= done.unneeded
            if step is self.handoff:
                await self._outlast_others()
                await self._pull_again()
        except PullkeyError as error:
            result.result, result.detail = "failed", error.what
            self.reporter.fail(step.name, error.what)
            if entry is not None:
                self._changes.failed(step, entry, error.what)
            raise
        result.seconds = round(clock.monotonic() - begin, 3)
        result.result, result.detail = "done", done.detail
        if done.left_over is not None:
            self.outcome.left_over.append(done.left_over)
        if step.name == "key":
            await self._note_replaced()
        if entry is not None:
            await self._changes.done(step, entry, done)
        if step is self.handshake:
            if self.handshake.proven:
                self.outcome.proven = done.detail
                self._remember_proof()
            else:
                self.outcome.unproven = done.detail
        self.reporter.finish(step.name, done.sentence(step.title), result.seconds)

    async def _outlast_others(self) -> None:
        """Where other runs have made a key meanwhile, wait until they have given way, or have taken this one's place.

        One that had looked at Akka's record before this run registered may register over it after it was read back.

        Raises:
            Overtaken: one has; this run gives way.
        """
        deadline = Deadline(min(_OTHERS_SECONDS, self.context.deadline.left))
        while not deadline.passed and await self._others_at_work():
            await asyncio.sleep(min(1.0, deadline.left))
            await self.handoff.look_again()
            self._keys_now.forget()

    async def _pull_again(self) -> None:
        """A run that has created what this one uses may have failed since, and not have seen this one's key when it undid it.

        Raises:
            StepFailed: the new key does not pull any more.
        """
        if self.handoff.beside_others and self.wishes.wait:
            await self.handshake.do()

    async def _others_at_work(self) -> bool:
        """Whether the identity has keys that were not there when this run began and are not its own, as far as is seen."""
        made, before = self.session.credential, self._changes.keys_before
        if not self.wishes.name_strays or before is None or made is None:
            return False
        try:
            now = {key.key_id for key in await self._keys_now()}
        except Exception as error:  # noqa: BLE001  - Akka has the key; to look was an offer
            self.context.trace(f"other keys of the identity cannot be seen ({type(error).__name__})")
            return False
        return bool(now - before - {made.link.key_id})

    def _remember_proof(self) -> None:
        if self.proofs is not None and self.session.credential is not None:
            self.proofs.remember(self.session.credential.link.key_id)

    async def _note_replaced(self) -> None:
        """The new credential says which key it replaces, for whoever is to delete that one."""
        made = self.session.credential
        link, _ = await key_in_record(self.session, await self._held())
        if (
            made is not None
            and link is not None
            and not self.session.key.supplied
            and link.key_id != made.link.key_id
        ):
            self.session.credential = replace(made, link=made.link.replacing(link.key_id))

    async def _recover(self, lost: Record) -> None:
        """Clear up after a run that did not end. Identity and grant stay: this run wants the same ones.

        Raises:
            Refused: Akka or the cloud cannot be asked.
        """
        self.outcome.who = await self._examination.connect()
        if problems := await self._examination.akka_problems():
            raise Refused(problems)
        self._notice(f"{sentence(lost.summary)} Clearing up after it.")
        if not self.wishes.yes and not self.reporter.confirm("Remove what it created that is unused?"):
            raise Declined
        self.changing = True
        recovery = Recovery(self.session, self.akka, self.journal, self.reporter, self.part_with)
        try:
            await recovery.clear_up(lost, await self._held())
        finally:
            self.outcome.left_over += recovery.left_over
            self.outcome.undone += recovery.undone
            for what in recovery.undone:
                self.context.audit(Change("recovery", what, "undone", who=self.outcome.who))
            for left in recovery.left_over:
                self.context.audit(Change("recovery", left.what, "left over", who=self.outcome.who))
        self._changes.adopt(recovery.kept)
        self._recovery = recovery
        if recovery.whole is not None:
            # That Akka shows less than it was given is no reason to replace its key.
            self._examination.complete(recovery.whole)

    async def _settle(self) -> None:
        """Akka shows this run's key: what an earlier one has left, since Akka might have held it, may go now."""
        if self._recovery is None:
            return
        for left in await self._recovery.settle():
            self.outcome.left_over.remove(left)
        self.outcome.left_over += self._recovery.left_over
        for what in self._recovery.undone:
            if what not in self.outcome.undone:
                self.outcome.undone.append(what)
                self.context.audit(Change("recovery", what, "undone", who=self.outcome.who))

    async def _name_strays(self) -> None:
        """A key that a lost run on another machine has left: only the clouds know of it, and nobody of what use it is."""
        link, _ = await key_in_record(self.session, await self._held())
        made = self.session.credential.link if self.session.credential else None
        known = {key for one in (link, made) if one is not None for key in (one.key_id, one.replaces) if key}
        told = " ".join(f"{one.what} {one.command}" for one in self.outcome.left_over)
        for text in await strays(self.session, self.akka, known, told, keys=self._keys_now):
            self._notice(text)

    def _notice(self, text: str, *, warning: bool = False) -> None:
        self.outcome.notices.append(text)
        if warning:
            self.outcome.warnings.append(text)
            self.reporter.warning(text)
        else:
            self.reporter.notice(text)

    def _question(self, pending: Sequence[Step]) -> str:
        """What is about to be granted, on what, and to whom."""
        name, where = self.wishes.secret_name, self.akka.resolved.label
        granted = [step.title for step in pending if step.name == "grant"]
        if self.wishes.grace is not None:
            last = f"Replace the key of {name} in {where}"
        elif self.handoff in pending:
            last = f"Register {name} in {where}"
        else:
            last = f"Repair what {name} in {where} needs"
        return f"{', and '.join([*granted, last[:1].lower() + last[1:] if granted else last])}?"


def all_steps(session: Session, context: RunContext, akka: AkkaCli, secret_name: str) -> list[Step]:
    """All the steps of a target, for readers that do none of them."""

    async def nothing() -> Any:
        raise AssertionError("a reader does no step")

    handshake = HandshakeStep(
        session, context, challenge=nothing, key_pending=nothing, compares=nothing, patience=Patience()
    )
    return [*session.steps, handshake, HandoffStep(session, context, akka, secret_name, key_pending=nothing)]


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them is through."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
