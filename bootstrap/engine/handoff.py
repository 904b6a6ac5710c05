"""Registers a new credential with Akka, and decides by what Akka shows whether the new key may ever go again.

Once Akka was given a key, undoing must not delete it unless Akka is seen to hold another one that works: a
list that lags, or shows less than it was given, is no sign that Akka does not pull with it.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.record_match import RecordMatch, likeness
from bootstrap.akka.refusals import ChangeRefused
from bootstrap.engine.pull_check import is_seen_to_work
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import Absent, Present, confirm_absent
from bootstrap.plugin.recorded_key import key_in_record, usable_key
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, Intent, Script, State, Step, StepStatus

HANDOFF = "handoff"
# In the journal, of a registration: how far it has come.
ASKED = "asked"
"""`add-credentials` was about to be called."""
ACCEPTED = "accepted"
"""It has ended well."""
REFUSED = "refused"
"""It was refused before anything was written."""

# How long Akka is given to show the same in all its regions; it copies on its own time.
_READ_BACK_SECONDS = 120.0
# How long it is given to show the new record at all, in place of none or of the one before it.
_SHOWN_SECONDS = 60.0
# How long it is looked at after `add-credentials` has ended with an error: it may have written all the same.
_REFUSED_SECONDS = 7.0
# How long a record is looked at that shows something else than the new one or the one before it.
_ELSE_SECONDS = 6.0


class LostRace(StepFailed):
    """Another run has changed Akka's record meanwhile."""

    code = Code.RACE_LOST


class AkkaHoldsNewKey(Exception):
    """The registration cannot be taken back, so the key behind it must stay."""


class _Answer(Enum):
    """How `add-credentials` has ended."""

    NOT_ASKED = auto()
    ACCEPTED = auto()
    REFUSED = auto()
    """In words that are recognised: nothing was written."""
    UNKNOWN = auto()
    """Not at all, or with an error that may have come after it wrote."""


class _Shows(Enum):
    """What Akka shows, compared with what this run gave it."""

    OURS = auto()
    OURS_CUT = auto()
    OLDER = auto()
    NONE = auto()
    ANOTHER = auto()


class HandoffStep(Step):
    """Registers the credential with Akka and reads it back."""

    name = HANDOFF
    after = ("handshake",)

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
        self._before: HeldCredential | None = None
        self.keys_before: set[str] = set()
        """The identity's keys before the first change: a record that names one may be an older one."""
        self.registered: Callable[[], object] = lambda: None
        """Called once Akka has accepted it, while it is read back."""
        self.beside_others = False
        """Whether another run is known to be at work at the same time, so that Akka's record may be its
        own by now.
        """
        self.note: Callable[[str], Awaitable[None]] = _nothing
        """Writes down how far the registration has come, before anything else is done."""
        self._answer = _Answer.NOT_ASKED
        self._looked = False
        """Whether Akka's record was looked at for as long as a refusal takes to be believed."""
        self._contested = False
        """Whether Akka has shown another run's key since it was given this run's."""
        self._unconfirmed = ""
        """What Akka shows in place of what it has accepted."""

    @property
    def title(self) -> str:
        return f"Register {self._secret_name} in Akka"

    async def look(self) -> StepStatus:
        self._before = await self._context.held_credential()
        link, reason = await usable_key(self._session)
        if link is not None and await self._key_pending():
            return StepStatus(State.MISSING, "the key that Akka holds is of no use")
        return StepStatus(State.DONE if link else State.MISSING, reason)

    def intent(self) -> Intent:
        credential = self._session.credential
        given = self._as_given(credential) if credential else None
        return {
            "secret_name": self._secret_name,
            "key_id": credential.link.key_id if credential else "",
            "replaces": self._before.email if self._before else None,
            "older": sorted(self.keys_before),
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
            # It may have been done all the same, which Akka's record shows.
            seen = await self._read_back(credential)
            self._looked = True
            if self._differs(seen) is None:
                self._answer = _Answer.ACCEPTED
                return Done(f"Akka shows it, though {error.what}", {})
            raise
        self.registered()
        seen = await self._read_back(credential)
        if seen is not None and self._differs(seen) is None:
            return Done(f"Akka shows it with status {seen.status or 'OK'}", {})
        raise self._something_else(seen)

    async def _read_back(self, credential: Credential) -> HeldCredential | None:
        """Akka's record, once it shows what it was given, or surely something else; or as it was seen
        last.
        """
        left = max(self._context.deadline.left, 5.0)
        at_most = _READ_BACK_SECONDS if self._answer is _Answer.ACCEPTED else _REFUSED_SECONDS
        whole, shown, other = (
            Deadline(min(seconds, left)) for seconds in (at_most, _SHOWN_SECONDS, _ELSE_SECONDS)
        )
        pause, told = 0.0, False
        while True:
            seen = await self._akka.credential(self._secret_name)
            if self._differs(seen) is None:
                return seen
            what = self._what(seen)
            enough = (
                whole
                if what is _Shows.OURS and seen is not None and seen.lagging_regions
                else shown
                if what in (_Shows.NONE, _Shows.OLDER)
                else other
            )
            if whole.passed or enough.passed:
                return seen
            if self._answer is _Answer.ACCEPTED and await self._is_dead(seen):
                await self._register(credential)
            pause = min(pause + 1, 10.0)
            if seen is not None and seen.lagging_regions and not told:
                told = True
                self._context.tell(
                    f"Akka copies it to its other regions ({seen.lagging_regions} does not show it yet)."
                )
            await asyncio.sleep(min(pause, whole.left))

    async def _register(self, credential: Credential) -> None:
        first = self._answer is _Answer.NOT_ASKED
        await self.note(ASKED)
        self._answer = _Answer.UNKNOWN
        try:
            await self._akka.add_credentials(self._secret_name, credential)
        except ChangeRefused:
            if first:
                self._answer = _Answer.REFUSED
                await self.note(REFUSED)
            raise
        finally:
            self._context.deadline.settle()
        self._answer = _Answer.ACCEPTED
        await self.note(ACCEPTED)

    async def look_again(self) -> None:
        """Whether Akka still has it: another run that had looked before may have registered its own after
        this one.

        Raises:
            Overtaken: it has.
            StepFailed: Akka shows something else, or cannot be asked.
        """
        shown: HeldCredential | None = None

        async def as_given() -> HeldCredential | None:
            nonlocal shown
            shown = await self._akka.credential(self._secret_name)
            return shown if self._differs(shown) is None else None

        # It was shown before: one list without it may be an older one.
        if not isinstance(await confirm_absent(as_given, contradicted_by="Akka has shown it"), Present):
            raise self._something_else(shown)

    def _something_else(self, seen: HeldCredential | None) -> StepFailed:
        """What it means that Akka shows something else than it has accepted."""
        what = self._what(seen)
        if what is _Shows.ANOTHER and seen is not None and seen.link is not None:
            self._contested = True
            return LostRace(
                f"Another run has registered key {seen.link.key_id} as {self._secret_name} over "
                "this one's, so this run yields",
                fix="Akka has that credential; see: pullkey list",
            )
        differs = self._differs(seen)
        if what is not _Shows.OURS or (seen is not None and seen.lagging_regions):
            self._unconfirmed = f"it shows {differs}"
        return StepFailed(
            f"Akka accepted the credential, and shows {differs}",
            fix=f"See: akka docker list-credentials {shlex.join(self._akka.scope.arguments())}".rstrip(),
            code=Code.AKKA_RECORD_DIFFERS,
        )

    async def _yield_to_winner(self) -> None:
        """Another run, on another machine, may have been faster: its key is in use, and would be lost sight
        of.

        Raises:
            Overtaken: Akka's record is another one than when this run began.
        """
        now = await self._akka.credential(self._secret_name)
        if now is None and (self._before is not None or self.beside_others):
            now = await read_twice(lambda: self._akka.credential(self._secret_name))
        if _mark(now) == _mark(self._before) or self._is_cut(now):
            return
        if now is None:
            raise LostRace(
                f"Akka's {self._secret_name} was removed while this run was under way",
                fix="Run it again, if it is to be there.",
                code=Code.CONCURRENT_CHANGE,
            )
        link, _ = await key_in_record(self._session, now)
        made = self._session.credential
        # Two passwords that were made in one second bear one id: the later one is good, and this run's is
        # proven.
        if await self._is_dead(now) or (link and made and link.key_id == made.link.key_id):
            return  # theirs is of no use to anybody, and this run's key is
        raise LostRace(
            "Another run has registered "
            f"{f'key {link.key_id}' if link else now.email or now.username} as {self._secret_name} "
            "during this run, so this run yields",
            fix="Akka has that credential; see: pullkey list",
        )

    # -- what Akka shows -------------------------------------------------------------------------------------

    def _as_given(self, credential: Credential) -> HeldCredential:
        return HeldCredential(
            self._secret_name, credential.server, credential.username, credential.email, "OK"
        )

    def _what(self, seen: HeldCredential | None) -> _Shows:
        credential = self._session.credential
        if seen is None:
            return _Shows.NONE
        if credential is not None:
            like = likeness(seen, self._as_given(credential))
            if like is RecordMatch.SAME:
                return _Shows.OURS
            if like is RecordMatch.CUT:
                return _Shows.OURS_CUT
        if _mark(seen) == _mark(self._before) or self._is_older(seen):
            return _Shows.OLDER
        return _Shows.ANOTHER

    def _is_cut(self, seen: HeldCredential | None) -> bool:
        """Whether it is the record from before this run, of which Akka shows less than it was given."""
        before = self._before
        return seen is not None and before is not None and likeness(seen, before) is RecordMatch.CUT

    def _is_older(self, seen: HeldCredential) -> bool:
        """Whether the record names a key from before this run, as a list that lags does."""
        return seen.link is not None and seen.link.key_id in self.keys_before

    async def _is_dead(self, seen: HeldCredential | None) -> bool:
        """Whether a record of another run's names a key that is not there any more."""
        link, _ = await key_in_record(self._session, seen)
        if link is None or self._what(seen) is not _Shows.ANOTHER or self._session.key.supplied:
            return False
        key_id = link.key_id
        found = await confirm_absent(
            lambda: self._session.key.facts(key_id),
            contradicted_by="Akka's record names it",
            deadline=self._context.deadline,
        )
        return isinstance(found, Absent)

    def _differs(self, seen: HeldCredential | None) -> str | None:
        """What Akka shows that is not as it should be; None where all is."""
        what = self._what(seen)
        if seen is None:
            return f"no credential named {self._secret_name}"
        if what is not _Shows.OURS:
            told = f"user {seen.username or '(blank)'}, e-mail {seen.email or '(blank)'}"
            if what is _Shows.OURS_CUT:
                return f"it with less than it was given: {told}"
            return f"server {seen.server or '(blank)'}, {told}"
        if seen.status.upper() not in ("OK", ""):
            return f"status {seen.status}"
        if seen.lagging_regions:
            return f"something else in {seen.lagging_regions}"
        return None

    # -- undoing ---------------------------------------------------------------------------------------------

    async def undo(self, intent: Intent) -> str:
        """Take the registration back, where that leaves Akka as it was.

        Raises:
            AkkaHoldsNewKey: Akka holds the key, or may hold it: it is not seen to hold another one that
                works.
        """
        if self._answer is _Answer.NOT_ASKED:
            return ""
        key, name = f"the new key {intent['key_id']}", intent["secret_name"]
        try:
            seen = await self._seen_at_last(name)
            if await self._holds_another(seen):
                return ""
            self._keep_if_held(seen, key, name, replaced=intent["replaces"] is not None)
            # The secret may be there without the project's reference to it.
            removed = await self._akka.remove_credentials(name)
        except PullkeyError as error:
            raise AkkaHoldsNewKey(f"Akka may hold {key} as {name} ({error})") from None
        if self._answer is _Answer.ACCEPTED and not removed:
            raise AkkaHoldsNewKey(f"Akka may hold {key} as {name}, though it says that none exists to remove")
        return f"removed {name} from Akka"

    async def _seen_at_last(self, name: str) -> HeldCredential | None:
        """What Akka shows, once that is sure: a list that lags shows an older record, this run's or
        another's.

        That this run's key is not shown is believed late; that it is shown, the second time, since what is
        then removed may be another run's by now. Where both were shown, what is shown last counts.
        """
        shown: HeldCredential | None = None
        times = 0

        async def ours() -> HeldCredential | None:
            nonlocal shown, times
            shown = await self._akka.credential(name)
            what = self._what(shown)
            times += what in (_Shows.OURS, _Shows.OURS_CUT)
            self._contested |= what is _Shows.ANOTHER
            return shown if times > 1 and not self._contested else None

        if self._answer is _Answer.REFUSED and self._looked:
            return await read_twice(lambda: self._akka.credential(name))
        await confirm_absent(ours, contradicted_by="Akka was given it")
        return shown

    async def _holds_another(self, seen: HeldCredential | None) -> bool:
        """Whether Akka is seen to hold another key than the new one, so that the new one is of use to
        nobody.
        """
        what = self._what(seen)
        if seen is None or what in (_Shows.OURS, _Shows.OURS_CUT):
            return False
        if self._answer is _Answer.REFUSED and self._looked:
            return True
        return what is _Shows.ANOTHER and await is_seen_to_work(self._session, seen)

    def _keep_if_held(self, seen: HeldCredential | None, key: str, name: str, *, replaced: bool) -> None:
        """Refuse to take back what cannot be taken back, or may not have been seen.

        Raises:
            AkkaHoldsNewKey: Akka holds the key, or may hold it.
        """
        what = self._what(seen)
        # By its name another run's registration would be removed, if that was shown and is passed over now.
        removable = not (replaced or self._unconfirmed or self._contested)
        if what in (_Shows.OURS, _Shows.OURS_CUT):
            if not removable:
                shows = f", though {self._unconfirmed}" if self._unconfirmed else ""
                raise AkkaHoldsNewKey(f"Akka already holds {key} as {name}{shows}")
        elif what is _Shows.NONE:
            if not removable:
                raise AkkaHoldsNewKey(f"Akka may hold {key} as {name}, though it shows no such credential")
        elif what is _Shows.OLDER:
            older = f", key {seen.link.key_id}" if seen is not None and seen.link is not None else ""
            raise AkkaHoldsNewKey(f"Akka may hold {key} as {name}, though it shows the one before it{older}")
        else:
            raise AkkaHoldsNewKey(
                f"Akka may hold {key} as {name}, though it shows one that is not seen to work"
            )

    def script(self) -> Script:
        words = self._session.script_credential
        scope = " ".join(shlex.quote(argument) for argument in self._akka.scope.arguments())
        tail = f" {scope}" if scope else ""
        name = shlex.quote(self._secret_name)
        return Script(
            do=(
                "akka docker add-credentials \\\n"
                f"  --secret-name={name} \\\n"
                f"  --docker-server={words['server']} \\\n"
                f"  --docker-username={words['username']} \\\n"
                f"  --docker-email={words['email']} \\\n"
                f"  --docker-password={words['password']}{tail}"
            ),
            check=f"akka docker list-credentials{tail} | grep -E "
            f"{shlex.quote(f'^{_literally(self._secret_name)} +OK ')}",
            # The published page says `delete-credentials`; the command is `remove-credentials` since CLI
            # 3.0.4.
            undo=f"akka docker remove-credentials {name}{tail}\nakka secrets delete {name}{tail}",
        )


def _literally(text: str) -> str:
    """As a regular expression of grep's that matches just this."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", text)


async def _nothing(_: str) -> None:
    pass


def given_by(intent: Intent) -> HeldCredential:
    """The record that Akka was to have, by the intent of a handoff."""
    return HeldCredential(
        intent["secret_name"],
        intent.get("server", ""),
        intent.get("username", ""),
        intent.get("email", ""),
        "OK",
    )


def _mark(held: HeldCredential | None) -> tuple[str, ...]:
    """What tells a record from the one that another run has put in its place."""
    return (held.server, held.username, held.email) if held is not None else ()
