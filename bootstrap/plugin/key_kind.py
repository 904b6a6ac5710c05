"""What a provider says of its kind of key: how keys are created, read, deleted and listed, what marks
them, and what they are called.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

from bootstrap.model import clock
from bootstrap.model.credential import Credential
from bootstrap.model.errors import LeftOver, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.keys import Keys
from bootstrap.plugin.resource import CloudStep, NotShownYet
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Intent, StillThere

K = TypeVar("K")
N = TypeVar("N")

SETTLE_PAUSES = (2.0, 2.0, 3.0)
"""Before each further look for a key whose creation had no answer: lists lag."""


class KeyKind(Keys, CloudStep, Generic[K, N]):
    """What `KeyResource` builds on. `K` is what the cloud shows of a key, `N` what it answers to its
    creation, secret included.
    """

    name = "key"
    after: tuple[str, ...] = ("identity",)
    word = "key"
    """What a key is called: `token`, `secret`."""
    whose = ""
    """Behind the word and the id, whose it is: ` of EMAIL`."""
    marked = True
    """Whether a key shows which run created it; else the list from before tells it from those that were
    there.
    """
    keeps_list: bool | None = None
    """Whether the keys from before are noted; by default only where keys are not marked."""
    goes_with_identity = False
    """Whether a key is deleted with its identity, so that it needs no undoing where this run created that,
    too.
    """
    asks_two_places = False
    """Whether `read` asks two places that do not lag together (the list, and by id), so that one read is
    enough.
    """
    undo_pauses: tuple[float, ...] = SETTLE_PAUSES
    """Between the looks of an undo for keys of this run."""
    doubles_pauses: tuple[float, ...] = ()
    """Between the looks for keys of this run beside the one that was answered."""
    verbs = ("enable", "disable")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.created: set[str] = set()
        """The keys whose creation was answered; a read may not show them yet."""
        self.before: Sequence[str] | None = None
        """The keys that were there before the creation; None where they were not listed."""
        if self.keeps_list is None:
            self.keeps_list = not self.marked

    # -- calls -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def read(self, key_id: str) -> K | None:
        """What the cloud shows of a key now; None if it shows none.

        Raises:
            ApiError: it may not be read, or there was no answer.
        """

    @abstractmethod
    def facts_of(self, shown: K) -> KeyFacts:
        """What is shown, as every provider says it."""

    @abstractmethod
    async def create(self) -> N:
        """Ask the cloud once to create a key.

        Raises:
            ApiError: it is refused, or there was no answer.
        """

    @abstractmethod
    def id_of(self, answer: N) -> str:
        """The id of the key that was created."""

    @abstractmethod
    async def credential_of(self, answer: N) -> Credential:
        """The credential that Akka is given."""

    @abstractmethod
    async def send_deletion(self, key_id: str) -> object:
        """Ask the cloud to delete a key, whatever reads show.

        Raises:
            ApiError: there is none to delete (`missing`), or it is refused.
        """

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        """Ask the cloud to disable or enable a key; only where `can_disable`."""
        raise NotImplementedError

    async def of_run(self, intent: Intent) -> Sequence[str]:
        """The keys that the run of an intent created, by their mark; only where `marked`."""
        raise NotImplementedError

    def is_marked(self, intent: Intent) -> bool:
        """Whether the key of the run of an intent shows that it is of that run."""
        del intent
        return self.marked

    async def ids_now(self) -> Collection[str]:
        """The ids of all keys of the identity; only where `keeps_list`."""
        raise NotImplementedError

    async def ids_seen(self) -> Collection[str]:
        """As `ids_now`; a provider that keeps what it has read answers from that."""
        return await self.ids_now()

    @property
    def identity_created(self) -> bool:
        """Whether this run has created the identity."""
        return False

    def unfit(self, shown: K) -> str:
        """Why a key is of no use, as the end of "the key that Akka holds, ID, ..."; "" where it is of use."""
        facts = self.facts_of(shown)
        if facts.disabled:
            return "is disabled"
        return "has expired" if facts.expires is not None and facts.expires <= clock.now() else ""

    def creation_delay(self, error: Exception) -> Delay | None:
        """As `delay`, of a creation."""
        return self.delay(error)

    def may_be_created(self, error: ApiError) -> bool:
        """Whether an error leaves it open whether the key was created."""
        return error.unanswered

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        """As `refusal`, of a creation."""
        return self.refusal(error, f"create a {self.word}{self.whose}")

    def lagging(self, error: ApiError, key_id: str) -> ApiError:
        """The error that the cloud does not know a key yet: it is asked again."""
        del key_id
        return NotShownYet(error)

    def named(self, key_id: str) -> str:
        """One key, or several, in a sentence."""
        return f"{self.word} {key_id}{self.whose}"

    def shown_as(self, key_id: str) -> str:
        """What is asked for where a key is read; all of them for ""."""
        return self.named(key_id) if key_id else f"the {self.word}s{self.whose}"

    def created_as(self, answer: N) -> str:
        """What was created, in a few words."""
        return f"{self.word} {self.id_of(answer)}"

    def held_as(self, key_id: str) -> str:
        """The key that Akka holds, in a few words."""
        return f"{self.word} {key_id}"

    def undone_as(self, keys: Sequence[str], intent: Intent) -> str:
        """What was undone, in a few words."""
        del intent
        return f"deleted {self.word} {', '.join(keys)}{self.whose}"

    def gone_as(self, key_id: str) -> str:
        """That a key which was to be switched was deleted."""
        named = self.named(key_id)
        return f"{named[:1].upper()}{named[1:]} was deleted"

    def lost_as(self, error: ApiError, appeared: Sequence[str]) -> str:
        """That a creation had no answer, and that keys have appeared since."""
        return (
            f"{error.service} did not answer the creation of a {self.word} "
            f"({error.code or error.status}), and {self.word} {', '.join(appeared)} has appeared since; "
            "its secret is lost"
        )

    def perhaps_as(self, keys: Sequence[str]) -> LeftOver:
        """That keys have appeared which may be in use: one is never deleted on a guess."""
        what = f"{self.word} {', '.join(keys)}{self.whose}, which appeared during the run and may be unused"
        return LeftOver(what, "; ".join(map(self.delete_command, keys)))

    def still_there(self, intent: Intent, why: str) -> StillThere:
        """That what a run has created, or may have, could not be deleted."""
        key_id = str(intent.get("key_id") or "")
        what = self.named(key_id) if key_id else f"a {self.word} that may have been created{self.whose}"
        return StillThere(f"{what} ({why})", self.delete_command(key_id))

    async def prepare(self) -> None:
        """What must be known before a key is created; asked for again by `do` only where `look` could not."""
        if self.keeps_list and self.before is None:
            self.before = sorted(await self.ids_seen())

    def invalidate(self) -> None:
        """Forget what was read of the keys: one was created, deleted or switched."""

    async def before_creation(self) -> None:
        """What is asked for before each request to create a key."""
