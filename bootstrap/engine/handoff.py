"""Register a new credential with Akka, and decide by what Akka shows whether the registration can be undone.

Once Akka was given a key, undoing must not delete the key unless Akka is seen to hold another one that works.
A list that lags, or shows less than was registered, does not show that Akka does not pull with the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.refusals import ChangeRefused
from bootstrap.engine import messages_handoff as messages
from bootstrap.engine.errors import LostRace
from bootstrap.engine.handoff_script import handoff_script
from bootstrap.engine.pull_check import is_seen_to_work
from bootstrap.engine.record_comparison import RecordComparison, ShownRecord
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import Absent, Present, confirm_absent
from bootstrap.plugin.recorded_key import key_in_record, usable_key
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, EngineStep, Intent, Script, State, Step, StepStatus

# How far a registration has come, in the journal:
ASKED = "asked"
"""`add-credentials` was about to be called."""
ACCEPTED = "accepted"
"""It succeeded."""
REFUSED = "refused"
"""It was refused before anything was written."""

# Akka copies a record to its regions in its own time: how long to wait until all show the same.
_READ_BACK_SECONDS = 120.0
# How long to wait until the new record is shown at all, instead of none or the one before it.
_SHOWN_SECONDS = 60.0
# How long to read the record after `add-credentials` failed: it may have written something.
_REFUSED_SECONDS = 7.0
# How long to read a record that is neither the new one nor the one before it.
_ANOTHER_SECONDS = 6.0


class _Answer(Enum):
    """The outcome of `add-credentials`."""

    NOT_ASKED = auto()
    ACCEPTED = auto()
    REFUSED = auto()
    """With a recognised error: nothing was written."""
    UNKNOWN = auto()
    """No answer, or an error that may have come after it wrote something."""


class HandoffStep(Step):
    """Registers the credential with Akka and reads it back."""

    name = EngineStep.HANDOFF
    after = (EngineStep.HANDSHAKE,)

    def __init__(
        self,
        session: Session,
        context: RunContext,
        akka: AkkaCli,
        secret_name: str,
        *,
        key_pending: Callable[[], Awaitable[bool]],
    ) -> None:
        self._session = session
        self._context = context
        self._akka = akka
        self._secret_name = secret_name
        self._key_pending = key_pending
        self.record = RecordComparison(session, secret_name)
        self.registered: Callable[[], object] = lambda: None
        """Called once Akka has accepted the registration, before it is read back."""
        self.beside_others = False
        """Whether another run is known to be active, so that Akka's record may be that run's by now."""
        self.others_at_work: Callable[[], Awaitable[bool]] = _nobody
        """Whether the identity shows a key that another run has created during this one."""
        self.note: Callable[[str], Awaitable[None]] = _note_nothing
        """Writes to the journal how far the registration has come, before anything else is done."""
        self._answer = _Answer.NOT_ASKED
        self._reread = False
        """Whether the record was read, after an error, for long enough to accept that nothing was written."""
        self._contested = False
        """Whether Akka has shown another run's key since this run's was registered."""
        self._unconfirmed = ""
        """What Akka shows instead of the record that it accepted."""

    @property
    def title(self) -> str:
        return f"Register {self._secret_name} in Akka"

    async def look(self) -> StepStatus:
        self.record.before = await self._context.held_credential()
        link, reason = await usable_key(self._session)
        if link is not None and await self._key_pending():
            return StepStatus(State.MISSING, "the key that Akka holds is of no use")
        return StepStatus(State.DONE if link else State.MISSING, reason)

    def intent(self) -> Intent:
        credential, before = self._session.credential, self.record.before
        given = self.record.as_registered(credential) if credential else None
        return {
            "secret_name": self._secret_name,
            "key_id": credential.link.key_id if credential else "",
            "replaces": before.email if before else None,
            "older": sorted(self.record.keys_before),
            ASKED: False,
            "server": given.server if given else "",
            "username": given.username if given else "",
            "email": given.email if given else "",
        }

    async def do(self) -> Done:
        credential = self._session.credential
        if credential is None:
            raise AssertionError("the handoff comes after the key")
        await self._yield_to_winner()
        try:
            await self._register(credential)
        except StepFailed as error:
            # It may have been done despite the error, which Akka's record shows.
            seen = await self._read_back(credential)
            self._reread = True
            if self.record.difference(seen) is None:
                self._answer = _Answer.ACCEPTED
                return Done(messages.registered_despite(error), {})
            raise
        self.registered()
        seen = await self._read_back(credential)
        if seen is not None and self.record.difference(seen) is None:
            return Done(messages.registered(seen.status), {})
        raise self._mismatch(seen)

    async def _read_back(self, credential: Credential) -> HeldCredential | None:
        """Read Akka's record until it is as registered, or certainly another. Return it as last read."""
        left = max(self._context.deadline.left, 5.0)
        at_most = _READ_BACK_SECONDS if self._answer is _Answer.ACCEPTED else _REFUSED_SECONDS
        whole, until_shown, another = (
            Deadline(min(seconds, left)) for seconds in (at_most, _SHOWN_SECONDS, _ANOTHER_SECONDS)
        )
        pause, lag_shown = 0.0, False
        while True:
            seen = await self._akka.credential(self._secret_name)
            if self.record.difference(seen) is None:
                return seen
            what = self.record.classify(seen)
            enough = (
                whole
                if what is ShownRecord.OURS and seen is not None and seen.lagging_regions
                else until_shown
                if what in (ShownRecord.NONE, ShownRecord.OLDER)
                else another
            )
            if whole.passed or enough.passed:
                return seen
            if self._answer is _Answer.ACCEPTED and await self._names_deleted_key(seen):
                await self._register(credential)
            pause = min(pause + 1, 10.0)
            if seen is not None and seen.lagging_regions and not lag_shown:
                lag_shown = True
                self._context.tell(messages.copied_to_regions(seen.lagging_regions))
            await asyncio.sleep(min(pause, whole.left))

    async def _register(self, credential: Credential) -> None:
        first = self._answer is _Answer.NOT_ASKED
        await self.note(ASKED)
        self._answer = _Answer.UNKNOWN
        try:
            await self._akka.add_credentials(
                self._secret_name, credential, before_retry=lambda: self._check_again(credential)
            )
        except ChangeRefused:
            if first:
                self._answer = _Answer.REFUSED
                await self.note(REFUSED)
            raise
        finally:
            self._context.deadline.settle()
        self._answer = _Answer.ACCEPTED
        await self.note(ACCEPTED)

    async def _check_again(self, credential: Credential) -> None:
        """Check that a registration may be sent again: others may have changed something since it was sent.

        Raises:
            LostRace: Akka holds another run's key by now, or this run's was deleted.
        """
        await self._yield_to_winner()
        key_id = credential.link.key_id
        if self._session.key.supplied:
            return
        try:
            deleted = await self._is_deleted(key_id, "its creation was answered")
        except PullkeyError:
            return  # it was verified, and cannot be read now
        if deleted:
            raise messages.key_deleted_meanwhile(key_id, self._secret_name)

    async def look_again(self) -> str:
        """Check that Akka still has the record: a run that read it earlier may have registered over it.

        Returns:
            A notice if Akka cannot be read: it has shown the record, so that is no reason to take it back.

        Raises:
            LostRace: another run has registered its own.
            StepFailed: Akka shows another record.
        """
        shown: HeldCredential | None = None

        async def as_registered() -> HeldCredential | None:
            nonlocal shown
            shown = await self._akka.credential(self._secret_name)
            return shown if self.record.difference(shown) is None else None

        try:
            # It was shown before, so one list without it may be an older one.
            found = await confirm_absent(as_registered, contradicted_by="Akka has shown it")
        except PullkeyError as error:
            return messages.not_seen_again(self._secret_name, error, self._akka.scope)
        if not isinstance(found, Present):
            raise self._mismatch(shown)
        return ""

    def _mismatch(self, seen: HeldCredential | None) -> StepFailed:
        """The error for a record other than the one that Akka accepted."""
        what = self.record.classify(seen)
        if what is ShownRecord.ANOTHER and seen is not None and seen.link is not None:
            self._contested = True
            return messages.overwritten_by_another_run(seen.link.key_id, self._secret_name, self._akka.scope)
        difference = self.record.difference(seen)
        if what is not ShownRecord.OURS or (seen is not None and seen.lagging_regions):
            self._unconfirmed = f"it shows {difference}"
        return messages.record_differs(f"{difference}", self._akka.scope)

    async def _yield_to_winner(self) -> None:
        """Yield to a run on another machine that was faster: its key is in use, and its record must be kept.

        Raises:
            LostRace: Akka's record has changed since this run began.
        """
        now = await self._akka.credential(self._secret_name)
        if now is None and (self.record.before is not None or self.beside_others):
            now = await read_twice(lambda: self._akka.credential(self._secret_name))
        if self.record.is_same_as_before(now) or self.record.is_before_truncated(now):
            return
        if now is None:
            raise messages.record_removed_meanwhile(self._secret_name)
        link, _ = await key_in_record(self._session, now)
        made = self._session.credential
        # Two keys of the same moment may have the same id, if that is all it says: the later one is valid,
        # and this run's is verified.
        if await self._names_deleted_key(now) or (link and made and link.key_id == made.link.key_id):
            return  # the other run's key does not work, and this run's does
        what = f"key {link.key_id}" if link else now.email or now.username
        raise messages.registered_by_another_run(what, self._secret_name, self._akka.scope)

    async def _names_deleted_key(self, seen: HeldCredential | None) -> bool:
        """Whether it is another run's record whose key was deleted."""
        link, _ = await key_in_record(self._session, seen)
        if (
            link is None
            or self.record.classify(seen) is not ShownRecord.ANOTHER
            or self._session.key.supplied
        ):
            return False
        return await self._is_deleted(link.key_id, "Akka's record names it")

    async def _is_deleted(self, key_id: str, contradicted_by: str) -> bool:
        """Whether a key is no longer shown, after as many reads as contradicting evidence requires."""
        found = await confirm_absent(
            lambda: self._session.key.facts(key_id),
            contradicted_by=contradicted_by,
            deadline=self._context.deadline,
        )
        return isinstance(found, Absent)

    # -- undoing ---------------------------------------------------------------------------------------------

    async def undo(self, intent: Intent) -> str:
        """Remove the registration, if that leaves Akka as it was.

        Raises:
            AkkaHoldsNewKey: Akka holds the key or may hold it: it is not seen to hold another one that works.
        """
        if self._answer is _Answer.NOT_ASKED:
            return ""
        key_id, name = intent["key_id"], intent["secret_name"]
        try:
            seen = await self._settled_record(name)
            if await self._holds_another(seen):
                return ""
            await self._keep_if_held(seen, key_id, name, replaced=intent["replaces"] is not None)
            # The secret may exist without the project's reference to it.
            removed = await self._akka.remove_credentials(name, before_retry=self._check_no_other)
        except LostRace:
            return ""  # what was this run's is replaced
        except PullkeyError as error:
            raise messages.akka_unreadable(key_id, name, error) from None
        if self._answer is _Answer.ACCEPTED and not removed:
            raise messages.nothing_to_remove(key_id, name)
        return messages.removed_from_akka(name)

    async def _check_no_other(self) -> None:
        """Check that a removal may be sent again: it removes by name, and a lost answer takes a minute.

        Raises:
            LostRace: another run has registered its key under the name meanwhile.
        """
        now = await self._akka.credential(self._secret_name)
        if now is not None and now.link is not None and self.record.classify(now) is ShownRecord.ANOTHER:
            raise messages.overwritten_by_another_run(now.link.key_id, self._secret_name, self._akka.scope)

    async def _settled_record(self, name: str) -> HeldCredential | None:
        """Akka's record, read until it is certain: a lagging list shows an older record.

        Absence of this run's key is accepted after several reads, its presence at the second: what is removed
        afterwards may be another run's by then. If both were shown, the last read counts.
        """
        shown: HeldCredential | None = None
        times = 0

        async def ours() -> HeldCredential | None:
            nonlocal shown, times
            shown = await self._akka.credential(name)
            what = self.record.classify(shown)
            times += what in (ShownRecord.OURS, ShownRecord.OURS_TRUNCATED)
            self._contested |= what is ShownRecord.ANOTHER
            return shown if times > 1 and not self._contested else None

        if self._answer is _Answer.REFUSED and self._reread:
            return await read_twice(lambda: self._akka.credential(name))
        await confirm_absent(ours, contradicted_by="Akka was given it")
        return shown

    async def _holds_another(self, seen: HeldCredential | None) -> bool:
        """Whether Akka is seen to hold another working key, so that the new one can be deleted."""
        what = self.record.classify(seen)
        if seen is None or what in (ShownRecord.OURS, ShownRecord.OURS_TRUNCATED):
            return False
        if self._answer is _Answer.REFUSED and self._reread:
            return True
        return what is ShownRecord.ANOTHER and await is_seen_to_work(self._session, seen)

    async def _keep_if_held(
        self, seen: HeldCredential | None, key_id: str, name: str, *, replaced: bool
    ) -> None:
        """Refuse to remove a record that cannot be restored, or may not be this run's.

        Raises:
            AkkaHoldsNewKey: Akka holds the key or may hold it.
        """
        what = self.record.classify(seen)
        # Removal is by name: it would remove the record of another run too, which a list that lags does not
        # show, and which this run's registration may have replaced.
        removable = not (
            replaced
            or self._unconfirmed
            or self._contested
            or (self._answer is not _Answer.REFUSED and await self.others_at_work())
        )
        if what in (ShownRecord.OURS, ShownRecord.OURS_TRUNCATED):
            if not removable:
                raise messages.akka_holds_key(key_id, name, self._unconfirmed)
        elif what is ShownRecord.NONE:
            if not removable:
                raise messages.no_record_shown(key_id, name)
        elif what is ShownRecord.OLDER:
            older = seen.link.key_id if seen is not None and seen.link is not None else ""
            raise messages.older_record_shown(key_id, name, older)
        else:
            raise messages.unusable_record_shown(key_id, name)

    def script(self) -> Script:
        return handoff_script(
            self._secret_name, self._session.script_credential, self._akka.scope.printed_arguments()
        )


async def _note_nothing(_: str) -> None:
    pass


async def _nobody() -> bool:
    return False
