"""What was just created in the emulated Azure is not known everywhere at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity.aio import ClientSecretCredential
from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
    AddPasswordPostRequestBody,
)
from msgraph.generated.models.application import Application
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal

from bootstrap.sandbox.host import SandboxSettings
from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_sandbox import SERVER, Azure, Clients, claims, grant, refused, running_azure


@pytest.fixture
def slow_azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """One in which changes take an hour to arrive; a test moves the clock."""
    yield from running_azure(monkeypatch, SandboxSettings(propagation=3600))


def test_what_was_just_made_is_not_yet_known_elsewhere(slow_azure: Azure) -> None:
    azure = slow_azure

    async def work(clients: Clients) -> None:
        graph = clients.graph
        made = await graph.applications.post(Application(display_name="reader"))
        assert made is not None
        add = graph.applications.by_application_id(str(made.id)).add_password
        body = AddPasswordPostRequestBody(password_credential=PasswordCredential())
        assert (await refused(add.post(body)))[:2] == (404, "Request_ResourceNotFound")
        post = graph.service_principals.post
        assert (await refused(post(ServicePrincipal(app_id=made.app_id))))[0] == 400
        azure.running.sandbox.advance(dt.timedelta(hours=1))
        assert await add.post(body) is not None
        principal = await post(ServicePrincipal(app_id=made.app_id))
        assert principal is not None
        put, name = clients.authorization.role_assignments.create, str(uuid.uuid4())
        with pytest.raises(HttpResponseError, match="does not exist in the directory"):
            await put(azure.shop.id, name, grant(str(principal.id)))
        azure.running.sandbox.advance(dt.timedelta(hours=1))
        assert (await put(azure.shop.id, name, grant(str(principal.id)))).name == name

    azure.as_operator(work)


def test_fresh_application_cannot_log_in_yet(slow_azure: Azure) -> None:
    azure = slow_azure
    app_id, secret = azure.puller(None, "")

    async def ask() -> str:
        async with ClientSecretCredential(
            azure.state.tenant_id,
            app_id,
            secret,
            authority=azure.running.environment["PULLKEY_AZURE_AUTHORITY_HOST"],
            connection_verify=azure.running.environment["SSL_CERT_FILE"],
        ) as credential:
            return (await credential.get_token("https://management.azure.com/.default")).token

    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        asyncio.run(ask())
    azure.running.sandbox.advance(dt.timedelta(hours=1))
    assert claims(asyncio.run(ask()))["appid"] == app_id


def test_fresh_secret_is_taken_by_some_replicas_only(slow_azure: Azure) -> None:
    azure = slow_azure
    application = azure.state.applications_named("deployer")[0]
    secret = azure.state.add_secret(application)

    def answers() -> list[int]:
        return [azure.token_answer(SERVER, application.app_id, secret.text).status_code for _ in range(4)]

    assert answers() == [401, 200, 401, 200]
    azure.running.sandbox.advance(dt.timedelta(hours=1))
    assert answers() == [200] * 4
    secret.lifetime.removed = azure.state.now()
    assert answers() == [200, 401, 200, 401]
    azure.running.sandbox.advance(dt.timedelta(hours=1))
    assert answers() == [401] * 4


def test_fresh_role_assignment_does_not_pull_yet(slow_azure: Azure) -> None:
    azure = slow_azure
    app_id, secret = azure.puller(None, "")
    azure.running.sandbox.advance(dt.timedelta(hours=1))
    principal = azure.state.principal_by_app_id(app_id)
    assert principal is not None
    azure.state.add_assignment(principal.id, ACR_PULL, azure.shop.id)
    assert [azure.token_answer(SERVER, app_id, secret).status_code for _ in range(3)] == [401] * 3
    azure.running.sandbox.advance(dt.timedelta(hours=1))
    assert azure.token_answer(SERVER, app_id, secret).status_code == 200
