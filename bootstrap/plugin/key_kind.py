"""The provider's part of a key: how keys are created, read, deleted and listed, how they are marked, and
what they are called.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

from bootstrap.model.credential import Credential
from bootstrap.model.errors import LeftOver, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.plugin.deletion import NotShownYet
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.keys import Keys
from bootstrap.plugin.resource import CloudStep
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Intent, StepRole, StillThere

K = TypeVar("K")
N = TypeVar("N")

SETTLE_PAUSES = (2.0, 2.0, 3.0)
"""Seconds before each further read for a key whose creation got no answer: lists lag."""


class KeyKind(Keys, CloudStep, Generic[K, N]):
    """The methods and attributes that `KeyResource` builds on.

    `K` is what the cloud shows of a key, `N` its answer to a creation, with the secret.
    """

    name = StepRole.KEY
    after: tuple[str, ...] = (StepRole.IDENTITY,)
    word = "key"
    """What users call a key: `token`, `secret`."""
    whose = ""
    """The owner, appended to the word and the id: ` of EMAIL`."""
    marked = True
    """Whether a key shows which run created it. If not, new keys are recognised by a list taken before."""
    keeps_list: bool | None = None
    """Whether to list the existing keys before the creation; by default only if keys are not marked."""
    goes_with_identity = False
    """Whether deleting the identity deletes the key, so that undoing the identity is enough."""
    asks_two_places = False
    """Whether `read` combines two sources that lag independently (the list, and a read by id), so that one
    read is enough.
    """
    finds_lost_keys = False
    """Whether a key's mark says for which Akka secret it was created, and when its run must have ended."""
    undo_pauses: tuple[float, ...] = SETTLE_PAUSES
    """Seconds between the reads of an undo for keys of this run."""
    doubles_pauses: tuple[float, ...] = ()
    """Seconds between the reads for duplicates of a key whose creation was answered at a later try."""
    most_creations: int | None = None
    """How many requests to create a key are sent at most; None: as many as there is time for. If no answer is
    ever as documented, each further request would only create another key.
    """
    verbs = ("enable", "disable")
    """What the cloud calls `Keys.switch`, on and off."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.created: set[str] = set()
        """The keys whose creation was answered; a read may not show them yet."""
        self.deleted: set[str] = set()
        self.before: Sequence[str] | None = None
        """The keys that existed before the creation; None if they were not listed."""
        if self.keeps_list is None:
            self.keeps_list = not self.marked

    # -- calls -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def read(self, key_id: str) -> K | None:
        """What the cloud currently shows of a key; None if it does not show the key.

        Raises:
            ApiError: the login may not read it, or there was no answer.
        """

    @abstractmethod
    def facts_of(self, shown: K) -> KeyFacts:
        """Convert what the cloud shows to `KeyFacts`."""

    @abstractmethod
    async def create(self) -> N:
        """Send one request to create a key.

        Raises:
            ApiError: it was refused or not answered.
        """

    @abstractmethod
    def id_of(self, answer: N) -> str:
        """The id of the created key."""

    @abstractmethod
    async def credential_of(self, answer: N) -> Credential:
        """The credential to register with Akka."""

    @abstractmethod
    async def send_deletion(self, key_id: str) -> object:
        """Send one request to delete a key, whether or not reads show it.

        Raises:
            ApiError: the key does not exist (`missing`), or the request was refused or not answered.
        """

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        """Send one request to disable or enable a key. Needed only if `can_disable`."""
        raise NotImplementedError

    async def of_run(self, intent: Intent) -> Sequence[str]:
        """The keys that carry the mark of the intent's run. Needed only if `marked`."""
        raise NotImplementedError

    async def of_lost_runs(self, place: str, known: Collection[str]) -> Sequence[K]:
        """The keys whose mark is of a run for an Akka secret that must have ended by now. Needed only if
        `finds_lost_keys`.

        Args:
            place: the Akka secret (`RunContext.place`).
            known: ids of keys that are in use, which need not be looked at.

        Raises:
            PullkeyError: they cannot be read.
        """
        del place, known
        return ()

    def is_marked(self, intent: Intent) -> bool:
        """Whether the keys of the intent's run carry its mark."""
        del intent
        return self.marked

    async def ids_now(self) -> Collection[str]:
        """The ids of all keys of the identity, read now. Needed only if `keeps_list`."""
        raise NotImplementedError

    async def ids_seen(self) -> Collection[str]:
        """The same as `ids_now`; a provider with a cache may answer from it."""
        return await self.ids_now()

    @property
    def identity_created(self) -> bool:
        """Whether this run created the identity."""
        return False

    async def why_unchecked(self) -> str:
        """Why the key that Akka holds is not looked at, as "not checked at CLOUD without a login"; "" if it
        is.
        """
        return ""

    def unusable_reason(self, shown: K) -> str:
        """Why a key cannot be used, as the end of "the key that Akka holds, ID, ..."; "" if it can."""
        return self.facts_of(shown).why_unusable

    def creation_delay(self, error: Exception) -> Delay | None:
        """The same as `delay`, for a creation."""
        return self.delay(error)

    def may_be_created(self, error: ApiError) -> bool:
        """Whether the key may have been created although this error was the answer."""
        return error.unanswered

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        """The same as `refusal`, for a creation."""
        return self.refusal(error, f"create a {self.word}{self.whose}")

    def lagging(self, error: ApiError, key_id: str) -> ApiError:
        """Convert the error that the cloud does not know a key yet to one that is retried."""
        del key_id
        return NotShownYet(error)

    def named(self, key_id: str) -> str:
        """A key, or several comma-separated ones, worded for a sentence."""
        return f"{self.word} {key_id}{self.whose}"

    def shown_as(self, key_id: str) -> str:
        """The object of "show ...": a key, or with "" all keys."""
        return self.named(key_id) if key_id else f"the {self.word}s{self.whose}"

    def created_as(self, answer: N) -> str:
        """A created key, in a few words."""
        return f"{self.word} {self.id_of(answer)}"

    def held_as(self, key_id: str) -> str:
        """The key that Akka holds, in a few words."""
        return f"{self.word} {key_id}"

    def undone_as(self, keys: Sequence[str], intent: Intent) -> str:
        """What was undone, in a few words."""
        del intent
        return f"deleted {self.word} {', '.join(keys)}{self.whose}"

    def gone_as(self, key_id: str) -> str:
        """The sentence that a key to enable or disable was deleted."""
        named = self.named(key_id)
        return f"{named[:1].upper()}{named[1:]} was deleted"

    def lost_as(self, error: ApiError, appeared: Sequence[str]) -> str:
        """The sentence that a creation got no answer and that keys have appeared since."""
        return (
            f"{error.service} did not answer the creation of a {self.word} "
            f"({error.code or error.status}), and {self.word} {', '.join(appeared)} has appeared since; "
            "its secret is lost"
        )

    def perhaps_as(self, keys: Sequence[str]) -> LeftOver:
        """The left-over for keys that have appeared and may be in use. They are not deleted on a guess."""
        what = f"{self.word} {', '.join(keys)}{self.whose}, which appeared during the run and may be unused"
        return LeftOver(what, "; ".join(map(self.delete_command, keys)))

    def still_there(self, intent: Intent, why: str) -> StillThere:
        """The error that a key which the run created, or may have created, could not be deleted."""
        key_id = str(intent.get("key_id") or "")
        what = self.named(key_id) if key_id else f"a {self.word} that may have been created{self.whose}"
        return StillThere(f"{what} ({why})", self.delete_command(key_id))

    async def prepare(self) -> None:
        """Read what must be known before a key is created, unless `look` has done so."""
        if self.keeps_list and self.before is None:
            self.before = sorted(await self.ids_seen())

    def invalidate(self) -> None:
        """Drop cached reads of identity and keys: a key was created, deleted or switched, or is looked for
        again.
        """

    async def before_creation(self) -> None:
        """Called before each request to create a key."""
