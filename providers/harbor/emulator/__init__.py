"""The sandbox's emulator of Harbor: its API, its token service and its registry, at one address.

It answers as Harbor does; any difference is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.host import LOOPBACK, Sandbox
from bootstrap.sandbox.registry.server import RegistryServer
from providers.harbor.emulator import inventory, seed
from providers.harbor.emulator.api import HarborApi
from providers.harbor.emulator.registry import HarborPolicy
from providers.harbor.emulator.state import HarborState

__all__ = ["HarborEmulator"]


class HarborEmulator:
    """One Harbor, for `bootstrap.sandbox.host.Sandbox`.

    Attributes:
        state: its content; tests read and change it.
        port: its port on loopback.
    """

    name = "harbor"
    state: HarborState
    port: int

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Serve the seeded Harbor. Return the environment that points pullkey to it, without secrets."""
        self.state = seed.seeded_state(sandbox)
        await seed.put_images(sandbox)
        server = RegistryServer(HarborPolicy(self.state), sandbox.images, sandbox.gate)
        HarborApi(self.state, sandbox.images, sandbox.gate, server.app)
        self.port = await sandbox.serve(server.app, hosts=[seed.HOST])
        return {
            "PULLKEY_REGISTRY_CONNECT_TO": f"{seed.HOST}={LOOPBACK}:{self.port}",
            # The runbook's curl: unlike other clients, Debian's does not read SSL_CERT_FILE.
            "CURL_CA_BUNDLE": str(sandbox.authority.bundle),
            "PULLKEY_HARBOR_REGISTRY": seed.HOST,
            "PULLKEY_HARBOR_PROJECT": seed.PROJECT,
            "PULLKEY_HARBOR_USER": seed.USER,
            "PULLKEY_HARBOR_IMAGE": f"{seed.HOST}/{seed.IMAGE}:{seed.TAG}",
        }

    def inventory(self) -> Iterable[InventoryItem]:
        """List its content."""
        return inventory.inventory(self.state)

    async def stop(self) -> None:
        """Do nothing: the sandbox stops what it serves."""
