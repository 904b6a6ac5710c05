"""One target of the simulated cloud, open: the steps, and the facts that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.observe import Present, confirm_absent
from bootstrap.once import Once
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.provider import RunContext, Session
from bootstrap.registry import Attempt, Probe
from bootstrap.steps import Findings
from bootstrap.testing.simulation.cloud import Identity, Key, SimulatedApiError, SimulatedCloud
from bootstrap.testing.simulation.provider import SimulatedTarget
from bootstrap.testing.simulation.steps import GrantStep, IdentityStep, KeyStep


class SimulatedSession(Session):
    """See `bootstrap.provider.Session`."""

    tells_public = True
    retire_permissions = ("keys.disable", "keys.delete")

    def __init__(self, target: SimulatedTarget, context: RunContext, cloud: SimulatedCloud) -> None:
        self.target = target
        self.context = context
        self.cloud = cloud
        self.found = Once(self._find)
        self.identity_created = False
        self.new_identity: Identity | None = None
        """The one that this run or another has just created: not every replica knows it yet."""
        self.key = KeyStep(self)
        self.steps = [IdentityStep(self), GrantStep(self), self.key]

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

    async def username(self) -> str | None:
        return None if self.cloud.robots else self.target.identity_name

    def username_of(self, key_id: str) -> str:
        """The user name that a key is used with; a robot's is its own."""
        name = self.target.identity_name
        return f"{name}${key_id}" if self.cloud.robots else name

    async def identity(self) -> str:
        return self.target.identity_name

    async def probe(self) -> Probe:
        return Probe(self.target.host, "app", "1.0")

    async def diagnose(self, attempt: Attempt) -> str:
        return ""

    # -- scripts -----------------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        return {"SERVER": f"https://{self.target.host}", "IDENTITY": self.target.identity_name}

    @property
    def script_credential(self) -> Mapping[str, str]:
        email = f'"{self.target.identity_name}+$KEY_ID@{self.target.host}"'
        return {"server": '"$SERVER"', "username": '"$IDENTITY"', "email": email, "password": '"$SECRET"'}
