"""The provider of the simulated cloud: a plugin without SDK, sockets or login."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.model.option import Option
from bootstrap.model.server import registry_of
from bootstrap.plugin.access import Access
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing, Provider
from bootstrap.plugin.session import Session
from bootstrap.testing.simulation.cloud import SimulatedCloud
from bootstrap.testing.simulation.session import SimulatedSession
from bootstrap.testing.simulation.target import SimulatedTarget

if TYPE_CHECKING:
    from bootstrap.plugin.emulator import Emulator

HOST = ".registry.example"
"""The suffix of the hosts of simulated registries."""


class SimulatedProvider(Provider):
    """See `bootstrap.plugin.provider.Provider`.

    Args:
        cloud: returns the current cloud.
    """

    name = "simulated"
    title = "A simulated cloud"
    summary = "Make a registry of the simulation pullable."
    hosts = ("*.registry.example",)
    access = Access("Any login.")
    examples = ("pullkey onboard simulated --registry one.registry.example",)
    options = (
        Option("--registry", "The host of the registry.", metavar="HOST"),
        Option("--identity", "The identity that pulls.", default="akka-puller", metavar="NAME"),
    )

    def __init__(self, cloud: Callable[[], SimulatedCloud]) -> None:
        self._cloud = cloud

    def recognises(self, held: HeldCredential) -> bool:
        return registry_of(held.server).endswith(HOST)

    async def locate(
        self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]
    ) -> SimulatedTarget:
        if held.link is None:
            raise PullkeyError(f"{held.email} names no key", code=Code.CREDENTIAL_UNREADABLE)
        return SimulatedTarget(registry_of(held.server), held.link.name, most_keys=self._cloud().key_limit)

    def claims(self, host: str) -> bool:
        return host.endswith(HOST)

    def options_of_image(self, image: str) -> Mapping[str, str]:
        return {"registry": image.partition("/")[0]}

    def place_of_image(self, image: str) -> str:
        return image.partition("/")[0]

    def covers(self, target: SimulatedTarget, image: str) -> bool:
        return image.startswith(f"{target.host}/")

    def options_of(self, held: HeldCredential, target: SimulatedTarget | None) -> Mapping[str, str | bool]:
        return {"registry": registry_of(held.server), **({"identity": held.link.name} if held.link else {})}

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        return [Check("cloud", True, "simulated")]

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        return None if values.get("registry") else Missing("--registry", "Registry")

    def target(self, values: Mapping[str, Any]) -> SimulatedTarget:
        identity = values.get("identity") or "akka-puller"
        return SimulatedTarget(values["registry"], identity, most_keys=self._cloud().key_limit)

    def open(self, target: SimulatedTarget, context: RunContext) -> Session:
        return SimulatedSession(target, context, self._cloud())

    def emulator(self) -> Callable[[], Emulator]:
        raise NotImplementedError("the simulation itself is its emulator")
