"""The emulated Azure, used by programs that were not written for it: the SDKs together, `az`, `skopeo`."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import uuid
from typing import Any

import pytest
from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
    AddPasswordPostRequestBody,
)
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.application import Application
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal

from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_sandbox import SERVER, Azure, Clients, grant, refused

needs_az = pytest.mark.needs_cloud_cli("az")


def test_sdks_make_a_credential_that_pulls_until_its_secret_is_removed(azure: Azure) -> None:
    async def make(clients: Clients) -> tuple[str, str, str, str]:
        graph = clients.graph
        application = await graph.applications.post(Application(display_name="reader", tags=["made-by-us"]))
        assert application is not None
        assert application.id is not None
        body = AddPasswordPostRequestBody(password_credential=PasswordCredential(display_name="run 1"))
        secret = await graph.applications.by_application_id(application.id).add_password.post(body)
        principal = await graph.service_principals.post(ServicePrincipal(app_id=application.app_id))
        assert secret is not None
        assert principal is not None
        assert principal.id is not None
        await clients.authorization.role_assignments.create(
            azure.shop.id, str(uuid.uuid4()), grant(principal.id)
        )
        again = await graph.applications.by_application_id(application.id).get()
        assert again is not None
        assert again.password_credentials is not None
        assert [one.secret_text for one in again.password_credentials] == [None]
        assert [one.hint for one in again.password_credentials] == [(secret.secret_text or "")[:3]]
        assert secret.end_date_time is not None
        assert secret.start_date_time is not None
        assert (secret.end_date_time - secret.start_date_time).days == 730
        return application.id, str(application.app_id), str(secret.secret_text), str(secret.key_id)

    object_id, app_id, secret, key_id = azure.as_operator(make)
    assert len(secret) == 40
    assert azure.token_answer(SERVER, app_id, secret).status_code == 200

    async def remove(clients: Clients) -> tuple[int, str, str]:
        one = clients.graph.applications.by_application_id(object_id).remove_password
        await one.post(RemovePasswordPostRequestBody(key_id=uuid.UUID(key_id)))
        return await refused(one.post(RemovePasswordPostRequestBody(key_id=uuid.UUID(key_id))))

    status, _, message = azure.as_operator(remove)
    assert (status, "No password credential found with keyId" in message) == (400, True)
    assert azure.token_answer(SERVER, app_id, secret).status_code == 401


def az(azure: Azure, *arguments: str) -> Any:
    result = subprocess.run(
        ["az", *arguments, "--output", "json"],
        env=azure.running.process_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout or "null")


def skopeo(azure: Azure, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["skopeo", *arguments],
        env=azure.running.process_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class TestDocumentedCommands:
    pytestmark = needs_az

    def test_documented_flow(self, azure: Azure) -> None:
        registry_id = az(azure, "acr", "show", "--name", "acmeshop", "--query", "id")
        assert registry_id == azure.shop.id
        reader = ["ad", "sp", "create-for-rbac", "--name", "akka-docker-reader"]
        made = az(azure, *reader, "--scopes", registry_id, "--role", "acrpull")
        found = az(
            azure, "ad", "sp", "list", "--display-name", "akka-docker-reader", "--query", "[].displayName"
        )
        assert sorted(found) == ["akka-docker-reader", "akka-docker-reader-ci"]
        listed = az(azure, "role", "assignment", "list", "--scope", registry_id)
        assert [one["roleDefinitionName"] for one in listed if one["principalName"] == made["appId"]] == [
            "AcrPull"
        ]
        assert azure.token_answer(SERVER, made["appId"], made["password"]).status_code == 200

    def test_create_for_rbac_of_an_existing_name_cuts_off_whoever_used_it(self, azure: Azure) -> None:
        deployer = azure.state.applications_named("deployer")[0]
        old = deployer.secrets[0].text
        arguments = ["ad", "sp", "create-for-rbac", "--name", "deployer"]
        made = az(azure, *arguments, "--scopes", azure.shop.id, "--role", "acrpush")
        assert made["appId"] == deployer.app_id
        assert azure.token_answer(SERVER, made["appId"], old).status_code == 401
        assert azure.token_answer(SERVER, made["appId"], made["password"]).status_code == 200

    def test_cloud_can_be_registered_from_its_metadata(self, azure: Azure) -> None:
        arm = azure.running.environment["PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT"]
        az(azure, "cloud", "register", "--name", "again", "--endpoint-resource-manager", arm)
        shown = az(azure, "cloud", "show", "--name", "again")
        assert shown["suffixes"]["acrLoginServerEndpoint"] == ".azurecr.io"


class TestDocumentedTokens:
    """`az acr scope-map` and `az acr token`, as Microsoft's page on repository permissions has them."""

    pytestmark = needs_az

    def test_documented_flow(self, azure: Azure) -> None:
        here = ["--registry", "acmeshop"]
        az(
            azure,
            "acr",
            "scope-map",
            "create",
            "--name",
            "readers",
            *here,
            "--repository",
            "checkout",
            "content/read",
            "--description",
            "some",
        )
        made = az(azure, "acr", "token", "create", "--name", "reader", *here, "--scope-map", "readers")
        passwords = {one["name"]: one["value"] for one in made["credentials"]["passwords"]}
        assert sorted(passwords) == ["password1", "password2"]
        assert azure.token_answer(SERVER, "reader", passwords["password1"]).status_code == 200

        again = az(
            azure,
            "acr",
            "token",
            "credential",
            "generate",
            "--name",
            "reader",
            *here,
            "--password2",
            "--expiration-in-days",
            "30",
        )
        values = {one["name"]: one["value"] for one in again["passwords"]}
        assert values["password1"] is None
        assert azure.token_answer(SERVER, "reader", passwords["password2"]).status_code == 401
        assert azure.token_answer(SERVER, "reader", passwords["password1"]).status_code == 200

        az(azure, "acr", "token", "credential", "delete", "--name", "reader", *here, "--password1")
        assert azure.token_answer(SERVER, "reader", passwords["password1"]).status_code == 401
        assert azure.token_answer(SERVER, "reader", values["password2"]).status_code == 200
        azure.running.sandbox.advance(dt.timedelta(days=31))
        assert azure.token_answer(SERVER, "reader", values["password2"]).status_code == 401

        az(
            azure,
            "acr",
            "token",
            "update",
            "--name",
            "reader",
            *here,
            "--scope-map",
            "readers",
            "--status",
            "disabled",
        )
        assert az(azure, "acr", "token", "show", "--name", "reader", *here)["status"] == "disabled"
        az(azure, "acr", "token", "delete", "--name", "reader", *here, "--yes")
        az(azure, "acr", "scope-map", "delete", "--name", "readers", *here, "--yes")
        assert az(azure, "acr", "token", "list", *here) == []
        assert (azure.shop.tokens, azure.shop.scope_maps) == ({}, {})


class TestPulling:
    pytestmark = pytest.mark.needs_debian

    def test_skopeo_copies_with_the_credential_and_not_without(self, azure: Azure, tmp_path: Any) -> None:
        user, secret = azure.puller(ACR_PULL, azure.shop.id)
        image = f"docker://localhost:{azure.emulator.registry_ports[SERVER]}/checkout:1.0"
        copy = ["copy", "--src-creds", f"{user}:{secret}", image]
        result = skopeo(azure, *copy, f"oci:{tmp_path}/first")
        assert result.returncode == 0, result.stderr
        azure.state.applications_named("puller")[0].secrets.clear()
        result = skopeo(azure, *copy, f"oci:{tmp_path}/second")
        assert result.returncode != 0
        assert "unauthorized" in result.stderr
