"""The changes of a run: record each intent before the call, log each outcome, and undo all on failure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from bootstrap.akka.cli import AkkaCli
from bootstrap.engine import messages
from bootstrap.engine.errors import AkkaHoldsNewKey
from bootstrap.engine.handoff import ASKED, HandoffStep
from bootstrap.engine.journal import Entry, Journal
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.result import Result
from bootstrap.engine.run_options import RunOptions
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import LeftOver, PullkeyError
from bootstrap.model.shell_text import filled_in
from bootstrap.plugin.context import RunContext, nothing_is_undone
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, EngineStep, Step, StepRole, StillThere, UsedByOthers

_UNDO_ALL_SECONDS = 60.0
# For how long nobody else's key counts as seen: the time of the request that follows.
_CHECK_LASTS_SECONDS = 0.2


class _UseUnknown(Exception):
    """Neither Akka nor the cloud shows whether another run's key needs an object."""


class Transaction:
    """The changes of one run, in the order in which they were started.

    Attributes:
        keys_before: the ids of the identity's keys before the first change; None if they could not be read.
        held_before: the ids of the keys that Akka's record named then.
    """

    def __init__(
        self,
        session: Session,
        context: RunContext,
        akka: AkkaCli,
        journal: Journal,
        reporter: Reporter,
        options: RunOptions,
        result: Result,
    ) -> None:
        self._session = session
        self._context = context
        self._akka = akka
        self._journal = journal
        self._reporter = reporter
        self._options = options
        self._result = result
        self._entries: list[tuple[Step, Entry]] = []
        self._promised: dict[str, tuple[Step, Entry]] = {}
        self._of_regions: list[Entry] = []
        """Of the keys that other regions of Akka's show."""
        self.keys_before: set[str] | None = None
        self.held_before: set[str] = set()

    def promise(self, step: Step) -> None:
        """Record a later step's intent now, so that the next run does it if this one is killed before."""
        self._promised[step.name] = step, self._journal.about_to(step.name, step.intent())

    async def note_keys_of_regions(self, held: HeldCredential | None) -> None:
        """Record the keys that only other regions than the first show: the run replaces them too, and once
        they show its key, no record names them.
        """
        if held is None or self._session.key.supplied:
            return
        link, _ = await key_in_record(self._session, held)
        named = {link.key_id, link.replaces} if link is not None else set()
        named |= {str(entry.known.get("key_id")) for entry in self._journal.entries}
        owned = {one.key_id for one in held.links if self._session.key.owns(one)}
        for key_id in sorted(owned - named):
            entry = await asyncio.to_thread(self._journal.about_to, EngineStep.RETIRE, {"key_id": key_id})
            self._of_regions.append(entry)

    def leave_keys_of_regions(self) -> None:
        """Leave them to the next run, which deletes each once no region shows it."""
        for entry in self._of_regions:
            key_id = str(entry.known["key_id"])
            left = LeftOver(messages.key_of_another_region(key_id), self._options.command)
            self._result.left_over.append(left)
            entry.leave(left)
            self._context.audit(
                Change(EngineStep.RETIRE, left.what, ChangeOutcome.LEFT_OVER, key_id, self._result.who)
            )
        self._of_regions = []

    async def begin(self, step: Step) -> Entry:
        """Record what the step is about to create, in a thread, so that other steps and targets continue.

        Raises:
            PullkeyError: it cannot be written, so the step must not be done.
        """
        _, entry = self._promised.get(step.name, (step, None))
        if entry is None:
            entry = await asyncio.to_thread(self._journal.about_to, step.name, step.intent())
        self._entries.append((step, entry))
        return entry

    def failed(self, step: Step, entry: Entry, what: str) -> None:
        """Log that a step failed. Whatever it may have created is still to be undone."""
        self._record(step, entry, what, ChangeOutcome.FAILED)

    async def done(self, step: Step, entry: Entry, done: Done) -> None:
        """Record what the step has created. A step that created nothing needs no undo."""
        if done.left_over is not None:
            left = entry
            if done.made is None:
                self._entries.remove((step, entry))
            else:
                # What was created is undone by an entry of its own.
                known = {**entry.intent, **done.left_known}
                left = await asyncio.to_thread(self._journal.about_to, step.name, known)
            left.leave(done.left_over)
            self._promised.pop(step.name, None)
            self._record(step, left, done.left_over.what, ChangeOutcome.LEFT_OVER)
            if left is entry:
                return
        if done.made is None:
            self._entries.remove((step, entry))
            self._promised.pop(step.name, None)
            await asyncio.to_thread(self._journal.drop, entry)
        else:
            made = {**(entry.made or {}), **done.made}
            entry.made = made  # set it before the write: an undo may start meanwhile
            with self._once_registered(step):
                await asyncio.to_thread(self._journal.has_made, entry, made)
        await self._result.note_login(self._session)
        self._record(step, entry, done.detail or done.sentence(step.title), ChangeOutcome.DONE)

    @staticmethod
    def _once_registered(step: Step) -> AbstractContextManager[None]:
        """Once a registration was sent, a full disk is no reason to undo it."""
        return (
            contextlib.suppress(PullkeyError) if isinstance(step, HandoffStep) else contextlib.nullcontext()
        )

    async def note_registration(self, what: str) -> None:
        """Record how far the registration has come, for a run that cleans up after this one.

        Raises:
            PullkeyError: it cannot be written, and the registration was not sent yet.
        """
        for step, entry in self._entries:
            if isinstance(step, HandoffStep):
                with contextlib.nullcontext() if what == ASKED else self._once_registered(step):
                    made = {**(entry.made or {}), what: True}
                    await asyncio.to_thread(self._journal.has_made, entry, made)

    def adopt(self, entries: Sequence[tuple[Step, Entry]]) -> None:
        """Add what a lost run has created and this one uses, to be undone if this one fails."""
        self._entries += entries

    def leave_adopted(self) -> None:
        """Leave what a lost run has created to the next run, since a key that may need it is left over."""
        for step, entry in self._entries:
            what = messages.kept_for_key_left_over(step.title)
            left = entry.left_over or [LeftOver(what, self._undo_command(step, entry))]
            for one in left:
                self._leave(step, entry, one)
            entry.leave(*left)
        self._journal.leave()

    def unfinished(self) -> list[str]:
        """The steps that were started and not undone, one line each."""
        return [f"Not rolled back: {step.title}" for step, _ in self._entries]

    async def undo(self) -> None:
        """Undo all steps in reverse order. A failure does not stop the others, unless Akka holds the key.

        The result lists what was undone and what is left over. No error of an SDK is raised.
        """
        self._session.context.undo_deadline = undo_deadline = Deadline(_UNDO_ALL_SECONDS)
        for deadline in (undo_deadline, self._context.deadline):
            deadline.settle()
        with_identity: list[tuple[Step, Entry]] = []
        for step, entry in reversed(self._entries):
            if step.name == EngineStep.RETIRE:
                continue  # a key that was to be retired is left to the next run, or is Akka's again
            if step in self._session.steps and step.name != StepRole.KEY:
                kept = await self._undo_unless_used(step, entry)
                if step.name == StepRole.IDENTITY and (kept or entry.left):
                    await self._undo_without_identity(with_identity)
                continue
            reported = len(self._result.undone) + len(self._result.left_over)
            if not await self._undo(step, entry):
                break
            if step.name == StepRole.KEY and reported == len(self._result.undone) + len(
                self._result.left_over
            ):
                with_identity.append((step, entry))
        for _, entry in with_identity:
            self._journal.drop(entry)
        if self._result.left_over:
            self._journal.leave()
        else:
            self._journal.end()

    async def _undo_unless_used(self, step: Step, entry: Entry) -> bool:
        """Undo an identity or a grant. Return whether it was kept because another run's key needs it.

        Others may have found what a lost run created before this run started, and a run that found it may
        have created its key only now: so check right before each request that removes it.
        """
        before = set() if entry.intent.get("lost") else self.keys_before or set()
        checked = -_CHECK_LASTS_SECONDS

        async def check() -> None:
            nonlocal checked
            if clock.monotonic() - checked < _CHECK_LASTS_SECONDS:
                return
            others = await self._concurrent_keys(before)
            if others is None:
                raise _UseUnknown
            if others:
                raise UsedByOthers(others[0])
            checked = clock.monotonic()

        self._session.context.check_unused = check
        try:
            await check()
            await self._undo(step, entry)
        except _UseUnknown:
            self._leave_unseen(step, entry)
        except UsedByOthers as finding:
            text = messages.kept_for_another_run(step.title, finding.key_id)
            self._result.notices.append(text)
            self._reporter.notice(text)
            self._journal.drop(entry)
        else:
            return False
        finally:
            self._session.context.check_unused = nothing_is_undone
        return True

    async def _undo_without_identity(self, keys: list[tuple[Step, Entry]]) -> None:
        """Delete the keys that would have been deleted with the identity, since the identity is kept."""
        for step, entry in keys:
            entry.intent["identity_stays"] = True
            await self._undo(step, entry)
        keys.clear()

    def _leave_unseen(self, step: Step, entry: Entry) -> None:
        """Keep an object if neither Akka nor the cloud shows whether another run's key needs it."""
        what = messages.kept_since_use_is_unknown(step.title)
        self._leave(step, entry, LeftOver(what, self._undo_command(step, entry)))

    async def _concurrent_keys(self, before: set[str]) -> list[str] | None:
        """The keys of the identity that are not in `before`; None if neither Akka nor the cloud can be read.

        A key that Akka's record names only now counts however old it is: its run had not finished before.
        """
        made = self._session.credential
        # A credential may not have been made of a key that was created.
        own = {made.link.key_id if made else self._session.key.answered} - {""}
        # Before this run registers, a record with its key's id is another run's: two passwords generated at
        # the same moment have the same id.
        registered = own if self.registering else set()
        found: set[str] = set()
        seen = False
        try:
            held = await self._akka.credential(self._options.secret_name)
            link, _ = await key_in_record(self._session, held)
            found |= {link.key_id} - (before & self.held_before) - registered if link is not None else set()
            seen = True
        except Exception as error:  # noqa: BLE001  - undo continues whatever the answer
            self._context.trace(f"what Akka holds cannot be seen ({type(error).__name__})")
        # If Akka does not answer, the cloud still shows another run's key, and vice versa.
        try:
            if self.keys_before is not None:
                key = self._session.key
                found |= {one.key_id for one in await key.list_ours()} - before - own - {*key.deleted}
                seen = True
        except Exception as error:  # noqa: BLE001
            self._context.trace(f"other keys of the identity cannot be seen ({type(error).__name__})")
        return sorted(found) if seen else None

    async def _undo(self, step: Step, entry: Entry) -> bool:
        """Undo one step. Return False if the steps before it must be kept."""
        try:
            undone = await step.undo(entry.known)
        except AkkaHoldsNewKey as finding:
            what = f"{finding}; its key, role and identity were kept"
            self._leave(step, entry, LeftOver(what, self._options.command))
            self.leave_replaced(lambda key_id: messages.replaced_key_kept(key_id, self._options.command))
            self.leave_keys_of_regions()
            return False
        except StillThere as finding:
            self._leave(step, entry, LeftOver(finding.what, finding.command))
            return True
        except (UsedByOthers, _UseUnknown):
            raise
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything, and the other steps are still to be undone
            what = f"step {step.name} could not be undone: {as_user_error(error).what}"
            self._leave(step, entry, LeftOver(what, self._undo_command(step, entry)))
            return not isinstance(step, HandoffStep)  # Akka may hold its key
        if undone:
            self._result.undone.append(undone)
            self._reporter.undone(undone)
            self._record(step, entry, undone, ChangeOutcome.UNDONE)
        if step.name in self._result.steps and self._result.steps[step.name].result == "done":
            self._result.steps[step.name].result = "undone"
        if undone or step.name != StepRole.KEY or entry.intent.get("identity_stays"):
            self._journal.drop(entry)
        return True

    def leave_replaced(self, left_as: Callable[[str], LeftOver]) -> LeftOver | None:
        """Leave the key that was to be retired to the next run. Return the left-over; None if there is none.

        Args:
            left_as: describes it, by its id.
        """
        step, entry = self._promised.pop(EngineStep.RETIRE, (None, None))
        if step is None or entry is None or self._session.key.supplied:
            return None
        left = left_as(str(entry.known.get("key_id")))
        self._leave(step, entry, left)
        return left

    @property
    def registering(self) -> bool:
        """Whether the registration has begun."""
        return any(isinstance(step, HandoffStep) for step, _ in self._entries)

    def _leave(self, step: Step, entry: Entry, left: LeftOver) -> None:
        """Report what is left over of a step: in the result, in the journal and in the audit trail."""
        self._result.left_over.append(left)
        entry.leave(left)
        self._record(step, entry, left.what, ChangeOutcome.LEFT_OVER)

    def _undo_command(self, step: Step, entry: Entry) -> str:
        """The command that undoes a step by hand."""
        if step.name == StepRole.KEY:
            key_id = entry.known.get("key_id") or self._session.key.answered
            return self._session.key.delete_command(key_id) if key_id else self._options.command
        command = filled_in(step.script().undo.partition("\n")[0], self._session.script_variables())
        # A command with variables of the whole script cannot be typed. The next run cleans up by the journal.
        return self._options.command if not command or "$" in command else command

    def _record(self, step: Step, entry: Entry, what: str, outcome: ChangeOutcome) -> None:
        key_id = entry.known.get("key_id") or ""
        self._context.audit(Change(step.name, what, outcome, str(key_id), self._result.who))
