"""The resources of the simulated cloud: an identity, its grant, its key."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bootstrap.model import clock
from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.errors import KeyLimitReached, OutcomeUnknown, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.plugin.errors import ApiError, refused
from bootstrap.plugin.key_kind import SETTLE_PAUSES
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.retry import Delay, retry_while
from bootstrap.plugin.step import Done, Intent, Removal, Script, State, StepRole, StepStatus, other_than
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
from bootstrap.testing.simulation.facts import SimulatedFacts

_MARK = "pullkey, run "
_UNTIL, _FOR = " until ", " for "
# From a run's deadline until it has certainly undone what it created, or registered it.
_ENDED_SECONDS = 600.0
_BUSY_SECONDS = 60.0
_SPREADING_SECONDS = 120.0


def is_ours(text: str) -> bool:
    """Whether a description or label is one that pullkey writes."""
    return text.startswith(_MARK)


def is_of_lost_run(label: str, place: str) -> bool:
    """Whether a label is of a run for this Akka secret that must have ended by now."""
    ends, found, named = label.partition(_UNTIL)[2].partition(_FOR)
    return bool(found) and named == place and float(ends) < clock.time()


def busy(error: Exception) -> Delay | None:
    """The delay of an error of a busy or briefly unavailable cloud; None for other errors."""
    if not (isinstance(error, ApiError) and error.passing):
        return None
    return Delay("The cloud is busy or briefly away; trying again.", _BUSY_SECONDS, error.retry_after)


def spreading(error: Exception) -> Delay | None:
    """The same, or the delay of a new identity that not every replica knows yet."""
    if isinstance(error, ApiError) and error.code in (UNKNOWN_IDENTITY, NAME_TAKEN):
        return Delay("Not every replica knows the new identity yet.", _SPREADING_SECONDS)
    return busy(error)


class IdentityStep(Resource[Identity]):
    """The identity: found, or created under a name that is known beforehand."""

    name = StepRole.IDENTITY
    permissions = ("identities.get", "identities.create")

    def __init__(self, session: SimulatedFacts) -> None:
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

    def judge(self, shown: Identity) -> StepStatus:
        return StepStatus(State.DONE, "exists")

    def intent(self) -> Intent:
        return {"identity": self._session.target.identity_name, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, identity=self._session.target.identity_name)

    async def do(self) -> Done:
        session = self._session
        try:
            made = await retry_while(
                self._create, why=spreading, deadline=session.context.deadline, tell=session.context.tell
            )
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
        """Permanently delete an identity that pullkey has deleted, and that keeps its name.

        Raises:
            StepFailed: another user created it.
            ApiError: it cannot be permanently deleted.
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
            # An earlier request may have deleted it, but not permanently.
            if not error.missing or not cloud.soft:
                raise
        if cloud.soft:
            await cloud.delete_for_good(name, uid)

    def delete_command(self) -> str:
        return f"simulated identities delete {self._session.target.identity_name}"

    async def expected(self) -> Identity | None:
        self._session.found.invalidate()
        return await self._session.found()

    async def removal_of(self, shown: Identity) -> Removal:
        if self._session.target.given or not is_ours(shown.description):
            return self.to_keep("it was not created by pullkey")
        roles = [one.role for one in await self._session.cloud.grants_of(shown.uid)]
        if others := [one for one in roles if one != self._session.target.role]:
            return self.to_keep(f"it has other roles: {', '.join(others)}")
        return self.to_remove()

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

    name = StepRole.GRANT
    after = (StepRole.IDENTITY,)
    permissions = ("grants.get", "grants.put")

    def __init__(self, session: SimulatedFacts) -> None:
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

    def judge(self, shown: Grant) -> StepStatus:
        return StepStatus(State.DONE, "granted")

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
            granted = await retry_while(
                put, why=spreading, deadline=session.context.deadline, tell=session.context.tell
            )
        except ApiError as error:
            raise refused(error, f"grant the {self.noun}") from None
        # The answer is the same if it existed before: only the mark shows which run created it.
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

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    def script(self) -> Script:
        role = self._session.target.role
        return Script(
            do=f'simulated grants create {role} --identity="$IDENTITY"',
            check=f'simulated grants get {role} --identity="$IDENTITY"',
            undo=f'simulated grants delete {role} --identity="$IDENTITY"',
        )


class KeyStep(KeyResource[Key, Key]):
    """The key. The run's id is in its label, if the cloud has labels; otherwise the earlier list
    distinguishes it.
    """

    permissions = ("keys.create", "keys.list")
    goes_with_identity = True
    doubles_pauses = SETTLE_PAUSES

    def __init__(self, session: SimulatedFacts) -> None:
        super().__init__(session)
        self._session = session
        self.marked = session.cloud.labels
        self.can_disable = session.cloud.disables
        self.finds_lost_keys = session.cloud.marks
        self._mark = ""

    @property
    def title(self) -> str:
        return f"Create a key of {self._session.target.identity_name}"

    @property
    def whose(self) -> str:  # type: ignore[override]
        return f" of {self._session.target.identity_name}"

    @property
    def _label(self) -> str:
        return f"{_MARK}{self._session.context.run_id}{self._mark}"

    async def look_now(self) -> StepStatus:
        context = self._session.context
        if self._session.cloud.marks and not self._mark:
            ends = clock.time() + context.deadline.left + _ENDED_SECONDS
            self._mark = f"{_UNTIL}{ends:.0f}{_FOR}{await context.place()}"
        return await super().look_now()

    def intent(self) -> Intent:
        name = self._session.target.identity_name
        return {"identity": name, "label": self._label, "before": list(self.before or ())}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, identity=self._session.target.identity_name)

    # -- which key a record names ----------------------------------------------------------------------------

    def owns(self, link: KeyRef) -> bool:
        # Registries share an identity, so the domain says nothing of it.
        return link.name == self._session.target.identity_name

    async def is_username(self, username: str, link: KeyRef) -> bool:
        return username == self._session.username_of(link.key_id)

    # -- the calls -------------------------------------------------------------------------------------------

    async def read(self, key_id: str) -> Key | None:
        session = self._session
        return await retry_while(
            lambda: session.cloud.key(key_id),
            why=busy,
            deadline=session.context.deadline,
            tell=session.context.tell,
        )

    def facts_of(self, shown: Key) -> KeyFacts:
        return KeyFacts(shown.key_id, shown.created, disabled=shown.disabled)

    async def create(self) -> Key:
        return await self._session.cloud.create_key(await self._session.uid(), self._label)

    def id_of(self, answer: Key) -> str:
        return answer.key_id

    async def credential_of(self, answer: Key) -> Credential:
        session, target = self._session, self._session.target
        return Credential(
            server=await session.server(),
            username=session.username_of(answer.key_id),
            password=Secret(answer.secret),
            link=KeyRef(target.identity_name, answer.key_id, target.host),
        )

    async def send_deletion(self, key_id: str) -> None:
        await self._session.cloud.delete_key(key_id)

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        await self._session.cloud.switch_key(key_id, on=on)

    def delete_command(self, key_id: str) -> str:
        name = self._session.target.identity_name
        if not key_id:
            return f"simulated keys list --identity={name}"
        return f"simulated keys delete {key_id} --identity={name}"

    def invalidate(self) -> None:
        self._session.found.invalidate()

    async def of_run(self, intent: Intent) -> Sequence[str]:
        return [one.key_id for one in labelled(await self._session.all_keys(), intent["label"])]

    async def ids_now(self) -> Collection[str]:
        return [one.key_id for one in await self._session.all_keys()]

    async def of_lost_runs(self, place: str, known: Collection[str]) -> list[Key]:
        return [one for one in await self._listed() if is_of_lost_run(one.label, place)]

    @property
    def identity_created(self) -> bool:
        return self._session.identity_created

    # -- all keys of the identity ----------------------------------------------------------------------------

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        self._session.found.invalidate()
        keys = await self._listed()
        return [f"key {one.key_id} of {one.created:%Y-%m-%d}" for one in keys if one.key_id not in ours]

    async def list_counted(self) -> list[KeyFacts]:
        return [self.facts_of(one) for one in await self._listed()]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        session = self._session
        if not as_seen:
            session.found.invalidate()
        keys = await self._listed()
        found = session.new_identity or await session.found()
        created_by_pullkey = found is not None and is_ours(found.description)
        return [
            self.facts_of(one) for one in keys if (is_ours(one.label) if self.marked else created_by_pullkey)
        ]

    async def _listed(self) -> list[Key]:
        try:
            return await self._session.all_keys()
        except ApiError as error:
            raise self.refusal(error, f"show the keys of {self._session.target.identity_name}") from None

    # -- errors ----------------------------------------------------------------------------------------------

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    def creation_delay(self, error: Exception) -> Delay | None:
        return spreading(error) if self._session.new_identity is not None else busy(error)

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        if error.code == KEY_LIMIT:
            return KeyLimitReached(f"{self._session.target.identity_name} has all the keys that it may have")
        return self.refusal(error, f"create a key{self.whose}")

    def unread(self, error: ApiError) -> StepStatus:
        raise self.refusal(error, "show the keys")

    def script(self) -> Script:
        return Script(
            do='KEY_ID="$(simulated keys create --identity="$IDENTITY")"',
            check='simulated keys get "$KEY_ID"',
            undo='simulated keys delete "$KEY_ID" --identity="$IDENTITY"',
        )
