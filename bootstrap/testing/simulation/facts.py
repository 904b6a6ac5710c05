"""What the steps of one simulated target share: the cloud, and what was read of the identity and its keys."""

from __future__ import annotations

from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import read_until_shown
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.testing.simulation.cloud import Identity, Key, SimulatedApiError, SimulatedCloud
from bootstrap.testing.simulation.target import SimulatedTarget


class SimulatedFacts(Session):
    """A session without its steps, to which it is passed."""

    def __init__(self, target: SimulatedTarget, context: RunContext, cloud: SimulatedCloud) -> None:
        self.target = target
        self.context = context
        self.cloud = cloud
        self.found = AsyncOnce(self._find)
        self.identity_created = False
        self.new_identity: Identity | None = None
        """The identity that this run or another has just created: not every replica knows it yet."""

    async def _find(self) -> Identity | None:
        """The identity. Its absence is accepted only after a second read if Akka's record names it."""
        named = (await key_in_record(self, await self.context.held_credential()))[0] is not None
        if not named:
            return await self.cloud.identity(self.target.identity_name)
        return await read_until_shown(self._identity_now, contradicted_by="Akka's record names it")

    async def _identity_now(self) -> Identity | None:
        return await self.cloud.identity(self.target.identity_name)

    async def uid(self) -> str:
        """The identity's uid; "" if there is none."""
        found = self.new_identity or await self.found()
        return found.uid if found is not None else ""

    async def all_keys(self) -> list[Key]:
        """All keys of the identity, as the cloud shows them now; empty if it does not know the identity."""
        if not (uid := await self.uid()):
            return []
        try:
            return await self.cloud.keys_of(uid)
        except SimulatedApiError as error:
            if error.missing:
                return []
            raise

    def username_of(self, key_id: str) -> str:
        """The user name of a key; a robot's key has its own."""
        name = self.target.identity_name
        return f"{name}${key_id}" if self.cloud.robots else name
