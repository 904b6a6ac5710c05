"""One object in a cloud, with the one lifecycle that all of them have: observed, created, undone, removed.

A provider says what is its own: how the object is read, created and deleted, what marks it, what else would
contradict its absence. What follows from a lost answer, a read that lags, or an object that another run
created is decided here:

- a request without an answer may have been carried out (`Attempt`);
- "it is not there" is believed late, and never against what contradicts it (`Resource.contradiction`);
- what is undone must be known to be this run's: its creation was answered, or the object shows it
  (`Resource.is_of_run`);
- what this run created and no read shows is not deleted yet: its deletion is asked for again, and in the end
  it is named;
- after a deletion without an answer, that there is none is the answer.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Generic, TypeVar

from bootstrap.model.deadline import Deadline, Tell
from bootstrap.model.errors import StepFailed
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.observe import Present, confirm_absent
from bootstrap.plugin.retry import Delay, retry_while
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Disposition, Intent, Removal, State, Step, StepStatus, StillThere

T = TypeVar("T")


class Attempt:
    """What is known of this run's creation of one object."""

    class State(StrEnum):
        """How far the latest request has come."""

        NOT_SENT = "not sent"
        REFUSED = "refused"
        UNANSWERED = "unanswered"
        CREATED = "created"
        FOUND = "found"  # it exists, and another run created it

    def __init__(self) -> None:
        self.state = Attempt.State.NOT_SENT
        self.unanswered = 0
        """How many requests got no answer: each may have been carried out."""
        self.exists = False
        """Whether the cloud has answered that it exists already, and a read may not show yet whose it is."""

    @property
    def sent(self) -> bool:
        return self.state is not Attempt.State.NOT_SENT

    @property
    def created(self) -> bool:
        return self.state is Attempt.State.CREATED

    @property
    def may_exist(self) -> bool:
        """Whether this run may have created it."""
        unknown = self.unanswered > 0 or self.exists
        return self.created or (unknown and self.state is not Attempt.State.FOUND)

    @contextmanager
    def sending(self, is_unanswered: Callable[[ApiError], bool] | None = None) -> Iterator[None]:
        """Around one request: whatever ends it is noted.

        Args:
            is_unanswered: which errors leave it open whether it was carried out; by default
                `ApiError.unanswered`.
        """
        try:
            yield
        except ApiError as error:
            if is_unanswered(error) if is_unanswered is not None else error.unanswered:
                self._lose()
            elif self.state is Attempt.State.NOT_SENT:
                self.state = Attempt.State.REFUSED
            raise
        except asyncio.CancelledError:
            self._lose()
            raise
        self.state = Attempt.State.CREATED

    def _lose(self) -> None:
        self.unanswered += 1
        self.state = Attempt.State.UNANSWERED

    def conclude(self, *, ours: bool) -> None:
        """It was found afterwards: by its mark it is this run's, or another's."""
        self.state = Attempt.State.CREATED if ours else Attempt.State.FOUND


class CloudStep(Step):
    """A step that creates something in a cloud, whose client raises `ApiError`."""

    unreadable = "it may not be read"

    def __init__(self, session: Session) -> None:
        self._of = session
        self.attempt = Attempt()

    @property
    @abstractmethod
    def looked_for(self) -> str:
        """What a look asks to be shown: `the scope map akka-shop`."""

    @abstractmethod
    async def look_now(self) -> StepStatus:
        """As `look`.

        Raises:
            ApiError: it may not be read, or there was no answer.
        """

    @abstractmethod
    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        """An error as a sentence: `doing` was refused, or not answered."""

    def delay(self, error: Exception) -> Delay | None:
        """The delay that an error is; None for a refusal."""
        return busy_delay(error)

    def unread(self, error: ApiError) -> StepStatus:
        """What a look that is refused comes to.

        Raises:
            PullkeyError: it is not known whether the step is done.
            ApiError: the same, where the error itself says enough.
        """
        if error.forbidden:
            return StepStatus(State.UNSEEN, self.unreadable)
        raise self.refusal(error, f"show {self.looked_for}") from None

    async def look(self) -> StepStatus:
        try:
            return await self.look_now()
        except ApiError as error:
            return self.unread(error)


class Resource(CloudStep, Generic[T]):
    """A step that creates one object, of which `T` is what the cloud shows."""

    absent = "does not exist"
    """What is said of it where it is not there."""
    gone = ""
    """The same in offboarding, where it is said otherwise."""
    looks = 2
    """How often a thing that nothing speaks for must not be shown, before it is absent."""
    shows_after = 0.0
    """How many seconds what a request without an answer has created takes to be shown. It is looked for
    after that.
    """

    # -- what a provider says of its own ---------------------------------------------------------------------

    @property
    @abstractmethod
    def noun(self) -> str:
        """What it is, with its name: `scope map akka-shop`."""

    @abstractmethod
    async def read(self) -> T | None:
        """What the cloud shows now; None if it shows none.

        Raises:
            ApiError: it may not be read, or there was no answer.
        """

    @abstractmethod
    def judge(self, shown: T) -> StepStatus:
        """Whether what is there is of use."""

    @abstractmethod
    async def delete(self, intent: Intent) -> object:
        """Ask the cloud to delete it, whatever reads show; by an id that is of this object only, where it has
        one.

        Raises:
            ApiError: there is none to delete (`missing`), or it is refused.
        """

    @abstractmethod
    def delete_command(self) -> str:
        """The one command that deletes it by hand."""

    def is_known_own(self, intent: Intent) -> bool:
        """Whether it is of the run of an intent, whatever the cloud shows: its creation was answered."""
        return self.attempt.created and not intent.get("lost")

    @abstractmethod
    async def is_of_run(self, shown: T, intent: Intent) -> bool:
        """Whether what is shown was created by the run of this intent, whose creation of it was not
        answered.
        """

    @abstractmethod
    async def removal_of(self, shown: T) -> Removal:
        """What offboarding does with what is there: one of `to_remove`, `to_keep`, `unseen`."""

    @property
    def called(self) -> str:
        """What a sentence calls it."""
        return f"the {self.noun}"

    @property
    def offboarded(self) -> str:
        """What a list of removals calls it, with what is deleted along with it."""
        return self.noun

    def said_to_exist(self, intent: Intent) -> bool:
        """Whether the cloud has answered the run of an intent that it exists, so that no read can make it
        absent.
        """
        del intent
        return self.attempt.exists

    def is_own_unseen(self, intent: Intent) -> bool:
        """Whether it is of the run of an intent as long as no read shows another's: there was none before."""
        del intent
        return False

    def is_same(self, shown: T) -> bool:
        """Whether what is shown is what was asked to be deleted, and not another of its name."""
        del shown
        return True

    def is_deleted(self, error: ApiError) -> bool:
        """Whether the answer to a deletion says that there is none, after one that was not answered."""
        return error.missing

    async def contradiction(self) -> str:
        """What speaks against its absence, as a clause, where reads do not show it; "" where nothing does."""
        return ""

    async def expected(self) -> T | None:
        """What the cloud shows of it where it is to be removed: that it is not there is believed of a
        second read.
        """
        seen = await confirm_absent(self.read)
        return seen.value if isinstance(seen, Present) else None

    async def seen(self) -> T | None:
        """What a look may take for true; a provider that keeps what it has read answers from that."""
        return await self.read()

    # -- what follows ----------------------------------------------------------------------------------------

    @property
    def looked_for(self) -> str:
        return f"the {self.noun}"

    async def look_now(self) -> StepStatus:
        shown = await self.seen()
        return StepStatus(State.MISSING, self.absent) if shown is None else self.judge(shown)

    async def undo(self, intent: Intent) -> str:
        if not (self.attempt.may_exist or intent.get("lost")):
            return ""
        known, own_unseen = self.is_known_own(intent), self.is_own_unseen(intent)
        misses = 0

        async def is_ours() -> bool:
            if known:
                return True
            shown = None
            try:
                shown = await self.read()
            except ApiError as error:
                if error.busy or not own_unseen:
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
            raise self.still_there(error.said, perhaps=not known) from None
        return self.deleted_as() if deleted else ""

    async def removal(self) -> Removal | None:
        try:
            shown = await self.expected()
            if shown is not None:
                return await self.removal_of(shown)
            why = await self.contradiction()
        except ApiError as error:
            if error.forbidden:
                return self.unseen(f"it may not be seen ({error.said})")
            raise self.refusal(error, f"show {self.looked_for}") from None
        if why:
            return self.to_remove_unseen(why)
        return Removal(Disposition.GONE, self.offboarded, self.gone or self.absent)

    async def remove(self) -> str:
        return self.deleted_as() if await self._remove(self.intent()) else ""

    async def _remove(self, intent: Intent) -> bool:
        """Delete what offboarding has found; False if there was none."""
        try:
            return await self._delete(intent, self._missed_though_shown)
        except ApiError as error:
            raise self.still_there(error.said) from None

    async def _missed_though_shown(self, error: ApiError) -> None:
        """Given the answer that there is none to delete: returns where that is to be believed.

        Raises:
            NotShownYet: it is not.
        """
        if await self._still_shown():
            raise StillShown(error)

    async def _still_shown(self) -> bool:
        """Whether the cloud shows it though it says that none exists to delete; what is new is looked for
        longer.
        """

        async def read() -> T | None:
            try:
                return await self.read()
            except ApiError as error:
                if error.unanswered:
                    raise
                # Of some things a cloud does not say whether they are missing, or may not be seen.
                return None

        seen = await confirm_absent(
            read, contradicted_by="this run created it" if self.attempt.created else ""
        )
        return isinstance(seen, Present) and self.is_same(seen.value)

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
        return Removal(Disposition.REMOVE, self.offboarded, command=self.delete_command())

    def to_remove_unseen(self, why: str) -> Removal:
        """What offboarding does with what is not shown, where something speaks against its absence."""
        return self.unseen(why)

    def deleted_as(self) -> str:
        """That it was deleted, in a few words."""
        return f"deleted {self.called}"

    def to_keep(self, why: str) -> Removal:
        return Removal(Disposition.KEEP, self.offboarded, why, self.delete_command())

    def unseen(self, why: str) -> Removal:
        return Removal(Disposition.UNSEEN, self.offboarded, why, self.delete_command())

    def still_there(self, why: str, *, perhaps: bool = False) -> StillThere:
        return StillThere(f"{'perhaps ' * perhaps}{self.called} ({why})", self.delete_command())


def busy_delay(error: Exception) -> Delay | None:
    """The delay that an API is busy, or briefly away; None for a refusal."""
    if not isinstance(error, ApiError) or not error.busy:
        return None
    return Delay(f"{error.service} is busy or briefly away; trying again.", after=error.retry_after)


def lag_delay(error: Exception) -> Delay | None:
    """The delay that a cloud does not show the same everywhere; None for any other error."""
    if not isinstance(error, NotShownYet):
        return None
    return Delay(f"{error.service} does not show the same everywhere yet; trying again.")


class NotShownYet(ApiError):
    """The cloud answers that there is none to delete, of something that this run created, or may have."""

    def __init__(self, error: ApiError, message: str = "") -> None:
        super().__init__(error.status, message or error.message, error.code)
        self.service = error.service


class StillShown(NotShownYet):
    """The cloud answers that there is none to delete, and shows it."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error, f"{error.service} says that none exists to delete, but shows it")


async def delete_until_gone(
    delete: Callable[[], Awaitable[object]],
    *,
    missed: Callable[[ApiError], Awaitable[None]],
    delay: Callable[[Exception], Delay | None],
    deadline: Deadline,
    tell: Tell,
    is_ours: Callable[[], Awaitable[bool]] | None = None,
    is_deleted: Callable[[ApiError], bool] = lambda error: error.missing,
    still_shown: Callable[[], Awaitable[bool]] | None = None,
) -> bool:
    """Delete something; False if there was none to delete, or it is not ours.

    Args:
        delete: deletes it; False if the cloud answers that there was none, which then is believed.
        missed: given the answer that there is none: returns where that is to be believed, else raises
            `NotShownYet`.
        delay: says what delay an error is, or None.
        deadline: until when to try.
        tell: shows what is waited for.
        is_ours: asked before each try.
        is_deleted: whether an answer says that there is none, once a deletion got no answer.
        still_shown: asked then: a server that does not know a new object yet answers as one that has deleted
            it.

    Raises:
        ApiError: it is still there.
    """
    lost = False

    async def once() -> bool:
        nonlocal lost
        sent = False
        try:
            if is_ours is not None and not await is_ours():
                return False
            sent = True
            return await delete() is not False
        except ApiError as error:
            if lost and is_deleted(error):
                if still_shown is not None and await still_shown():
                    raise StillShown(error) from None
                return True  # by the request that was not answered
            lost = lost or (sent and error.unanswered)
            if not error.missing:
                raise
            await missed(error)
            return False

    return await retry_while(
        once, why=lambda error: lag_delay(error) or delay(error), deadline=deadline, tell=tell
    )
