"""Find the registries that the services of an Akka project pull from, and those without a working
credential.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.services import PullFailure, Service, is_akka_registry
from bootstrap.engine.health import CredentialHealth
from bootstrap.engine.locate import is_for
from bootstrap.engine.waiting_services import AT_ONCE, DOCKER_HUB, MOST_ASKED, registry_host
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.server import registry_of
from bootstrap.plugin.entry_points import covers
from bootstrap.plugin.provider import Provider
from bootstrap.plugin.routing import host_of_image, providers_for

_PULLED_FROM = {DOCKER_HUB: "registry-1.docker.io"}
_SECONDS = 10.0
_COVERAGE_UNKNOWN = "whether it is for these images is not known"


class Need(StrEnum):
    """The state of the credential for a registry."""

    OK = "ok"  # registered by pullkey, without problems
    EXTERNAL = "external"  # not created by pullkey: whether it works is unknown
    UNVERIFIED = "unverified"  # registered by pullkey, but not everything could be read
    WRONG = "wrong"  # registered by pullkey, and does not pull or soon will not
    MISSING = "missing"
    PUBLIC = "public"  # anyone may pull
    AKKA = "akka"  # Akka's own registry
    UNKNOWN = "unknown"  # the image's name cannot be parsed


@dataclass
class RegistryInUse:
    """A registry, or the part of one that a single credential covers.

    Attributes:
        place: the common prefix of the images' names.
        images: the names of the services, by image.
        failures: the pull failures, by service.
        covered: whether the credential is known to be for all of the images.
    """

    place: str
    provider: Provider | None
    images: dict[str, list[str]]
    need: Need = Need.UNKNOWN
    credential: str = ""
    problems: list[str] = field(default_factory=list)
    failures: dict[str, PullFailure] = field(default_factory=dict)
    covered: bool = True

    @property
    def services(self) -> list[str]:
        return sorted({name for names in self.images.values() for name in names})

    @property
    def to_onboard(self) -> bool:
        """Whether an onboarding is needed: the credential is missing, has problems, does not pull, or may be
        for other images only.
        """
        if self.need in (Need.EXTERNAL, Need.UNVERIFIED):
            return bool(self.failures) or not self.covered
        return self.need in (Need.MISSING, Need.WRONG)


def by_place(services: Iterable[Service]) -> list[RegistryInUse]:
    """Group services by the registry that they pull from, sorted by place."""
    found: dict[str, RegistryInUse] = {}
    for service in services:
        place, provider, need = _place_of(service.image)
        one = found.setdefault(place, RegistryInUse(place, provider, {}, need))
        one.images.setdefault(service.image, []).append(service.name)
    return [found[place] for place in sorted(found)]


def _place_of(image: str) -> tuple[str, Provider | None, Need]:
    host = host_of_image(image)
    if is_akka_registry(host):
        return host, None, Need.AKKA
    providers = providers_for(host)
    if len(providers) != 1:
        return host or image, None, Need.UNKNOWN
    try:
        return providers[0].place_of_image(image), providers[0], Need.MISSING
    except UsageProblem:
        return image, None, Need.UNKNOWN


async def survey(
    akka: AkkaCli,
    credentials: Sequence[HeldCredential],
    look: Callable[[Sequence[HeldCredential]], Awaitable[Sequence[CredentialHealth]]],
    trace: Callable[[str], None],
) -> list[RegistryInUse]:
    """The registries that the project's services pull from, each with the state of its credential.

    Args:
        akka: of the project.
        credentials: the project's credentials.
        look: assesses some of them.
        trace: writes one line per call.

    Raises:
        StepFailed: Akka does not show the services.
    """
    found = by_place(await akka.exported_services())
    hosts = {registry_host(next(iter(one.images))) for one in found if one.provider is not None}
    relevant = [held for held in credentials if any(is_for(held, host) for host in hosts)]
    assessed = await look(relevant)
    for one in found:
        if one.provider is not None:
            _judge(one, assessed)
    await asyncio.gather(*(_look_as_anybody(one, trace) for one in found if one.need is Need.MISSING))
    doubtful = [one for one in found if one.need not in (Need.OK, Need.PUBLIC, Need.AKKA)]
    room = asyncio.Semaphore(AT_ONCE)
    asked = [(one, name) for one in doubtful for name in one.services][:MOST_ASKED]
    await asyncio.gather(*(_look_at_service(one, name, akka, room) for one, name in asked))
    return found


def _judge(one: RegistryInUse, assessed: Sequence[CredentialHealth]) -> None:
    """Choose the best of the credentials for a registry."""
    order = [Need.OK, Need.EXTERNAL, Need.UNVERIFIED, Need.WRONG, Need.MISSING]
    for health in assessed:
        covered = _is_for_place(health, one)
        if covered is False:
            continue
        need, unknown = _need_of(health), []
        if covered is None:
            if need is Need.WRONG:
                continue  # perhaps another place's, which must not be replaced for this one
            need, unknown = Need.UNVERIFIED, [_COVERAGE_UNKNOWN]
        if order.index(need) < order.index(one.need):
            one.need, one.credential, one.covered = need, health.located.held.name, covered is True
            one.problems = [*health.problems, *health.unverified, *unknown]


def _is_for_place(health: CredentialHealth, one: RegistryInUse) -> bool | None:
    """Whether the credential is for all of the images; None if that is not known."""
    located, images = health.located, list(one.images)
    if one.provider is None or located.held.empty or not is_for(located.held, registry_host(images[0])):
        return False
    if located.target is None:
        return True  # not created by pullkey, or not located: only the server is known
    answers = [covers(one.provider, located.target, image) for image in images]
    return False if False in answers else None if None in answers else True


def _need_of(health: CredentialHealth) -> Need:
    if health.problems:
        return Need.WRONG if health.located.ours else Need.EXTERNAL
    if not health.located.ours:
        return Need.EXTERNAL
    return Need.UNVERIFIED if health.unverified else Need.OK


async def _look_as_anybody(one: RegistryInUse, trace: Callable[[str], None]) -> None:
    """Mark a registry as public if anyone may pull all of its images."""
    from bootstrap.model.pull import Probe
    from bootstrap.registry import Challenge, fetch_challenge, open_to_all

    host = registry_host(next(iter(one.images)))
    host = _PULLED_FROM.get(DOCKER_HUB, host) if registry_of(host) == registry_of(DOCKER_HUB) else host
    challenge = await fetch_challenge(host, seconds=_SECONDS, trace=trace)
    if not isinstance(challenge, Challenge):
        return
    for image in one.images:
        named = parse_reference(image if host_of_image(image) else f"{DOCKER_HUB}/{image}", where="IMAGE")
        hub = host in _PULLED_FROM.values()
        path = f"library/{named.path}" if hub and "/" not in named.path else named.path
        public, _ = await open_to_all(
            Probe(host, path, named.reference, head=hub), challenge, trace=trace, seconds=_SECONDS
        )
        if not public:
            return
    one.need = Need.PUBLIC


async def _look_at_service(one: RegistryInUse, name: str, akka: AkkaCli, room: asyncio.Semaphore) -> None:
    try:
        async with room:
            _, failures = await akka.service(name)
    except PullkeyError:
        return
    if failures:
        one.failures[name] = failures[0]
