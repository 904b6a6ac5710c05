"""The lifecycle of an object in a cloud: observe, create, undo, remove.

A provider implements how the object is read, created and deleted, how it is marked, and what else contradicts
its absence. The rules for lost answers, lagging reads and objects of other runs are here:

- A request without an answer may have been carried out (`Attempt`).
- An object counts as absent only after repeated reads, and never against contradicting evidence
  (`Resource.contradiction`).
- Only objects known to be of this run are undone: their creation was answered, or they carry the run's mark
  (`Resource.is_of_run`).
- An object that this run created and no read shows is not considered deleted: the deletion is repeated, and
  finally the object is reported.
- After a deletion without an answer, a 404 to the next one means that it was deleted.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bootstrap.model.errors import StepFailed
from bootstrap.plugin.attempt import Attempt
from bootstrap.plugin.deletion import NotShownYet, StillShown, busy_delay, delete_until_gone
from bootstrap.plugin.errors import ApiError, refused
from bootstrap.plugin.observe import read_until_shown
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Disposition, Intent, Removal, State, Step, StepStatus, StillThere

T = TypeVar("T")


class CloudStep(Step):
    """A step that creates an object in a cloud. The cloud's client raises `ApiError`."""

    unreadable = "it may not be read"
    """The status text if the login may not read the object."""

    def __init__(self, session: Session) -> None:
        self._of = session
        self.attempt = Attempt()

    @property
    @abstractmethod
    def looked_for(self) -> str:
        """The object of "show ..." in errors: `the scope map akka-shop`."""

    @abstractmethod
    async def look_now(self) -> StepStatus:
        """The same as `look`, with the client's errors.

        Raises:
            ApiError: the object may not be read, or there was no answer.
        """

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        """Convert an error to a sentence: `doing` was refused or not answered."""
        return refused(error, doing)

    def delay(self, error: Exception) -> Delay | None:
        """The delay that explains an error; None if the error is a refusal."""
        return busy_delay(error)

    def unread(self, error: ApiError) -> StepStatus:
        """The status of a step whose object could not be read.

        Raises:
            PullkeyError: whether the step is done is unknown.
            ApiError: the same; the error's own text is enough.
        """
        if error.forbidden:
            needed = f" (it takes {', '.join(self.look_permissions)})" if self.look_permissions else ""
            return StepStatus(State.UNSEEN, f"{self.unreadable}{needed}")
        raise self.refusal(error, f"show {self.looked_for}") from None

    async def look(self) -> StepStatus:
        try:
            return await self.look_now()
        except ApiError as error:
            return self.unread(error)


class Resource(CloudStep, Generic[T]):
    """A step that creates one object. `T` is what the cloud shows of it."""

    absent = "does not exist"
    """The status text if the object is absent."""
    gone = ""
    """The same in offboarding; "" to use `absent`."""
    looks = 2
    """How many reads must not show the object before it counts as absent, if nothing contradicts that."""
    shows_after = 0.0
    """Seconds until reads show an object whose creation got no answer. An undo waits for them first."""

    # -- what a provider implements --------------------------------------------------------------------------

    @property
    @abstractmethod
    def noun(self) -> str:
        """The object's kind and name: `scope map akka-shop`."""

    @abstractmethod
    async def read(self) -> T | None:
        """What the cloud currently shows; None if it does not show the object.

        Raises:
            ApiError: the object may not be read, or there was no answer.
        """

    @abstractmethod
    def judge(self, shown: T) -> StepStatus:
        """Whether the existing object can be used."""

    @abstractmethod
    async def delete(self, intent: Intent) -> object:
        """Send one request to delete the object, whether or not reads show it; by its unique id, if any.

        Raises:
            ApiError: the object does not exist (`missing`), or the request was refused or not answered.
        """

    @abstractmethod
    def delete_command(self) -> str:
        """The command that deletes the object by hand."""

    def is_known_own(self, intent: Intent) -> bool:
        """Whether the intent's run created the object for certain: the creation was answered."""
        return self.attempt.created and not intent.get("lost")

    @abstractmethod
    async def is_of_run(self, shown: T, intent: Intent) -> bool:
        """Whether the intent's run, whose creation was not answered, created the object that is shown."""

    @abstractmethod
    async def removal_of(self, shown: T) -> Removal:
        """What offboarding does with the existing object: one of `to_remove`, `to_keep`, `unseen`."""

    @property
    def called(self) -> str:
        """The object, worded for a sentence."""
        return f"the {self.noun}"

    @property
    def offboarded(self) -> str:
        """The object in a list of removals, including what is deleted with it."""
        return self.noun

    def said_to_exist(self, intent: Intent) -> bool:
        """Whether the cloud answered the intent's run that the object exists, so that it cannot count as
        absent.
        """
        del intent
        return self.attempt.exists

    def is_own_unseen(self, intent: Intent) -> bool:
        """Whether the object is the intent's run's own unless a read shows otherwise: none existed before."""
        del intent
        return False

    def is_same(self, shown: T) -> bool:
        """Whether the object shown is the one to delete, not another with its name."""
        del shown
        return True

    def is_deleted(self, error: ApiError) -> bool:
        """Whether the answer to a deletion says that an earlier, unanswered deletion was carried out."""
        return error.missing

    async def contradiction(self) -> str:
        """Evidence that the object exists although reads do not show it, as a clause; else ""."""
        return ""

    async def expected(self) -> T | None:
        """What the cloud shows of an object to remove; None only if a second read does not show it either."""
        return await read_until_shown(self.read)

    async def seen(self) -> T | None:
        """The same as `read`; a provider with a cache may answer from it."""
        return await self.read()

    # -- the lifecycle ---------------------------------------------------------------------------------------

    @property
    def looked_for(self) -> str:
        return f"the {self.noun}"

    async def look_now(self) -> StepStatus:
        shown = await self.seen()
        return StepStatus(State.MISSING, self.absent) if shown is None else self.judge(shown)

    @property
    def is_half_deleted(self) -> bool:
        """Whether a deletion of several requests has begun, so that it must be completed."""
        return False

    async def undo(self, intent: Intent) -> str:
        if not (self.attempt.may_exist or intent.get("lost")):
            return ""
        known, own_unseen = self.is_known_own(intent), self.is_own_unseen(intent)
        misses = 0

        async def is_ours() -> bool:
            ours = known or await is_shown_ours()
            if ours and not self.is_half_deleted:
                await self._of.context.check_unused()
            return ours

        async def is_shown_ours() -> bool:
            shown = None
            try:
                shown = await self.read()
            except ApiError as error:
                if error.inconclusive or not own_unseen:
                    raise
            if shown is not None:
                return await self.is_of_run(shown, intent)
            if own_unseen and misses + 1 >= self.looks:
                return True
            raise ApiError(404, "it is not shown")

        async def missed(error: ApiError) -> None:
            nonlocal misses
            misses += 1
            if known or self.said_to_exist(intent) or misses < self.looks:
                raise NotShownYet(error)

        if not known:
            await asyncio.sleep(self.shows_after)
        try:
            deleted = await self._delete(intent, missed, is_ours)
        except ApiError as error:
            raise self.still_there(error.summary, perhaps=not known) from None
        return self.deleted_as() if deleted else ""

    async def removal(self) -> Removal | None:
        try:
            shown = await self.expected()
            if shown is not None:
                return await self.removal_of(shown)
            why = await self.contradiction()
        except ApiError as error:
            if error.forbidden:
                return self.unseen(f"it may not be seen ({error.summary})")
            raise self.refusal(error, f"show {self.looked_for}") from None
        if why:
            return self.to_remove_unseen(why)
        return Removal(Disposition.GONE, self.offboarded, self.gone or self.absent)

    async def remove(self) -> str:
        return self.deleted_as() if await self._remove(self.intent()) else ""

    async def _remove(self, intent: Intent) -> bool:
        """Delete the object in an offboarding. Return False if it was already deleted."""
        try:
            return await self._delete(intent, self._missed_though_shown)
        except ApiError as error:
            raise self.still_there(error.summary) from None

    async def _missed_though_shown(self, error: ApiError) -> None:
        """Accept the answer that there is nothing to delete, unless the object is still shown.

        Raises:
            NotShownYet: it is still shown.
        """
        if await self._still_shown():
            raise StillShown(error)

    async def _still_shown(self) -> bool:
        """Whether the cloud still shows the object after answering that there is nothing to delete. An object
        that this run created is read more often.
        """

        async def read() -> T | None:
            try:
                return await self.read()
            except ApiError as error:
                if error.unanswered:
                    raise
                # Clouds answer some reads of a missing object with "forbidden".
                return None

        shown = await read_until_shown(
            read, contradicted_by="this run created it" if self.attempt.created else ""
        )
        return shown is not None and self.is_same(shown)

    async def _delete(
        self,
        intent: Intent,
        missed: Callable[[ApiError], Awaitable[None]],
        is_ours: Callable[[], Awaitable[bool]] | None = None,
    ) -> bool:
        return await delete_until_gone(
            lambda: self.delete(intent),
            missed=missed,
            is_ours=is_ours,
            is_deleted=self.is_deleted,
            still_shown=self._still_shown,
            delay=self.delay,
            deadline=self._of.undo_deadline(),
            tell=self._of.context.tell,
        )

    def to_remove(self) -> Removal:
        """The object is removed."""
        return Removal(Disposition.REMOVE, self.offboarded, command=self.delete_command())

    def to_remove_unseen(self, why: str) -> Removal:
        """What offboarding does with an object that is not shown but has evidence that it exists."""
        return self.unseen(why)

    def deleted_as(self) -> str:
        """The text that the object was deleted."""
        return f"deleted {self.called}"

    def to_keep(self, why: str) -> Removal:
        """The object is kept."""
        return Removal(Disposition.KEEP, self.offboarded, why, self.delete_command())

    def unseen(self, why: str) -> Removal:
        """Whether the object is to be removed cannot be seen, so it is kept and reported."""
        return Removal(Disposition.UNSEEN, self.offboarded, why, self.delete_command())

    def still_there(self, why: str, *, perhaps: bool = False) -> StillThere:
        """The error that the object could not be deleted."""
        return StillThere(f"{'perhaps ' * perhaps}{self.called} ({why})", self.delete_command())
