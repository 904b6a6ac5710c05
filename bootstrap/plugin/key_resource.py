"""The lifecycle of keys: the key that a run creates, and all keys of its identity.

A provider implements the calls of `KeyKind`. The rules for lost answers, lagging reads and keys of other runs
are here:

- A creation without an answer may have been carried out, so its effect is looked for before the next request.
  The secret is lost: a key known to be of this run is deleted; a key that may be another's ends the run and
  is reported.
- A key that Akka's record names and that is not shown is read again before it counts as deleted.
- A key is deleted and switched by its id, whatever reads show. The answer "no such key" is not accepted for a
  key that this run created, nor for one that is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import KeyGone, LeftOver, OutcomeUnknown, PullkeyError
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.deletion import NotShownYet, StillShown, delete_until_gone, lag_delay
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_kind import SETTLE_PAUSES, K, KeyKind, N
from bootstrap.plugin.observe import read_until_shown
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.retry import Delay, retry_while
from bootstrap.plugin.step import Done, Intent, State, StepStatus, StillThere


@dataclass(frozen=True)
class LostKeys:
    """Keys that unanswered requests may have created.

    Attributes:
        ours: keys known to be of this run.
        perhaps: other keys that have appeared; another run or program may have created them.
    """

    ours: Sequence[str] = ()
    perhaps: Sequence[str] = ()


class KeyResource(KeyKind[K, N]):
    """A step that creates a key.

    `K` is what the cloud shows of a key, `N` its answer to a creation, with the secret.
    """

    _undeleted = ""
    """The key of this run that could not be deleted; "" if none."""
    _creations = 0
    """How many requests to create a key were sent, or were about to be."""

    # -- which key a record of Akka's names ------------------------------------------------------------------

    async def is_username(self, username: str, link: KeyRef) -> bool:
        del link
        return username == await self._of.username()

    async def recorded(self, key_id: str) -> K | None:
        """What the cloud shows of the key that Akka's record names; None only if repeated reads do not show
        it.
        """
        if self.asks_two_places:
            return await self.read(key_id)
        return await read_until_shown(lambda: self.read(key_id), contradicted_by="Akka's record names it")

    # -- keys that runs on any machine have lost -------------------------------------------------------------

    async def lost_keys(self) -> list[KeyFacts]:
        if not self.finds_lost_keys:
            return []
        context = self._of.context
        place, held = await context.place(), await context.held_credential()
        if not place or (held is not None and (held.empty or held.link is None)):
            return []  # Akka may hold a key without naming it
        link = held.link if held is not None else None
        known = {link.key_id, link.replaces} if link is not None else set()
        found = [self.facts_of(one) for one in await self.of_lost_runs(place, known)]
        if found:
            in_use = await context.keys_in_use()
            if in_use.unseen:
                # A mark says which secret a key was created for, not who else was given it since.
                context.trace(f"keys of lost runs are kept: {in_use.unseen[0]} could not be read")
                return []
            found = [one for one in found if one.key_id not in in_use.ids]
        return found

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
        """Delete a key. Return False if it was already deleted.

        Raises:
            ApiError: it still exists.
        """

        async def missed(error: ApiError) -> None:
            if key_id in self.created:
                raise self.lagging(error, key_id)
            if await self.is_shown(key_id):
                raise self.lagging(StillShown(error), key_id)

        try:
            existed = await delete_until_gone(
                lambda: self.send_deletion(key_id),
                missed=missed,
                still_shown=lambda: self.is_shown(key_id),
                delay=self.delay,
                deadline=deadline,
                tell=self._of.context.tell,
            )
        finally:
            self.invalidate()
        self.deleted.add(key_id)
        return existed

    async def is_shown(self, key_id: str) -> bool:
        """Whether the cloud still shows a key after answering that it does not exist."""
        if self.asks_two_places:
            return await self.read(key_id) is not None
        shown = await read_until_shown(lambda: self.read(key_id), contradicted_by="it is named by its id")
        return shown is not None

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
        if unchecked := await self.why_unchecked():
            return StepStatus(State.DONE, f"Akka holds {self.held_as(link.key_id)}; {unchecked}")
        if self.keeps_list:
            # A lagging list may not show it yet; it must not count as new when a later list does.
            self.before = sorted({*(self.before or ()), link.key_id})
        shown = await self.recorded(link.key_id)
        why = "was deleted" if shown is None else self.unusable_reason(shown)
        if why:
            return StepStatus(State.MISSING, f"the {self.word} that Akka holds, {link.key_id}, {why}")
        return StepStatus(State.DONE, f"Akka holds {self.held_as(link.key_id)}, which is valid")

    async def do(self) -> Done:
        context = self._of.context
        try:
            await self.prepare()
            answer = await retry_while(
                self._create, why=self._delay_of_creation, deadline=context.deadline, tell=context.tell
            )
            # It is undone even if what follows its creation fails.
            self.answered = key_id = self.id_of(answer)
            self.created.add(key_id)
            left_over = await self._clear_doubles(key_id) if self.attempt.unanswered else None
        except ApiError as error:
            raise await self.creation_refusal(error) from None
        finally:
            self.invalidate()
        self._of.credential = await self.credential_of(answer)
        known = {"key_id": self._undeleted} if left_over is not None and self._undeleted else {}
        return Done(self.created_as(answer), {"key_id": key_id}, left_over, left_known=known)

    def _delay_of_creation(self, error: Exception) -> Delay | None:
        if self.most_creations is not None and self._creations >= self.most_creations:
            return None
        return self.creation_delay(error)

    async def _create(self) -> N:
        self._creations += 1
        await self.before_creation()
        try:
            with self.attempt.sending(self.may_be_created):
                return self._with_id(await self.create())
        except ApiError as error:
            if not self.may_be_created(error):
                raise
            found = await self.after_lost_answer(error)
            if found is None:
                raise
            self.attempt.conclude(ours=True)
            return found

    def _with_id(self, answer: N) -> N:
        """The answer to a creation, if it says which key was created.

        Raises:
            ApiError: it does not, so it is as good as lost.
        """
        why = ""
        try:
            named: object = self.id_of(answer)
            if named and isinstance(named, str):
                return answer
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            why = f" ({type(error).__name__})"
        raise ApiError(0, f"its answer does not name the {self.word}{why}")

    async def after_lost_answer(self, error: ApiError) -> N | None:
        """Look for the effect of an unanswered creation. Return its answer if it can be had; None to send the
        request again.

        Raises:
            OutcomeUnknown: a key has appeared that may be another's. A second request would create another
                key.
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
        """Delete duplicates that earlier unanswered requests created; reads may show them only now."""
        if self.marked:
            try:
                await self.delete_lost(self.intent(), keep=key_id, pauses=self.doubles_pauses)
            except ApiError as error:
                if not self._undeleted:
                    raise
                left = self.still_there({**self.intent(), "key_id": self._undeleted}, error.summary)
                return LeftOver(left.what, left.command)
            return None
        try:
            lost = await self._lost(self.before or ())
            for one in lost.ours:
                await self.delete_by_id(one, self._of.context.deadline)
        except (ApiError, PullkeyError):
            return None  # the next run reports keys that no record names
        return self.perhaps_as(lost.perhaps) if lost.perhaps else None

    async def delete_lost(self, intent: Intent, *, keep: str = "", pauses: Sequence[float] = ()) -> list[str]:
        """Delete the keys that carry a run's mark. If none is found, read again after each pause.

        Args:
            intent: of the run.
            keep: the id of a key to keep.
            pauses: in seconds.

        Raises:
            ApiError: the keys cannot be read, or one cannot be deleted (`_undeleted`).
        """
        self._undeleted = ""
        deleted: list[str] = []
        for pause in (0.0, *pauses):
            await asyncio.sleep(pause)
            self.invalidate()
            for key_id in await self.of_run(intent):
                if key_id not in (keep, *deleted, *intent.get("in_use", ())):
                    self._undeleted = key_id
                    await self.delete_by_id(key_id, self._of.undo_deadline())
                    self._undeleted = ""
                    deleted.append(key_id)
            if deleted:
                break
        return deleted

    async def _appeared(self, before: Collection[str]) -> list[str]:
        """The keys that did not exist before and that this session did not create."""
        self.invalidate()
        return sorted({*await self.ids_now()} - {*before} - self.created)

    async def _lost(self, before: Collection[str], *, identity_stays: bool = False) -> LostKeys:
        """The keys that have appeared: this run's own, or perhaps another's.

        They are its own, as many as its unanswered requests, if it created the identity and no other run is
        seen to use that.
        """
        appeared = await self._appeared(before)
        if not appeared:
            return LostKeys()
        # Another run may have found the new identity and registered its own key meanwhile, so Akka's records
        # are read last.
        recorded = await self._recorded_ids()
        rest = [key_id for key_id in appeared if key_id not in (recorded or ())]
        alone = self.identity_created and not identity_stays and recorded is not None
        own = alone and len(appeared) <= self.attempt.unanswered
        return LostKeys(ours=rest) if own else LostKeys(perhaps=rest)

    async def _lost_by_now(self, intent: Intent, deadline: Deadline) -> LostKeys:
        """The keys that the unanswered requests of an intent may have created.

        Read again while none of them is certain: neither the list nor a new identity is shown at once, a key
        of another run may be shown first, and nothing else accounts for such a key.
        """
        before = {*intent["before"], *(self.before or ()), *intent.get("in_use", ())}
        perhaps: list[str] = []
        for pause in (0.0, *SETTLE_PAUSES):
            await asyncio.sleep(min(pause, deadline.left))
            lost = await self._lost(before, identity_stays=bool(intent.get("identity_stays")))
            if lost.ours and len(lost.ours) >= self.attempt.unanswered:
                return lost
            perhaps += [key_id for key_id in lost.perhaps if key_id not in perhaps]
        if lost.ours:
            return lost
        # Another run may have registered meanwhile what was shown first.
        recorded = await self._recorded_ids() if perhaps else None
        return LostKeys(perhaps=[key_id for key_id in perhaps if key_id not in (recorded or ())])

    async def _recorded_ids(self) -> Collection[str] | None:
        """The keys that Akka's records name now; None if Akka cannot be asked."""
        try:
            return (await self._of.context.keys_in_use(anew=True)).ids
        except PullkeyError:
            return None

    def _answered_for(self, intent: Intent) -> str:
        """The id of the key that the run of an intent created, where its intent does not name it."""
        by_mark = self.attempt.unanswered and self.is_marked(intent)  # finds those without an answer, too
        return "" if by_mark or intent.get("lost") else self.answered

    async def undo(self, intent: Intent) -> str:
        key_id = intent.get("key_id") or self._answered_for(intent)
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
                lost = await self._lost_by_now(intent, deadline)
                for one in lost.ours:
                    await self.delete_by_id(one, deadline)
                deleted = [*lost.ours]
        except (ApiError, PullkeyError) as error:
            if isinstance(error, ApiError) and error.missing and not isinstance(error, NotShownYet):
                return ""  # deleted with the identity
            summary = error.summary if isinstance(error, ApiError) else error.what
            found = {"key_id": self._undeleted or key_id} if self._undeleted or key_id else {}
            raise self.still_there({**intent, **found}, summary) from None
        if lost.perhaps:
            left = self.perhaps_as(lost.perhaps)
            raise StillThere(left.what, left.command)
        return self.undone_as(deleted, intent) if deleted else ""
