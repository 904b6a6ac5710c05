"""The key that a run creates, and all keys of its identity, with the one lifecycle that they have.

A provider says what is its own: how a key is created, read, deleted and switched, how those of an identity
are listed, what marks them. What follows from a lost answer, a read that lags, or a key that another run
created is decided here:

- a creation without an answer may have been carried out: its effect is looked for before the next one is
  sent. Its secret is lost, so a key that is known to be of this run is deleted, and one that may be another's
  ends the run and is named;
- a key that Akka's record names, and that is not shown, is looked for again;
- a deletion and a switch are asked of the cloud by the key's id, and not concluded from a read. That there is
  no such key is not believed of one that this run created, nor of one that is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import KeyGone, LeftOver, OutcomeUnknown, PullkeyError
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_kind import SETTLE_PAUSES, K, KeyKind, N
from bootstrap.plugin.observe import Present, confirm_absent
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.resource import NotShownYet, StillShown, delete_until_gone, lag_delay
from bootstrap.plugin.retry import Delay, retry_while
from bootstrap.plugin.step import Done, Intent, State, StepStatus, StillThere


@dataclass(frozen=True)
class LostKeys:
    """What requests without an answer may have created.

    Attributes:
        ours: keys that are known to be this run's.
        perhaps: keys that appeared meanwhile; another run or another program may have created them.
    """

    ours: Sequence[str] = ()
    perhaps: Sequence[str] = ()


class KeyResource(KeyKind[K, N]):
    """A step that creates a key. `K` is what the cloud shows of one, `N` what it answers to its creation,
    secret included.
    """

    _undeleted = ""
    """The key of this run that was found, and could not be deleted."""

    # -- which key a record of Akka's names ------------------------------------------------------------------

    async def is_username(self, username: str, link: KeyRef) -> bool:
        del link
        return username == await self._of.username()

    async def recorded(self, key_id: str) -> K | None:
        """The key that Akka's record names; that it was deleted is not believed of one place that does not
        show it.
        """
        if self.asks_two_places:
            return await self.read(key_id)
        seen = await confirm_absent(lambda: self.read(key_id), contradicted_by="Akka's record names it")
        return seen.value if isinstance(seen, Present) else None

    # -- one key by its id -----------------------------------------------------------------------------------

    async def facts(self, key_id: str) -> KeyFacts | None:
        try:
            shown = await self.read(key_id)
        except ApiError as error:
            raise self.refusal(error, f"show {self.shown_as(key_id)}") from None
        return None if shown is None else self.facts_of(shown)

    async def delete(self, key_id: str) -> bool:
        try:
            return await self.delete_by_id(key_id, self._of.context.deadline)
        except ApiError as error:
            raise self.refusal(error, f"delete {self.named(key_id)}") from None

    async def delete_by_id(self, key_id: str, deadline: Deadline) -> bool:
        """Delete a key; False if it was already deleted.

        Raises:
            ApiError: it is still there.
        """

        async def missed(error: ApiError) -> None:
            if key_id in self.created:
                raise self.lagging(error, key_id)
            if await self.is_shown(key_id):
                raise self.lagging(StillShown(error), key_id)

        try:
            return await delete_until_gone(
                lambda: self.send_deletion(key_id),
                missed=missed,
                still_shown=lambda: self.is_shown(key_id),
                delay=self.delay,
                deadline=deadline,
                tell=self._of.context.tell,
            )
        finally:
            self.invalidate()

    async def is_shown(self, key_id: str) -> bool:
        """Whether the cloud shows a key, of which it says that it does not exist."""
        if self.asks_two_places:
            return await self.read(key_id) is not None
        seen = await confirm_absent(lambda: self.read(key_id), contradicted_by="it is named by its id")
        return isinstance(seen, Present)

    async def switch(self, key_id: str, *, on: bool) -> None:
        async def once() -> None:
            try:
                await self.send_switch(key_id, on=on)
            except ApiError as error:
                if not error.missing:
                    raise
                if await self.is_shown(key_id):
                    raise self.lagging(error, key_id) from None
                raise KeyGone(
                    self.gone_as(key_id),
                    fix="Create a new one with `pullkey rotate` or `pullkey onboard`.",
                ) from None

        context, verb = self._of.context, self.verbs[0 if on else 1]
        try:
            await retry_while(once, why=self._delay_or_lag, deadline=context.deadline, tell=context.tell)
        except ApiError as error:
            raise self.refusal(error, f"{verb} {self.named(key_id)}") from None
        finally:
            self.invalidate()

    def _delay_or_lag(self, error: Exception) -> Delay | None:
        return lag_delay(error) or self.delay(error)

    # -- the step --------------------------------------------------------------------------------------------

    @property
    def looked_for(self) -> str:
        return self.shown_as("")

    async def look_now(self) -> StepStatus:
        if self.keeps_list:
            self.before = sorted(await self.ids_seen())
        link, reason = await usable_key(self._of)
        if link is None:
            return StepStatus(State.MISSING, reason)
        if self.keeps_list:
            # It may be there though the list does not show it, so it has not appeared when a later list does.
            self.before = sorted({*(self.before or ()), link.key_id})
        shown = await self.recorded(link.key_id)
        why = "was deleted" if shown is None else self.unfit(shown)
        if why:
            return StepStatus(State.MISSING, f"the {self.word} that Akka holds, {link.key_id}, {why}")
        return StepStatus(State.DONE, f"Akka holds {self.held_as(link.key_id)}, which is valid")

    async def do(self) -> Done:
        context = self._of.context
        try:
            await self.prepare()
            answer = await retry_while(
                self._create, why=self.creation_delay, deadline=context.deadline, tell=context.tell
            )
            key_id = self.id_of(answer)
            self.created.add(key_id)
            left_over = await self._clear_doubles(key_id) if self.attempt.unanswered else None
        except ApiError as error:
            raise await self.creation_refusal(error) from None
        finally:
            self.invalidate()
        self._of.credential = await self.credential_of(answer)
        return Done(self.created_as(answer), {"key_id": key_id}, left_over)

    async def _create(self) -> N:
        await self.before_creation()
        try:
            with self.attempt.sending(self.may_be_created):
                return await self.create()
        except ApiError as error:
            if not self.may_be_created(error):
                raise
            found = await self.after_lost_answer(error)
            if found is None:
                raise
            self.attempt.conclude(ours=True)
            return found

    async def after_lost_answer(self, error: ApiError) -> N | None:
        """What a creation without an answer has led to, if it is as good as answered; else None: it is sent
        again.

        Raises:
            OutcomeUnknown: a key has appeared that may be another's. A second request would create a second
                one.
        """
        if self.marked:
            await self.delete_lost(self.intent())
            return None
        for pause in SETTLE_PAUSES:
            await asyncio.sleep(min(pause, self._of.context.deadline.left))
            if appeared := await self._appeared(self.before or ()):
                raise OutcomeUnknown(self.lost_as(error, appeared), fix="Run it again.") from None
        return None

    async def _clear_doubles(self, key_id: str) -> LeftOver | None:
        """What requests without an answer have created beside the key: only now may reads show it."""
        if self.marked:
            try:
                await self.delete_lost(self.intent(), keep=key_id, pauses=self.doubles_pauses)
            except ApiError as error:
                if not self._undeleted:
                    raise
                left = self.still_there({**self.intent(), "key_id": self._undeleted}, error.said)
                return LeftOver(left.what, left.command)
            return None
        try:
            lost = await self._lost(self.before or ())
            for one in lost.ours:
                await self.delete_by_id(one, self._of.context.deadline)
        except (ApiError, PullkeyError):
            return None  # the next run looks for keys that no record names
        return self.perhaps_as(lost.perhaps) if lost.perhaps else None

    async def delete_lost(self, intent: Intent, *, keep: str = "", pauses: Sequence[float] = ()) -> list[str]:
        """Delete the keys of a run, by their mark; after each pause they are looked for again, until there
        are some.

        Args:
            intent: the run's.
            keep: one that stays.
            pauses: in seconds.

        Raises:
            ApiError: they cannot be read, or one is refused to be deleted (`_undeleted`).
        """
        self._undeleted = ""
        deleted: list[str] = []
        for pause in (0.0, *pauses):
            await asyncio.sleep(pause)
            for key_id in await self.of_run(intent):
                if key_id not in (keep, *deleted):
                    self._undeleted = key_id
                    await self.delete_by_id(key_id, self._of.undo_deadline())
                    self._undeleted = ""
                    deleted.append(key_id)
            if deleted:
                break
        return deleted

    async def _appeared(self, before: Collection[str]) -> list[str]:
        """The keys that were not there before, and that no session of this command has created."""
        return sorted({*await self.ids_now()} - {*before} - self.created)

    async def _lost(self, before: Collection[str]) -> LostKeys:
        """The keys that have appeared. Of an identity that this run created they are its own, as far as it
        sent requests.
        """
        appeared = await self._appeared({*before, *await self._recorded_ids()})
        if self.identity_created and len(appeared) <= self.attempt.unanswered:
            return LostKeys(ours=appeared)
        return LostKeys(perhaps=appeared)

    async def _recorded_ids(self) -> Collection[str]:
        """The keys that Akka's records name by now: one that has appeared may be another run's, and in
        use.
        """
        try:
            return (await self._of.context.keys_in_use()).ids
        except PullkeyError:
            return ()

    async def undo(self, intent: Intent) -> str:
        key_id = intent.get("key_id")
        if not (self.attempt.may_exist or key_id or intent.get("lost")):
            return ""
        if self.goes_with_identity and self.identity_created and not intent.get("identity_stays"):
            return ""
        deadline, deleted, lost = self._of.undo_deadline(), list[str](), LostKeys()
        try:
            if key_id:
                deleted = [key_id] if await self.delete_by_id(key_id, deadline) else []
            elif self.is_marked(intent):
                deleted = await retry_while(
                    lambda: self.delete_lost(intent, pauses=self.undo_pauses),
                    why=self._delay_or_lag,
                    deadline=deadline,
                    tell=self._of.context.tell,
                )
            else:
                lost = await self._lost({*intent["before"], *(self.before or ()), *intent.get("in_use", ())})
                for one in lost.ours:
                    await self.delete_by_id(one, deadline)
                deleted = [*lost.ours]
        except (ApiError, PullkeyError) as error:
            if isinstance(error, ApiError) and error.missing and not isinstance(error, NotShownYet):
                return ""  # with the identity
            said = error.said if isinstance(error, ApiError) else error.what
            found = {"key_id": self._undeleted} if self._undeleted else {}
            raise self.still_there({**intent, **found}, said) from None
        if lost.perhaps:
            left = self.perhaps_as(lost.perhaps)
            raise StillThere(left.what, left.command)
        return self.undone_as(deleted, intent) if deleted else ""
