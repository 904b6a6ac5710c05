"""The emulator of Docker Hub: its API, its token service and its registry.

Any difference from the real services is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.host import LOOPBACK, Sandbox
from bootstrap.sandbox.registry.server import RegistryServer
from providers.docker_hub.emulator import inventory, seed
from providers.docker_hub.emulator.api import HubApi
from providers.docker_hub.emulator.registry import AUTH, DockerHubPolicy
from providers.docker_hub.emulator.state import HubState
from providers.docker_hub.target import REGISTRY

__all__ = ["DockerHubEmulator"]


class DockerHubEmulator:
    """Docker Hub, for `bootstrap.sandbox.host.Sandbox`.

    Attributes:
        state: its users, organisations, repositories and tokens; tests read and change it.
        registry_port: the port of the registry and its token service.
    """

    name = "docker-hub"
    state: HubState
    registry_port: int

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Serve the seeded Docker Hub. Return the environment that points clients at it, without secrets."""
        self.state = seed.seeded_state(sandbox)
        await seed.put_images(self.state, sandbox)
        port = await sandbox.serve(HubApi(self.state, sandbox.images, sandbox.gate).app)
        registry = RegistryServer(DockerHubPolicy(self.state), sandbox.images, sandbox.gate)
        self.registry_port = await sandbox.serve(registry.app, hosts=[REGISTRY, AUTH])
        hosts = ",".join(f"{host}={LOOPBACK}:{self.registry_port}" for host in (REGISTRY, AUTH))
        return {
            "PULLKEY_DOCKER_HUB_ENDPOINT": f"https://localhost:{port}",
            "PULLKEY_REGISTRY_CONNECT_TO": hosts,
            # For the curl of runbooks: unlike other clients, Debian's does not read SSL_CERT_FILE.
            "CURL_CA_BUNDLE": str(sandbox.authority.bundle),
            "PULLKEY_DOCKER_HUB_IMAGE": f"{seed.IMAGE}:{seed.TAG}",
            "PULLKEY_DOCKER_HUB_HUB_USER": seed.USER,
        }

    def inventory(self) -> Iterable[InventoryItem]:
        """All that is in it."""
        return inventory.inventory(self.state)

    async def stop(self) -> None:
        """Do nothing: the sandbox stops the servers."""
