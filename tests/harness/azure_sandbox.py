"""A running emulated Azure, with what tests ask of it: through the SDKs, or as it is sent."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from azure.identity.aio import DefaultAzureCredential
from azure.mgmt.authorization.aio import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters
from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient
from kiota_abstractions.api_error import APIError
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.acr.emulator import AzureEmulator
from providers.acr.emulator.entra import ASSERTION_TYPE
from providers.acr.emulator.roles import ACR_PULL, Role
from providers.acr.emulator.state import AzureState, Registry

T = TypeVar("T")
SERVER = "acmeshop.azurecr.io"


@dataclass
class Clients:
    """The SDKs' clients, as the operator."""

    registries: ContainerRegistryManagementClient
    authorization: AuthorizationManagementClient
    graph: GraphServiceClient


@dataclass
class Azure:
    """A running emulator and what tests ask of it."""

    running: RunningSandbox
    emulator: AzureEmulator

    @property
    def state(self) -> AzureState:
        return self.emulator.state

    @property
    def shop(self) -> Registry:
        return self.state.registry("acmeshop")

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.running.environment["SSL_CERT_FILE"])

    def fault(self, spec: str) -> None:
        self.running.sandbox.faults.add(spec)

    def calls(self) -> list[str]:
        return [f"{call.api}.{call.method}" for call in self.running.sandbox.log.calls]

    def as_operator(self, work: Callable[[Clients], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self._clients() as clients:
                return await work(clients)

        return asyncio.run(run())

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[Clients]:
        environment = self.running.environment
        arm, graph = (environment[f"PULLKEY_AZURE_{name}_ENDPOINT"] for name in ("RESOURCE_MANAGER", "GRAPH"))
        # aiohttp keeps the trust it found when it was imported, which here was before the sandbox began.
        trust: dict[str, Any] = {"connection_verify": environment["SSL_CERT_FILE"]}
        settings: dict[str, Any] = {"base_url": arm, "credential_scopes": [f"{arm}/.default"], **trust}
        subscription = self.state.subscriptions[0].id
        async with (
            DefaultAzureCredential(
                authority=environment["PULLKEY_AZURE_AUTHORITY_HOST"],
                disable_instance_discovery=True,
                **trust,
            ) as credential,
            ContainerRegistryManagementClient(credential, subscription, **settings) as registries,
            AuthorizationManagementClient(credential, subscription, **settings) as authorization,
            httpx.AsyncClient(verify=ssl.create_default_context(cafile=environment["SSL_CERT_FILE"])) as http,
        ):
            provider = AzureIdentityAuthenticationProvider(
                credential, scopes=[f"{graph}/.default"], allowed_hosts=["localhost"]
            )
            adapter = GraphRequestAdapter(provider, client=http)
            adapter.base_url = f"{graph}/v1.0"
            yield Clients(registries, authorization, GraphServiceClient(request_adapter=adapter))

    def token_answer(self, server: str, user: str, password: str, *, scope: str = "") -> httpx.Response:
        """The answer of a registry's token service."""
        return self.get(
            server,
            "/oauth2/token",
            params={"service": server, "scope": scope or "repository:checkout:pull"},
            auth=(user, password),
        )

    def arm(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer of Resource Manager to the operator, as it is sent; `path` begins with
        `/subscriptions`.
        """
        options["params"] = {"api-version": "2022-04-01", **options.get("params", {})}
        return self._as_operator("RESOURCE_MANAGER", method, path, **options)

    def graph(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer of Graph to the operator, as it is sent; `path` begins after `/v1.0`."""
        return self._as_operator("GRAPH", method, f"/v1.0{path}", **options)

    def _as_operator(self, service: str, method: str, path: str, **options: Any) -> httpx.Response:
        environment = self.running.environment
        at = environment[f"PULLKEY_AZURE_{service}_ENDPOINT"]
        with httpx.Client(verify=self.trust) as http:
            proof = {
                "grant_type": "client_credentials",
                "client_id": environment["AZURE_CLIENT_ID"],
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": Path(environment["AZURE_FEDERATED_TOKEN_FILE"]).read_text(),
                "scope": f"{at}/.default",
            }
            authority = environment["PULLKEY_AZURE_AUTHORITY_HOST"]
            token = http.post(f"{authority}/{self.state.tenant_id}/oauth2/v2.0/token", data=proof).json()
            headers = {"Authorization": f"Bearer {token['access_token']}", **options.pop("headers", {})}
            return http.request(
                method, at + path if path.startswith("/") else path, headers=headers, **options
            )

    def get(self, server: str, path: str, **options: Any) -> httpx.Response:
        port = self.emulator.registry_ports[server]
        return httpx.get(f"https://localhost:{port}{path}", verify=self.trust, **options)

    def puller(self, role: Role | None, scope: str) -> tuple[str, str]:
        """An identity with a role at a scope: its application id and its secret."""
        application = self.state.add_application("puller")
        principal = self.state.add_service_principal(application)
        if role is not None:
            self.state.add_assignment(principal.id, role, scope)
        return application.app_id, self.state.add_secret(application).text


def running_azure(
    monkeypatch: pytest.MonkeyPatch, settings: SandboxSettings | None = None
) -> Iterator[Azure]:
    """An emulated Azure whose environment is this process's while it runs."""
    with RunningSandbox({"azure": AzureEmulator}, settings) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        emulator = running.sandbox.emulators["azure"]
        assert isinstance(emulator, AzureEmulator)
        yield Azure(running, emulator)


def grant(principal_id: str, role: Role = ACR_PULL) -> RoleAssignmentCreateParameters:
    return RoleAssignmentCreateParameters(
        role_definition_id=f"/providers/Microsoft.Authorization/roleDefinitions/{role.guid}",
        principal_id=principal_id,
        principal_type="ServicePrincipal",
    )


async def refused(work: Awaitable[Any]) -> tuple[int, str, str]:
    """Status, code and message of the Graph error that a call ends with."""
    with pytest.raises(APIError) as caught:
        await work
    error: Any = caught.value
    return caught.value.response_status_code or 0, error.error.code, error.error.message


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return read
