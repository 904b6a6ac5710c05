"""The emulator of Azure: Entra ID, Resource Manager, Graph and container registries.

Any difference from the real services is a bug.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.host import LOOPBACK, Sandbox
from bootstrap.sandbox.registry.server import RegistryServer
from providers.acr.emulator import cli_profile, inventory, seed
from providers.acr.emulator.arm_api import ArmApi
from providers.acr.emulator.authorization import Authorization
from providers.acr.emulator.entra import Audiences, EntraId
from providers.acr.emulator.graph import Graph
from providers.acr.emulator.registry import AzureRegistryPolicy
from providers.acr.emulator.resource_manager import ResourceManager
from providers.acr.emulator.scoped_tokens import ScopedTokens
from providers.acr.emulator.state import AzureState, Registry
from providers.acr.emulator.tokens import Tokens

__all__ = ["AzureEmulator"]

_OWN_CREDENTIALS = {"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_PASSWORD"}
"""The variables of azure-identity's EnvironmentCredential; even an empty value counts as set."""


class AzureEmulator:
    """Azure, for `bootstrap.sandbox.host.Sandbox`.

    Attributes:
        state: the tenant's state; tests read it, and change it as an administrator or another user would.
        tokens: signs tokens.
        entra: issues tokens, and knows their audiences.
        registry_ports: the ports of the registries, by login server and other hosts.
    """

    name = "azure"
    state: AzureState
    tokens: Tokens
    entra: EntraId

    def __init__(self) -> None:
        self.registry_ports: dict[str, int] = {}

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Serve the seeded Azure. Return the environment that points the SDKs and `az` at it."""
        self._sandbox = sandbox
        self.tokens = tokens = Tokens()
        sandbox.gate.recognise(tokens.login_of)
        self.state = state = seed.seeded_state(sandbox)
        await seed.put_images(state, sandbox)

        self.entra = entra = EntraId(state, tokens, sandbox.gate)
        graph = Graph(state, tokens, entra, sandbox.gate)
        arm = ArmApi(state, tokens, entra, sandbox.gate)
        manager = ResourceManager(arm)
        Authorization(arm)
        ScopedTokens(arm)
        arm.refuse_other_paths()
        entra.address = f"https://localhost:{await sandbox.serve(entra.app)}"
        graph.address = f"https://localhost:{await sandbox.serve(graph.app)}"
        arm.address = f"https://localhost:{await sandbox.serve(arm.app)}"
        manager.graph_address, manager.authority_address = graph.address, entra.address
        entra.audiences = Audiences(
            arm=frozenset(
                {arm.address, "https://management.azure.com", "https://management.core.windows.net"}
            ),
            graph=frozenset(
                {graph.address, "https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"}
            ),
        )
        for registry in state.registries:
            await self.serve_registry(registry)

        assertion = entra.federated_assertion()
        token_file = sandbox.directory / "azure-federated-token"
        token_file.touch(mode=0o600)
        token_file.write_text(assertion)
        cli = cli_profile.write(
            sandbox.directory / "azure-cli",
            state,
            authority=entra.address,
            arm=arm.address,
            graph=graph.address,
            assertion=assertion,
        )
        connect_to = ",".join(f"{host}={LOOPBACK}:{port}" for host, port in self.registry_ports.items())
        return {
            "PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT": arm.address,
            "PULLKEY_AZURE_GRAPH_ENDPOINT": graph.address,
            "PULLKEY_AZURE_AUTHORITY_HOST": entra.address,
            "PULLKEY_REGISTRY_CONNECT_TO": connect_to,
            "PULLKEY_ACR_REGISTRY": f"{state.registry('acmeshop').login_server}/{seed.IMAGE}:{seed.TAG}",
            # DefaultAzureCredential does not pass its `authority` to WorkloadIdentityCredential, which reads
            # this.
            "AZURE_AUTHORITY_HOST": entra.address,
            "AZURE_TENANT_ID": state.tenant_id,
            "AZURE_CLIENT_ID": state.operator.app_id,
            "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
            **self._instead_of_own_credentials(),
            **cli,
        }

    def _instead_of_own_credentials(self) -> Mapping[str, str]:
        """A secret of the operator, if the user's environment has a credential of another identity.

        azure-identity would try that one first, with the sandbox's client id; a secret has precedence over
        it.
        """
        if not _OWN_CREDENTIALS & os.environ.keys():
            return {}
        return {"AZURE_CLIENT_SECRET": seed.operator_secret(self.state).text}

    async def serve_registry(self, registry: Registry) -> int:
        """Serve a registry of `state`, for all its current hosts. Return the port."""
        policy = AzureRegistryPolicy(registry, self.state, self.entra, self.tokens)
        server = RegistryServer(policy, self._sandbox.images, self._sandbox.gate)
        hosts = [registry.login_server, *registry.regional_hosts, *registry.data_hosts]
        port = await self._sandbox.serve(server.app, hosts=hosts)
        self.registry_ports.update(dict.fromkeys(hosts, port))
        return port

    def inventory(self) -> Iterable[InventoryItem]:
        """All that is in it."""
        return inventory.inventory(self.state)

    async def stop(self) -> None:
        """Do nothing: the sandbox stops the servers."""
