"""Logging in to emulated registries: with a token of Entra ID's, as `az acr login` does it, and as who is
disabled.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential

from bootstrap.sandbox.host import SandboxSettings
from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_sandbox import SERVER, Azure, Clients, claims, running_azure
from tests.harness.connect_proxy import environment

NOBODY = "00000000-0000-0000-0000-000000000000"
AUDIENCE = "https://containerregistry.azure.net"


def entra(azure: Azure, user: str, secret: str, resource: str = AUDIENCE) -> httpx.Response:
    authority = azure.running.environment["PULLKEY_AZURE_AUTHORITY_HOST"]
    return httpx.post(
        f"{authority}/{azure.state.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": user,
            "client_secret": secret,
            "scope": f"{resource}/.default",
        },
        verify=azure.trust,
    )


def post(azure: Azure, path: str, server: str = SERVER, **fields: str) -> httpx.Response:
    port = azure.emulator.registry_ports[server]
    address = f"https://localhost:{port}/oauth2/{path}"
    return httpx.post(address, data={"service": server, **fields}, verify=azure.trust)


def exchange(azure: Azure, token: str, **how: Any) -> httpx.Response:
    return post(
        azure, "exchange", grant_type="access_token", tenant=azure.state.tenant_id, access_token=token, **how
    )


def test_a_token_of_entra_id_is_exchanged_for_one_that_logs_in(azure: Azure) -> None:
    user, secret = azure.puller(ACR_PULL, azure.shop.id)
    token = entra(azure, user, secret).json()["access_token"]
    answer = exchange(azure, token)
    assert (answer.status_code, set(answer.json())) == (200, {"refresh_token"})
    refresh = answer.json()["refresh_token"]
    assert claims(refresh)["grant_type"] == "refresh_token"

    for access in (
        post(
            azure,
            "token",
            grant_type="refresh_token",
            refresh_token=refresh,
            scope="repository:checkout:pull",
        ),
        azure.token_answer(SERVER, NOBODY, refresh),
    ):
        assert (access.status_code, set(access.json())) == (200, {"access_token"})
        headers = {"Authorization": f"Bearer {access.json()['access_token']}"}
        assert azure.get(SERVER, "/v2/checkout/manifests/1.0", headers=headers).status_code == 200
    # A refresh token is none to pull with.
    assert azure.get(SERVER, "/v2/", headers={"Authorization": f"Bearer {refresh}"}).status_code == 401


def test_what_is_not_exchanged(azure: Azure) -> None:
    user, secret = azure.puller(ACR_PULL, azure.shop.id)
    graph, arm = (
        azure.running.environment[f"PULLKEY_AZURE_{name}_ENDPOINT"] for name in ("GRAPH", "RESOURCE_MANAGER")
    )
    tokens = {one: entra(azure, user, secret, one).json()["access_token"] for one in (AUDIENCE, graph, arm)}
    assert exchange(azure, tokens[graph]).status_code == 401
    assert exchange(azure, "a.b.c").status_code == 401
    # One for Resource Manager is, unless the registry's policy says otherwise.
    assert exchange(azure, tokens[arm]).status_code == 200
    azure.shop.arm_audience = False
    assert exchange(azure, tokens[arm]).status_code == 401
    assert exchange(azure, tokens[AUDIENCE]).status_code == 200
    # Another registry's refresh token is worth nothing here.
    other = exchange(azure, tokens[AUDIENCE], server="acmeabac.azurecr.io").json()["refresh_token"]
    assert azure.token_answer(SERVER, NOBODY, other).status_code == 401
    # Rights are looked at when it is used.
    azure.state.role_assignments.clear()
    refresh = exchange(azure, tokens[AUDIENCE]).json()["refresh_token"]
    assert azure.token_answer(SERVER, NOBODY, refresh).status_code == 401


def test_a_disabled_service_principal_gets_no_token_anywhere(azure: Azure) -> None:
    user, secret = azure.puller(ACR_PULL, azure.shop.id)
    token = entra(azure, user, secret).json()["access_token"]
    one = f"/servicePrincipals(appId='{user}')"

    def statuses() -> list[int]:
        return [
            entra(azure, user, secret).status_code,
            azure.token_answer(SERVER, user, secret).status_code,
            exchange(azure, token).status_code,
        ]

    assert statuses() == [200, 200, 200]
    assert azure.graph("PATCH", one, json={"accountEnabled": False}).status_code == 204
    assert azure.graph("GET", one).json()["accountEnabled"] is False
    assert statuses() == [401, 401, 401]
    told = entra(azure, user, secret).json()
    assert (told["error"], told["error_codes"]) == ("unauthorized_client", [7000112])
    azure.graph("PATCH", one, json={"accountEnabled": True})
    assert statuses() == [200, 200, 200]


@pytest.mark.needs_cloud_cli("az")
def test_az_logs_in_and_what_it_exposes_copies_an_image(azure: Azure, tmp_path: Path) -> None:
    around = azure.running.process_environment(**environment(azure.running, azure.emulator.registry_ports))
    login = ["az", "acr", "login", "--name", "acmeshop", "--expose-token", "--output", "json"]
    done = subprocess.run(login, env=around, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    exposed = json.loads(done.stdout)
    assert exposed["loginServer"] == SERVER

    if shutil.which("skopeo") is None:
        assert azure.token_answer(SERVER, NOBODY, exposed["accessToken"]).status_code == 200
        return
    credential = f"{exposed['username']}:{exposed['accessToken']}"
    copy = [
        "skopeo",
        "copy",
        "--src-creds",
        credential,
        f"docker://{SERVER}/checkout:1.0",
        f"oci:{tmp_path}/x",
    ]
    copied = subprocess.run(copy, env=around, capture_output=True, text=True, check=False, timeout=60)
    assert copied.returncode == 0, copied.stderr


def test_federated_operator_and_claims_of_its_tokens(azure: Azure) -> None:
    azure.state.graph_roles = {"Application.ReadWrite.OwnedBy"}
    azure.state.directory_roles = {"cf1c38e5-3621-4004-a7cb-879624dced7c"}

    async def tokens() -> tuple[str, str]:
        async with DefaultAzureCredential(
            authority=azure.running.environment["PULLKEY_AZURE_AUTHORITY_HOST"],
            disable_instance_discovery=True,
            connection_verify=azure.running.environment["SSL_CERT_FILE"],
        ) as credential:
            graph = await credential.get_token("https://graph.microsoft.com/.default")
            arm = await credential.get_token("https://management.azure.com/.default")
            return graph.token, arm.token

    graph, arm = (claims(token) for token in asyncio.run(tokens()))
    assert graph["roles"] == ["Application.ReadWrite.OwnedBy"]
    assert "cf1c38e5-3621-4004-a7cb-879624dced7c" in graph["wids"]
    assert graph["oid"] == azure.state.operator.object_id
    assert graph["tid"] == azure.state.tenant_id
    assert "roles" not in arm


def test_credential_of_the_persons_own_is_not_used_with_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "the person's own")
    for azure in running_azure(monkeypatch, SandboxSettings(propagation=3600)):

        async def work(clients: Clients) -> str | None:
            return (await clients.registries.registries.get("shop", "acmeshop")).name

        assert azure.as_operator(work) == "acmeshop"


@pytest.mark.parametrize(
    ("flaw", "number"),
    [("", ""), ("wrong", "AADSTS7000215"), ("expired", "AADSTS7000222"), ("unknown", "AADSTS700016")],
)
def test_client_secret_at_the_token_endpoint(azure: Azure, flaw: str, number: str) -> None:
    app_id, secret = azure.puller(None, "")
    if flaw == "expired":
        azure.running.sandbox.advance(dt.timedelta(days=731))
    user = str(uuid.uuid4()) if flaw == "unknown" else app_id

    async def ask() -> str:
        async with ClientSecretCredential(
            azure.state.tenant_id,
            user,
            "wrong" if flaw == "wrong" else secret,
            authority=azure.running.environment["PULLKEY_AZURE_AUTHORITY_HOST"],
            connection_verify=azure.running.environment["SSL_CERT_FILE"],
        ) as credential:
            return (await credential.get_token("https://management.azure.com/.default")).token

    if flaw:
        with pytest.raises(ClientAuthenticationError, match=number):
            asyncio.run(ask())
    else:
        assert claims(asyncio.run(ask()))["appid"] == app_id
