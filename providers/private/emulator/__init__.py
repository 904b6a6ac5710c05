"""The emulator of a self-hosted registry, such as Distribution, Harbor or GitLab.

Any difference from the real registries is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.host import LOOPBACK, Sandbox
from bootstrap.sandbox.images import Image
from bootstrap.sandbox.registry.server import RegistryServer
from providers.private.emulator.registry import PrivatePolicy

__all__ = ["PrivateEmulator"]

HOST = "registry.sandbox.example"
TOKENS = "tokens.sandbox.example"  # of the same owner
ELSEWHERE = "tokens.elsewhere.example"  # of another
IMAGE = "shop/checkout"
TAG = "1.0"


class PrivateEmulator:
    """One registry, for `bootstrap.sandbox.host.Sandbox`.

    Attributes:
        registry: its policy and users; tests read and change it.
        port: its port on loopback.
    """

    name = "private"
    registry: PrivatePolicy
    port: int

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Serve the registry. Return the environment that points pullkey at it."""
        await sandbox.images.put(f"{HOST}/{IMAGE}", TAG, Image.build(f"Hello from {HOST}\n"))
        self.registry = PrivatePolicy(HOST)
        self.registry.add_user("ops", "pull-in-the-sandbox", may_pull=("shop/",))
        # Another user, who may not pull the shop's images.
        self.registry.add_user("press", "read-the-news-here", may_pull=("news/",))
        server = RegistryServer(self.registry, sandbox.images, sandbox.gate)
        hosts = (HOST, TOKENS, ELSEWHERE)
        self.port = await sandbox.serve(server.app, hosts=hosts)
        return {
            "PULLKEY_REGISTRY_CONNECT_TO": ",".join(f"{host}={LOOPBACK}:{self.port}" for host in hosts),
            "PULLKEY_PRIVATE_SERVER": f"https://{HOST}/v1/",
            "PULLKEY_PRIVATE_USERNAME": "ops",
            "PULLKEY_PRIVATE_IMAGE": f"{HOST}/{IMAGE}:{TAG}",
        }

    def inventory(self) -> Iterable[InventoryItem]:
        """Nothing is created in a registry whose password you supply."""
        return ()

    async def stop(self) -> None:
        """Do nothing: the sandbox stops the servers."""
