"""One target of the simulated cloud, open: the steps, and the facts that they share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bootstrap.errors import KeyGone
from bootstrap.link import KeyLink
from bootstrap.observe import Present, confirm_absent
from bootstrap.once import Once
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.resource import StillShown, delete_until_gone
from bootstrap.plugin.session_keys import SessionKeys
from bootstrap.provider import KeyFacts, RunContext, Session
from bootstrap.registry import Attempt, Probe
from bootstrap.steps import Findings
from bootstrap.testing.simulation.cloud import Identity, Key, SimulatedApiError, SimulatedCloud
from bootstrap.testing.simulation.provider import SimulatedTarget
from bootstrap.testing.simulation.steps import GrantStep, IdentityStep, KeyStep, busy, is_ours, refused
from bootstrap.waiting import Deadline, wait_out


class SimulatedSession(Session):
    """See `bootstrap.provider.Session`."""

    tells_public = True
    disables_keys = True
    retire_permissions = ("keys.disable", "keys.delete")

    def __init__(self, target: SimulatedTarget, context: RunContext, cloud: SimulatedCloud) -> None:
        self.target = target
        self.context = context
        self.cloud = cloud
        self.disables_keys = cloud.disables
        self.key = SessionKeys(self)
        self.found = Once(self._find)
        self.identity_created = False
        self.new_identity: Identity | None = None
        """The one that this run or another has just created: not every replica knows it yet."""
        self.created_keys: set[str] = set()
        self.steps = [IdentityStep(self), GrantStep(self), KeyStep(self)]

    # -- facts -----------------------------------------------------------------------------------------------------

    async def _find(self) -> Identity | None:
        """The identity; that it is not there is not believed at once where Akka's record names it."""
        named = (await key_in_record(self, await self.context.held_credential()))[0] is not None
        if not named:
            return await self.cloud.identity(self.target.identity_name)
        seen = await confirm_absent(self._identity_now, contradicted_by="Akka's record names it")
        return seen.value if isinstance(seen, Present) else None

    async def _identity_now(self) -> Identity | None:
        return await self.cloud.identity(self.target.identity_name)

    async def uid(self) -> str:
        """Of the identity; "" while there is none."""
        found = self.new_identity or await self.found()
        return found.uid if found is not None else ""

    async def all_keys(self) -> list[Key]:
        """All keys of the identity, as the cloud shows them now; none where it does not know the identity."""
        if not (uid := await self.uid()):
            return []
        try:
            return await self.cloud.keys_of(uid)
        except SimulatedApiError as error:
            if error.missing:
                return []
            raise

    # -- as `bootstrap.provider.Session` -----------------------------------------------------------------------------

    async def connect(self) -> str:
        return "jo@cloud.example"

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        if not self.cloud.tells_permissions:
            return None
        return {name: self.target.host for name in permissions if name in self.cloud.denied}

    async def preflight(self) -> Findings:
        return Findings()

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return f"https://{self.target.host}"

    async def username(self) -> str:
        return self.target.identity_name

    async def probe(self) -> Probe:
        return Probe(self.target.host, "app", "1.0")

    async def diagnose(self, attempt: Attempt) -> str:
        return ""

    def holds(self, link: KeyLink) -> bool:
        return link.name == self.target.identity_name and self.target.host.startswith(link.domain)

    # -- the keys of the identity -----------------------------------------------------------------------------------

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        try:
            found = await wait_out(
                lambda: self.cloud.key(key_id),
                why=busy,
                deadline=self.context.deadline,
                tell=self.context.tell,
            )
        except SimulatedApiError as error:
            raise refused(error, f"show key {key_id}") from None
        return _facts(found) if found is not None else None

    async def delete_key(self, key_id: str) -> bool:
        try:
            return await self.delete_key_by(key_id, self.context.deadline)
        except SimulatedApiError as error:
            raise refused(error, f"delete key {key_id}") from None

    async def delete_key_by(self, key_id: str, deadline: Deadline) -> bool:
        """Delete a key; False if it was gone already.

        Raises:
            SimulatedApiError: the cloud refuses.
        """

        async def still_shown() -> bool:
            # Something names it, so that it does not exist is not believed at once.
            seen = await confirm_absent(
                lambda: self.cloud.key(key_id), contradicted_by="it is named by its id"
            )
            return isinstance(seen, Present)

        async def missed(error: ApiError) -> None:
            if await still_shown():
                raise StillShown(error)

        return await delete_until_gone(
            lambda: self.cloud.delete_key(key_id),
            missed=missed,
            still_shown=still_shown,
            delay=busy,
            deadline=deadline,
            tell=self.context.tell,
        )

    def delete_key_command(self, key_id: str) -> str:
        return f"simulated keys delete {key_id} --identity={self.target.identity_name}"

    async def switch_key(self, key_id: str, *, on: bool) -> None:
        async def switch() -> None:
            try:
                await self.cloud.switch_key(key_id, on=on)
            except SimulatedApiError as error:
                if not error.missing:
                    raise
                seen = await confirm_absent(
                    lambda: self.cloud.key(key_id), contradicted_by="it is named by its id"
                )
                if isinstance(seen, Present):
                    raise SimulatedApiError(503, "not every replica knows it") from None
                raise KeyGone(f"Key {key_id} was deleted") from None

        try:
            await wait_out(switch, why=busy, deadline=self.context.deadline, tell=self.context.tell)
        except SimulatedApiError as error:
            raise refused(error, f"{'enable' if on else 'disable'} key {key_id}") from None

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        self.found.forget()
        try:
            keys = await self.all_keys()
        except SimulatedApiError as error:
            raise refused(error, f"show the keys of {self.target.identity_name}") from None
        return [f"key {one.key_id} of {one.created:%Y-%m-%d}" for one in keys if one.key_id not in ours]

    async def keys_of_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        if not as_seen:
            self.found.forget()
        try:
            found = self.new_identity or await self.found()
            keys = await self.all_keys()
        except SimulatedApiError as error:
            raise refused(error, f"show the keys of {self.target.identity_name}") from None
        created_by_pullkey = found is not None and is_ours(found.description)
        return [
            _facts(one) for one in keys if (is_ours(one.label) if self.cloud.labels else created_by_pullkey)
        ]

    # -- scripts -----------------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        return {"SERVER": f"https://{self.target.host}", "IDENTITY": self.target.identity_name}

    @property
    def script_credential(self) -> Mapping[str, str]:
        email = f'"{self.target.identity_name}+$KEY_ID@{self.target.host}"'
        return {"server": '"$SERVER"', "username": '"$IDENTITY"', "email": email, "password": '"$SECRET"'}


def _facts(key: Key) -> KeyFacts:
    return KeyFacts(key.key_id, key.created, disabled=key.disabled)
