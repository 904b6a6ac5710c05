"""The provider `acme`: registry.acme.example, where every robot account may pull."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import UsageProblem
from bootstrap.model.image_reference import parse_reference
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Provider, Target
from bootstrap.plugin.session import Session

if TYPE_CHECKING:
    from bootstrap.plugin.conformance import ConformanceCase
    from bootstrap.plugin.emulator import Emulator

HOST = "registry.acme.example"


@dataclass(frozen=True)
class AcmeTarget(Target):
    """The registry, with the image to verify a key with: `shop/checkout` and `1.0`, or none."""

    repository: str = ""
    reference: str = ""

    @property
    def registry(self) -> str:
        return HOST


class AcmeProvider(Provider):
    name = "acme"
    title = "Acme registry"
    summary = "Make the Acme registry pullable for an Akka project, with a robot account."
    examples = ("pullkey onboard acme", "pullkey onboard registry.acme.example/shop/checkout:1.0")
    options = ()
    hosts = (HOST,)
    login_variables = ("ACME_",)

    def target(self, values: Mapping[str, Any]) -> AcmeTarget:
        image = parse_reference(values.get("image") or HOST, where="--image")
        if image.registry != HOST:
            raise UsageProblem(f"--image: {image} is not an image of {HOST}")
        return AcmeTarget(image.path, image.reference)

    async def locate(self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> AcmeTarget:
        return self.target(login)  # there is one registry; else the record says which

    def open(self, target: AcmeTarget, context: RunContext) -> Session:
        from acme_pullkey.session import AcmeSession

        return AcmeSession(target, context)

    def emulator(self) -> Callable[[], Emulator]:
        from acme_pullkey.emulator import AcmeEmulator

        return AcmeEmulator

    def conformance_cases(self) -> Sequence[ConformanceCase]:
        from bootstrap.plugin.conformance import ConformanceCase

        return [ConformanceCase("acme")]


provider = AcmeProvider()
