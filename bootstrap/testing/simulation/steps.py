"""What is created in the simulated cloud: an identity, its grant, its key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bootstrap.codes import Code
from bootstrap.credential import Credential
from bootstrap.errors import KeyLimitReached, LeftOver, OutcomeUnknown, PullkeyError, StepFailed
from bootstrap.link import KeyLink
from bootstrap.observe import Present, confirm_absent
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.resource import Resource
from bootstrap.secret import Secret
from bootstrap.steps import Done, Intent, Removal, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.testing.simulation.cloud import (
    KEY_LIMIT,
    NAME_OF_DELETED,
    NAME_TAKEN,
    UNKNOWN_IDENTITY,
    Grant,
    Identity,
    Key,
    SimulatedApiError,
    labelled,
)
from bootstrap.waiting import Delay, wait_out

if TYPE_CHECKING:
    from bootstrap.testing.simulation.session import SimulatedSession

_MARK = "pullkey, run "
_BUSY_SECONDS = 60.0
_SPREADING_SECONDS = 120.0
_SETTLE_PAUSES = (2.0, 2.0, 3.0)
"""When keys are listed to find one whose creation had no answer."""


def is_ours(text: str) -> bool:
    """Whether a description or label is one that pullkey writes."""
    return text.startswith(_MARK)


def busy(error: Exception) -> Delay | None:
    """The delay that an error is, where the cloud is busy or briefly away."""
    if not (isinstance(error, ApiError) and error.busy):
        return None
    return Delay("The cloud is busy or briefly away; trying again.", _BUSY_SECONDS, error.retry_after)


def spreading(error: Exception) -> Delay | None:
    """The same; and that not every replica knows a new identity yet."""
    if isinstance(error, ApiError) and error.code in (UNKNOWN_IDENTITY, NAME_TAKEN):
        return Delay("Not every replica knows the new identity yet.", _SPREADING_SECONDS)
    return busy(error)


def refused(error: ApiError, doing: str) -> StepFailed:
    """An error as a sentence."""
    return StepFailed(
        f"The simulated cloud did not {doing}: {error.said}", fix=error.fix, code=error.problem_code
    )


class IdentityStep(Resource[Identity]):
    """The identity: found, or created under a name that is known before."""

    name = "identity"
    permissions = ("identities.get", "identities.create")

    def __init__(self, session: SimulatedSession) -> None:
        super().__init__(session)
        self._session = session

    @property
    def noun(self) -> str:
        return f"identity {self._session.target.identity_name}"

    @property
    def title(self) -> str:
        return f"Create {self.noun}"

    async def read(self) -> Identity | None:
        return await self._session.cloud.identity(self._session.target.identity_name)

    async def seen(self) -> Identity | None:
        return await self._session.found()

    def judge(self, shown: Identity) -> Sighting:
        return Sighting(State.DONE, "exists")

    def intent(self) -> Intent:
        return {"identity": self._session.target.identity_name, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, identity=self._session.target.identity_name)

    async def do(self) -> Done:
        session = self._session
        try:
            made = await wait_out(self._create, why=spreading, deadline=session.context.deadline, tell=session.context.tell)  # fmt: skip
        except ApiError as error:
            if error.code == NAME_TAKEN:
                raise OutcomeUnknown(
                    f"The cloud says that {self.noun} exists, and does not show it"
                ) from None
            raise refused(error, f"create {self.noun}") from None
        session.identity_created, session.new_identity = self.attempt.created, made
        if not self.attempt.created:
            return Done("another run has just created it", unneeded=True)
        return Done("", {"uid": made.uid})

    async def _create(self) -> Identity:
        session = self._session
        cloud, name, run_id = session.cloud, session.target.identity_name, session.context.run_id
        try:
            with self.attempt.sending():
                return await cloud.create_identity(name, f"{_MARK}{run_id}")
        except ApiError as error:
            if error.code == NAME_OF_DELETED:
                await self._free_the_name()
                with self.attempt.sending():
                    return await cloud.create_identity(name, f"{_MARK}{run_id}")
            if error.code != NAME_TAKEN:
                raise
            # Created by another run since, or by a request of this one whose answer was lost.
            found = await self.read()
            if found is None:
                raise
            self.attempt.conclude(ours=run_id in found.description)
            return found

    async def _free_the_name(self) -> None:
        """One that pullkey has deleted, and not for good, keeps its name.

        Raises:
            StepFailed: it is somebody else's.
            ApiError: it cannot be deleted for good.
        """
        cloud, name = self._session.cloud, self._session.target.identity_name
        deleted = await cloud.deleted_identity(name)
        if deleted is None:
            raise SimulatedApiError(503, "not every replica knows that it was deleted")
        if not is_ours(deleted.description):
            raise StepFailed(
                f"{self.noun} was deleted, and keeps its name",
                fix="Restore it, or delete it for good.",
                code=Code.NAME_IN_DELETED_ITEMS,
            )
        await cloud.delete_for_good(name, deleted.uid)

    async def is_of_run(self, shown: Identity, intent: Intent) -> bool:
        return str(intent["run_id"]) in shown.description

    async def delete(self, intent: Intent) -> None:
        cloud, name = self._session.cloud, self._session.target.identity_name
        uid = intent.get("uid") or await self._session.uid()
        try:
            await cloud.delete_identity(name, uid)
        except ApiError as error:
            # An earlier request may have deleted it, and not for good.
            if not error.missing or not cloud.soft:
                raise
        if cloud.soft:
            await cloud.delete_for_good(name, uid)

    def delete_command(self) -> str:
        return f"simulated identities delete {self._session.target.identity_name}"

    async def expected(self) -> Identity | None:
        self._session.found.forget()
        return await self._session.found()

    async def removal_of(self, shown: Identity) -> Removal:
        if self._session.target.given or not is_ours(shown.description):
            return self.to_keep("it was not created by pullkey")
        roles = [one.role for one in await self._session.cloud.grants_of(shown.uid)]
        if others := [one for one in roles if one != self._session.target.role]:
            return self.to_keep(f"it has other roles: {', '.join(others)}")
        return self.to_remove()

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return refused(error, doing)

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    def script(self) -> Script:
        return Script(
            do='simulated identities create "$IDENTITY"',
            check='simulated identities get "$IDENTITY"',
            undo='simulated identities delete "$IDENTITY"',
        )


class GrantStep(Resource[Grant]):
    """The role that lets the identity pull."""

    name = "grant"
    after = ("identity",)
    permissions = ("grants.get", "grants.put")

    def __init__(self, session: SimulatedSession) -> None:
        super().__init__(session)
        self._session = session

    @property
    def noun(self) -> str:
        return f"role {self._session.target.role} of {self._session.target.identity_name}"

    @property
    def title(self) -> str:
        return f"Grant {self.noun}"

    async def read(self) -> Grant | None:
        uid = await self._session.uid()
        return await self._session.cloud.grant(uid, self._session.target.role) if uid else None

    def judge(self, shown: Grant) -> Sighting:
        return Sighting(State.DONE, "granted")

    def intent(self) -> Intent:
        target = self._session.target
        return {"identity": target.identity_name, "role": target.role, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        target = self._session.target
        return other_than(intent, identity=target.identity_name, role=target.role)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        uid = await session.uid()
        mark = f"{_MARK}{session.context.run_id}"

        async def put() -> Grant:
            with self.attempt.sending():
                return await session.cloud.put_grant(uid, target.role, mark)

        try:
            granted = await wait_out(
                put, why=spreading, deadline=session.context.deadline, tell=session.context.tell
            )
        except ApiError as error:
            raise refused(error, f"grant the {self.noun}") from None
        # The answer is the same where it was there before: the mark alone says whose it is.
        self.attempt.conclude(ours=granted.description == mark)
        if not self.attempt.created:
            return Done("it was granted before", unneeded=True)
        return Done("", {"uid": uid})

    async def is_of_run(self, shown: Grant, intent: Intent) -> bool:
        return str(intent["run_id"]) in shown.description

    async def delete(self, intent: Intent) -> None:
        uid = intent.get("uid") or await self._session.uid()
        await self._session.cloud.delete_grant(uid, self._session.target.role)

    def delete_command(self) -> str:
        target = self._session.target
        return f"simulated grants delete {target.role} --identity={target.identity_name}"

    async def removal_of(self, shown: Grant) -> Removal:
        if not is_ours(shown.description):
            return self.to_keep("it was not granted by pullkey")
        return self.to_remove()

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return refused(error, doing)

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    def script(self) -> Script:
        role = self._session.target.role
        return Script(
            do=f'simulated grants create {role} --identity="$IDENTITY"',
            check=f'simulated grants get {role} --identity="$IDENTITY"',
            undo=f'simulated grants delete {role} --identity="$IDENTITY"',
        )


class KeyStep(Step):
    """The key. Where it bears a label, the run's id is in it; where it bears none, the list from before tells it apart."""

    name = "key"
    after = ("identity",)
    permissions = ("keys.create", "keys.list")

    def __init__(self, session: SimulatedSession) -> None:
        self._session = session
        self._before: list[str] = []
        self._sent = 0
        self._unanswered = 0
        self._lost: set[str] = set()
        """The keys that a request without an answer has created, and that may not be deleted."""

    @property
    def title(self) -> str:
        return f"Create a key of {self._session.target.identity_name}"

    @property
    def _label(self) -> str:
        return f"{_MARK}{self._session.context.run_id}"

    async def look(self) -> Sighting:
        session = self._session
        try:
            keys = {one.key_id: one for one in await session.all_keys()}
            link, reason = await usable_key(session)
            self._before = sorted({*keys, *([link.key_id] if link else [])})
            if link is None:
                return Sighting(State.MISSING, reason)
            key_id = link.key_id
            key = keys.get(key_id)
            if key is None:
                seen = await confirm_absent(
                    lambda: session.cloud.key(key_id), contradicted_by="Akka's record names it"
                )
                key = seen.value if isinstance(seen, Present) else None
        except ApiError as error:
            raise refused(error, "show the keys") from None
        if key is None:
            return Sighting(State.MISSING, f"the key that Akka holds, {key_id}, was deleted")
        if key.disabled:
            return Sighting(State.MISSING, f"the key that Akka holds, {key_id}, is disabled")
        return Sighting(State.DONE, f"Akka holds key {key_id}, which is valid")

    def intent(self) -> Intent:
        return {"identity": self._session.target.identity_name, "label": self._label, "before": self._before}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, identity=self._session.target.identity_name)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        uid = await session.uid()
        try:
            made = await wait_out(lambda: self._create(uid), why=self._delay, deadline=session.context.deadline, tell=session.context.tell)  # fmt: skip
            if self._unanswered and session.cloud.labels:
                # Only now may the list show what a request without an answer has created.
                await self._remove_labelled(self.intent(), keep=made.key_id)
            left_over = (
                await self._lost_beside(made.key_id)
                if self._unanswered and not session.cloud.labels
                else None
            )
        except ApiError as error:
            if error.code == KEY_LIMIT:
                raise KeyLimitReached(f"{target.identity_name} has all the keys that it may have") from None
            raise refused(error, f"create a key of {target.identity_name}") from None
        session.created_keys.add(made.key_id)
        session.credential = Credential(
            server=await session.server(),
            username=await session.username(),
            password=Secret(made.secret),
            link=KeyLink(target.identity_name, made.key_id, target.host),
        )
        return Done(f"key {made.key_id}", {"key_id": made.key_id}, left_over)

    async def _create(self, uid: str) -> Key:
        self._sent += 1
        try:
            return await self._session.cloud.create_key(uid, self._label)
        except ApiError as error:
            if not error.unanswered:
                raise
            self._unanswered += 1
            if self._session.cloud.labels:
                await self._remove_labelled(self.intent())
            else:
                await self._refuse_if_appeared()
            raise
        except asyncio.CancelledError:
            self._unanswered += 1
            raise

    async def _refuse_if_appeared(self) -> None:
        """A second request would create a second key, so its effect is looked for first.

        Raises:
            OutcomeUnknown: a key has appeared.
        """
        for pause in _SETTLE_PAUSES:
            await asyncio.sleep(min(pause, self._session.context.deadline.left))
            if appeared := await self._appeared(self._before):
                raise OutcomeUnknown(
                    f"The creation of a key had no answer, and key {', '.join(appeared)} has appeared"
                )

    async def _lost_beside(self, key_id: str) -> LeftOver | None:
        appeared = [one for one in await self._appeared(self._before) if one != key_id]
        return self._left_over(appeared) if appeared else None

    def _left_over(self, keys: list[str]) -> LeftOver:
        what = (
            f"{self._session.target.identity_name} has a key that appeared during the run: {', '.join(keys)}"
        )
        return LeftOver(what, "; ".join(map(self._session.delete_key_command, keys)))

    async def _appeared(self, before: list[str]) -> list[str]:
        return sorted(
            {one.key_id for one in await self._session.all_keys()} - {*before, *self._session.created_keys}
        )

    async def _remove_labelled(self, intent: Intent, *, keep: str = "") -> list[str]:
        """Delete the keys of a run, which their label tells from all others."""
        removed: list[str] = []
        for pause in (0.0, *_SETTLE_PAUSES):
            await asyncio.sleep(pause)
            for one in labelled(await self._session.all_keys(), intent["label"]):
                if one.key_id not in (keep, *removed):
                    self._lost.add(one.key_id)
                    await self._session.delete_key_by(one.key_id, self._session.undo_deadline())
                    removed.append(one.key_id)
            if removed:
                break
        return removed

    def _delay(self, error: Exception) -> Delay | None:
        return spreading(error) if self._session.new_identity is not None else busy(error)

    async def undo(self, intent: Intent) -> str:
        session = self._session
        if not self._sent and not intent.get("lost"):
            return ""
        if session.identity_created and not intent.get("identity_stays"):
            return ""  # it goes with the identity, which this run created and now removes
        key_id = intent.get("key_id")
        try:
            if key_id:
                deleted = await session.delete_key_by(key_id, session.undo_deadline())
                return f"deleted key {key_id}" if deleted else ""
            if session.cloud.labels:
                removed = await wait_out(lambda: self._remove_labelled(intent), why=busy, deadline=session.undo_deadline(), tell=session.context.tell)  # fmt: skip
                return f"deleted key {', '.join(removed)}" if removed else ""
            if not (self._unanswered or intent.get("lost")):
                return ""
            recorded = {*intent.get("in_use", ()), *(await session.context.keys_in_use()).ids}
            appeared = await self._appeared([*intent["before"], *self._before, *recorded])
        except (ApiError, PullkeyError) as error:
            found = [key_id] if key_id else sorted(self._lost)
            what = f"key {', '.join(found)}" if found else "a key that may have been created"
            said = error.said if isinstance(error, ApiError) else error.what
            name = session.target.identity_name
            command = (
                "; ".join(map(session.delete_key_command, found)) or f"simulated keys list --identity={name}"
            )
            raise StillThere(f"{what} of {name} ({said})", command) from None
        if appeared:
            # Somebody else may have created it in the same moment: a key is never deleted on a guess.
            left = self._left_over(appeared)
            raise StillThere(left.what, left.command)
        return ""

    def script(self) -> Script:
        return Script(
            do='KEY_ID="$(simulated keys create --identity="$IDENTITY")"',
            check='simulated keys get "$KEY_ID"',
            undo='simulated keys delete "$KEY_ID" --identity="$IDENTITY"',
        )
