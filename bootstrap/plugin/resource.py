"""One object in a cloud, with the one lifecycle that all of them have: observed, created, undone, removed.

A provider says what is its own: how the object is read, created and deleted, what marks it, what else would contradict its
absence. What follows from a lost answer, a read that lags, or an object that another run created is decided here:

- an answer that was lost may have been carried out (`Attempt`);
- "it is not there" is believed late, and never against what contradicts it (`Resource.contradiction`);
- what is undone must be known to be this run's (`Resource.is_of_run`);
- a deletion that finds nothing is repeated while the cloud still shows the object (`delete_until_gone`).
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Generic, TypeVar

from bootstrap.errors import StepFailed
from bootstrap.observe import Present, confirm_absent
from bootstrap.plugin.errors import ApiError
from bootstrap.provider import Session
from bootstrap.steps import Fate, Intent, Removal, Sighting, State, Step, StillThere
from bootstrap.waiting import Deadline, Delay, Tell, wait_out

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
            is_unanswered: which errors leave it open whether it was carried out; by default `ApiError.unanswered`.
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


class Resource(Step, Generic[T]):
    """A step that creates one object, of which `T` is what the cloud shows."""

    absent = "does not exist"
    """What is said of it where it is not there."""
    unreadable = "it may not be read"

    def __init__(self, session: Session) -> None:
        self._of = session
        self.attempt = Attempt()

    # -- what a provider says of its own ----------------------------------------------------------------------------

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
    def judge(self, shown: T) -> Sighting:
        """Whether what is there is of use."""

    @abstractmethod
    async def delete(self, intent: Intent) -> object:
        """Ask the cloud to delete it, whatever reads show.

        Raises:
            ApiError: there is none to delete (`missing`), or it is refused.
        """

    @abstractmethod
    def delete_command(self) -> str:
        """The one command that deletes it by hand."""

    @abstractmethod
    async def is_of_run(self, intent: Intent) -> bool:
        """Whether it is known to have been created by the run of this intent: only then is it undone."""

    @abstractmethod
    async def removal_of(self, shown: T) -> Removal:
        """What offboarding does with what is there: one of `to_remove`, `to_keep`, `unseen`."""

    @abstractmethod
    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        """An error as a sentence: `doing` was refused, or not answered."""

    def delay(self, error: Exception) -> Delay | None:
        """The delay that an error of a deletion is; None for a refusal."""
        return Delay("The cloud is busy or briefly away; trying again.") if isinstance(error, ApiError) and error.busy else None  # fmt: skip

    async def contradiction(self) -> str:
        """What speaks against its absence, as a clause, where reads do not show it; "" where nothing does."""
        return ""

    async def expected(self) -> T | None:
        """What the cloud shows of it where it is to be removed: that it is not there is believed of a second read."""
        seen = await confirm_absent(self.read)
        return seen.value if isinstance(seen, Present) else None

    # -- what follows -----------------------------------------------------------------------------------------------

    async def look(self) -> Sighting:
        try:
            shown = await self.seen()
        except ApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, self.unreadable)
            raise self.refusal(error, f"show the {self.noun}") from None
        return Sighting(State.MISSING, self.absent) if shown is None else self.judge(shown)

    async def seen(self) -> T | None:
        """What a look may take for true; a provider that keeps what it has read answers from that."""
        return await self.read()

    async def undo(self, intent: Intent) -> str:
        if not (self.attempt.may_exist or intent.get("lost")):
            return ""
        try:
            deleted = await self.is_of_run(intent) and await self._delete(intent)
        except ApiError as error:
            raise self.still_there(error.said) from None
        return f"deleted the {self.noun}" if deleted else ""

    async def removal(self) -> Removal | None:
        try:
            shown = await self.expected()
            if shown is not None:
                return await self.removal_of(shown)
            why = await self.contradiction()
        except ApiError as error:
            raise self.refusal(error, f"show the {self.noun}") from None
        return self.unseen(why) if why else Removal(Fate.GONE, self.noun, self.absent)

    async def remove(self) -> str:
        try:
            deleted = await self._delete(self.intent())
        except ApiError as error:
            raise self.still_there(error.said) from None
        return f"deleted the {self.noun}" if deleted else ""

    def to_remove(self) -> Removal:
        return Removal(Fate.REMOVE, self.noun, command=self.delete_command())

    def to_keep(self, why: str) -> Removal:
        return Removal(Fate.KEEP, self.noun, why, self.delete_command())

    def unseen(self, why: str) -> Removal:
        return Removal(Fate.UNSEEN, self.noun, why, self.delete_command())

    def still_there(self, why: str) -> StillThere:
        return StillThere(f"the {self.noun} ({why})", self.delete_command())

    async def _delete(self, intent: Intent) -> bool:
        return await delete_until_gone(
            lambda: self.delete(intent),
            self._shown_after_all,
            delay=self.delay,
            deadline=self._of.undo_deadline(),
            tell=self._of.context.tell,
        )

    async def _shown_after_all(self) -> bool:
        """Whether the cloud shows what it says that it cannot delete; what this run created is looked for longer."""
        if not self.attempt.created:
            return await self.read() is not None
        return isinstance(await confirm_absent(self.read, contradicted_by="this run created it"), Present)


async def delete_until_gone(
    delete: Callable[[], Awaitable[object]],
    shown: Callable[[], Awaitable[object]],
    *,
    delay: Callable[[Exception], Delay | None],
    deadline: Deadline,
    tell: Tell,
) -> bool:
    """Delete something; False if there is none, which is believed where the cloud does not show it either.

    Args:
        delete: deletes it.
        shown: what the cloud shows of it, or nothing.
        delay: says what delay an error is, or None.
        deadline: until when to try.
        tell: shows what is waited for.

    Raises:
        ApiError: it is still there.
    """

    async def once() -> bool:
        try:
            await delete()
        except ApiError as error:
            if not error.missing:
                raise
            if not await shown():
                return False
            raise StillShown(error.service) from None
        return True

    def why(error: Exception) -> Delay | None:
        if isinstance(error, StillShown):
            return Delay(f"Not every server of {error.cloud}'s knows what is to be deleted; trying again.")
        return delay(error)

    return await wait_out(once, why=why, deadline=deadline, tell=tell)


class StillShown(ApiError):
    """The cloud answers that there is none to delete, and yet shows it."""

    def __init__(self, cloud: str) -> None:
        super().__init__(404, f"{cloud} says that none exists to delete, but shows it")
        self.cloud = cloud
