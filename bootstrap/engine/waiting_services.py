"""Find the services that failed to pull, beside the onboarding that lets them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.services import Service
from bootstrap.model.errors import StepFailed, UsageProblem
from bootstrap.model.server import registry_of
from bootstrap.plugin.entry_points import covers
from bootstrap.plugin.provider import Provider, Target
from bootstrap.plugin.routing import host_of_image

DOCKER_HUB = "docker.io"
AT_ONCE = 8
MOST_ASKED = 50
"""Services whose containers are read."""
_WAITED_SECONDS = 2.0


def registry_host(image: str) -> str:
    """The registry's host in an image's name; Docker Hub for a short name."""
    return host_of_image(image) or DOCKER_HUB


async def waiting_services(akka: AkkaCli, host: str, covers: Callable[[str], bool]) -> list[str]:
    """The services that failed to pull an image that a credential would allow them to pull.

    Args:
        akka: of the project.
        host: the credential's registry.
        covers: whether the credential covers an image at that host.

    Raises:
        StepFailed: Akka does not show the services.
    """

    def is_meant(service: Service) -> bool:
        try:
            same = registry_of(registry_host(service.image)) == registry_of(host)
            return bool(service.image) and not service.ready and same and covers(service.image)
        except UsageProblem:
            return False

    async def waits(service: Service) -> bool:
        try:
            async with room:
                return bool((await akka.service(service.name))[1])
        except StepFailed:
            return False

    room = asyncio.Semaphore(AT_ONCE)
    meant = [one for one in await akka.services() if is_meant(one)][:MOST_ASKED]
    waiting = await asyncio.gather(*map(waits, meant))
    return sorted(one.name for one, is_waiting in zip(meant, waiting, strict=True) if is_waiting)


class WaitingServices:
    """Looks in the background, during an onboarding, for services that wait for the credential. It never
    fails, and gives up soon.
    """

    def __init__(self, akka: AkkaCli, provider: Provider, target: Target) -> None:
        def may_be_for(image: str) -> bool:
            return covers(provider, target, image) is not False

        self._found = asyncio.create_task(waiting_services(akka, target.registry, may_be_for))

    async def names(self) -> list[str]:
        """Their names; none if Akka does not answer in time."""
        done, _ = await asyncio.wait([self._found], timeout=_WAITED_SECONDS)
        if not done or self._found.cancelled() or self._found.exception() is not None:
            return []
        return self._found.result()

    async def close(self) -> None:
        """Cancel the search."""
        self._found.cancel()
        await asyncio.gather(self._found, return_exceptions=True)
