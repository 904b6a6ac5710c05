"""One target of the simulated cloud, open: its steps, and the facts that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.model.pull import Probe, PullAttempt
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import PreflightFindings
from bootstrap.testing.simulation.cloud import SimulatedCloud
from bootstrap.testing.simulation.facts import SimulatedFacts
from bootstrap.testing.simulation.steps import GrantStep, IdentityStep, KeyStep
from bootstrap.testing.simulation.target import SimulatedTarget


class SimulatedSession(SimulatedFacts):
    """See `bootstrap.plugin.session.Session`."""

    tells_public = True
    retire_permissions = ("keys.disable", "keys.delete")

    def __init__(self, target: SimulatedTarget, context: RunContext, cloud: SimulatedCloud) -> None:
        super().__init__(target, context, cloud)
        self.key = KeyStep(self)
        self.steps = [IdentityStep(self), GrantStep(self), self.key]

    async def connect(self) -> str:
        return "jo@cloud.example"

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        if not self.cloud.tells_permissions:
            return None
        return {name: self.target.host for name in permissions if name in self.cloud.denied}

    async def preflight(self) -> PreflightFindings:
        return PreflightFindings()

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return f"https://{self.target.host}"

    async def username(self) -> str | None:
        return None if self.cloud.robots else self.target.identity_name

    async def identity(self) -> str:
        return self.target.identity_name

    async def probe(self) -> Probe:
        return Probe(self.target.host, "app", "1.0")

    async def diagnose(self, attempt: PullAttempt) -> str:
        return ""

    # -- scripts ---------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        return {"SERVER": f"https://{self.target.host}", "IDENTITY": self.target.identity_name}

    @property
    def script_credential(self) -> Mapping[str, str]:
        email = f'"{self.target.identity_name}+$KEY_ID@{self.target.host}"'
        return {"server": '"$SERVER"', "username": '"$IDENTITY"', "email": email, "password": '"$SECRET"'}
