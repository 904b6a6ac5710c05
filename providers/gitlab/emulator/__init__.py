"""The sandbox's GitLab: gitlab.com with its registry, and a company's own instance.

Both answer as the real ones do; any difference is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.host import LOOPBACK, Sandbox
from bootstrap.sandbox.registry.server import RegistryServer
from providers.gitlab.emulator import inventory, seed
from providers.gitlab.emulator.api import GitlabApi
from providers.gitlab.emulator.registry import GitlabPolicy
from providers.gitlab.emulator.state import GitlabState

__all__ = ["GitlabEmulator"]


class GitlabEmulator:
    """Two instances, for `bootstrap.sandbox.host.Sandbox`.

    Attributes:
        state: the content of gitlab.com; tests read and change it.
        own: the content of the company's own instance.
        port: the port of gitlab.com and its registry.
    """

    name = "gitlab"
    state: GitlabState
    own: GitlabState
    port: int

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Serve the seeded instances. Return the environment of clients, without secrets."""
        self.state, self.own = seed.gitlab_com(sandbox), seed.own_instance(sandbox)
        addresses: dict[str, int] = {}
        for state in (self.state, self.own):
            await seed.put_images(state, sandbox)
            policy = GitlabPolicy(state)
            server = RegistryServer(policy, sandbox.images, sandbox.gate)
            GitlabApi(state, sandbox.images, sandbox.gate, server.app)
            port = await sandbox.serve(server.app, hosts=state.hosts)
            addresses |= dict.fromkeys(state.hosts, port)
        self.port = addresses[self.state.host]
        return {
            "PULLKEY_GITLAB_ENDPOINT": f"https://localhost:{self.port}",
            "PULLKEY_REGISTRY_CONNECT_TO": ",".join(
                f"{host}={LOOPBACK}:{port}" for host, port in addresses.items()
            ),
            # The runbook's curl: unlike other clients, Debian's does not read SSL_CERT_FILE.
            "CURL_CA_BUNDLE": str(sandbox.authority.bundle),
            "PULLKEY_GITLAB_IMAGE": f"{self.state.registry}/{seed.IMAGE}:{seed.TAG}",
        }

    def inventory(self) -> Iterable[InventoryItem]:
        """List the content of both."""
        return inventory.inventory(self.state, self.own)

    async def stop(self) -> None:
        """Do nothing: the sandbox stops what it serves."""
