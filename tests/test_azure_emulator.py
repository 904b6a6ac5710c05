"""The emulated Azure, judged by programs that were not written for it: Azure's SDKs, `az`, `skopeo`."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError
from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential
from azure.mgmt.containerregistry import models
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
    AddPasswordPostRequestBody,
)
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.app_credential_restriction_type import AppCredentialRestrictionType
from msgraph.generated.models.application import Application
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal

from bootstrap.sandbox.host import SandboxSettings
from providers.acr.emulator import odata
from providers.acr.emulator.roles import ACR_PULL, CONTRIBUTOR, READER, REPOSITORY_READER, Role
from providers.acr.emulator.state import ScopeMap
from tests.harness.azure_sandbox import Azure, Clients, claims, grant, refused, running_azure

SERVER = "acmeshop.azurecr.io"
needs_az = pytest.mark.needs_cloud_cli("az")


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    yield from running_azure(monkeypatch, SandboxSettings())


@pytest.fixture
def slow_azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """One in which changes take an hour to arrive; a test moves the clock."""
    yield from running_azure(monkeypatch, SandboxSettings(propagation=3600))


# -- the whole flow, by the SDKs -------------------------------------------------------------------------------------


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


# -- Entra ID --------------------------------------------------------------------------------------------------------


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


# -- Resource Manager ------------------------------------------------------------------------------------------------


def test_registries_are_listed_over_pages_with_their_properties(azure: Azure) -> None:
    azure.state.page_size = 1
    azure.shop.sku, azure.shop.firewall_denies = "Premium", True
    azure.shop.allowed_addresses = ["203.0.113.7"]

    async def look(clients: Clients) -> dict[str, Any]:
        return {str(one.name): one async for one in clients.registries.registries.list()}

    found = azure.as_operator(look)
    assert list(found) == ["acmeshop", "acmevault"]
    assert found["acmevault"].properties.public_network_access == "Disabled"
    shop = found["acmeshop"].properties
    assert shop.login_server == SERVER
    assert shop.role_assignment_mode == "LegacyRegistryPermissions"
    assert shop.network_rule_set.default_action == "Deny"
    assert [rule.ip_address_or_range for rule in shop.network_rule_set.ip_rules] == ["203.0.113.7"]
    assert azure.calls().count("arm.ListRegistries") == 2


def test_role_assignment_rules(azure: Azure) -> None:
    principal = azure.state.service_principals[-1].id
    other = azure.state.service_principals[0].id
    scope, name = azure.shop.id, str(uuid.uuid4())
    for one in azure.state.role_assignments:
        if one.principal_id == principal:
            azure.state.role_assignments.remove(one)

    async def work(clients: Clients) -> None:
        assignments = clients.authorization.role_assignments
        made = await assignments.create(scope, name, grant(principal))
        again = await assignments.create(
            scope.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), name, grant(principal)
        )
        assert made.id == again.id
        with pytest.raises(ResourceExistsError) as exists:
            await assignments.create(scope, str(uuid.uuid4()), grant(principal))
        assert exists.value.error is not None
        assert exists.value.error.code == "RoleAssignmentExists"
        for expected, parameters, at in (
            ("RoleAssignmentUpdateNotPermitted", grant(other), name),
            ("PrincipalNotFound", grant(str(uuid.uuid4())), str(uuid.uuid4())),
        ):
            with pytest.raises(HttpResponseError) as caught:
                await assignments.create(scope, at, parameters)
            assert (caught.value.status_code, caught.value.error and caught.value.error.code) == (
                400,
                expected,
            )
        at_scope = [one.principal_id async for one in assignments.list_for_scope(scope, filter="atScope()")]
        assert azure.state.operator.object_id in at_scope
        chosen = f"principalId eq '{principal}'"
        assert [one.name async for one in assignments.list_for_scope(scope, filter=chosen)] == [name]
        above = azure.state.subscriptions[0].scope
        assert name not in [one.name async for one in assignments.list_for_scope(above, filter="atScope()")]
        assert name in [one.name async for one in assignments.list_for_scope(above)]
        gone = await assignments.delete(scope, name)
        assert gone is not None
        assert gone.name == name
        assert await assignments.delete(scope, name) is None

    azure.as_operator(work)


def test_denied_actions_show_in_permissions_and_in_calls(azure: Azure) -> None:
    azure.state.denied_actions.add("Microsoft.Authorization/roleAssignments/write")
    principal = azure.state.service_principals[-1].id

    async def work(clients: Clients) -> None:
        held = [
            one
            async for one in clients.authorization.permissions.list_for_resource(
                "shop", "Microsoft.ContainerRegistry", "", "registries", "acmeshop"
            )
        ]
        assert [one.actions for one in held] == [["*"]]
        assert held[0].not_actions == ["Microsoft.Authorization/roleAssignments/write"]
        with pytest.raises(HttpResponseError) as caught:
            await clients.authorization.role_assignments.create(
                azure.shop.id, str(uuid.uuid4()), grant(principal)
            )
        assert caught.value.status_code == 403
        assert (
            "does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/write'"
            in str(caught.value)
        )
        with pytest.raises(HttpResponseError, match="ResourceNotFound"):
            await clients.registries.registries.get("shop", "nosuch")

    azure.as_operator(work)


def test_throttling_is_answered_with_the_time_to_wait_and_the_sdk_obeys(azure: Azure) -> None:
    azure.fault("arm.GetRegistry=429;retry-after=0.2")

    async def work(clients: Clients) -> str | None:
        return (await clients.registries.registries.get("SHOP", "AcmeShop")).name

    assert azure.as_operator(work) == "acmeshop"
    assert azure.calls().count("arm.GetRegistry") == 2


# -- Graph -----------------------------------------------------------------------------------------------------------


def test_upsert_by_unique_name_wants_its_header(azure: Azure) -> None:
    async def work(clients: Clients) -> None:
        one = clients.graph.applications_with_unique_name("pull'key")
        status, code, _ = await refused(one.patch(Application(display_name="reader")))
        assert (status, code) == (404, "Request_ResourceNotFound")
        configuration: RequestConfiguration[Any] = RequestConfiguration()
        configuration.headers.add("Prefer", "create-if-missing")
        made = await one.patch(Application(display_name="reader", tags=["ours"]), configuration)
        assert made is not None
        assert made.unique_name == "pull'key"
        assert await one.patch(Application(display_name="renamed"), configuration) is None
        again = await one.get()
        assert again is not None
        assert (again.id, again.display_name, again.tags) == (made.id, "renamed", ["ours"])

    azure.as_operator(work)


def test_filters_select_and_pages_of_applications(azure: Azure) -> None:
    azure.state.add_application("akka-docker-reader", properties={"tags": ["ours"]})

    async def names(clients: Clients, **query: Any) -> list[str]:
        parameters = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(**query)
        configuration = RequestConfiguration(query_parameters=parameters)
        page = await clients.graph.applications.get(configuration)
        found: list[str] = []
        while page is not None:
            found += [str(one.display_name) for one in page.value or []]
            link = page.odata_next_link
            page = await clients.graph.applications.with_url(link).get() if link else None
        return found

    async def work(clients: Clients) -> None:
        assert await names(clients, filter="displayName eq 'AKKA-docker-reader'") == ["akka-docker-reader"]
        assert len(await names(clients, filter="startswith(displayName,'akka-docker-reader')")) == 2
        assert await names(clients, filter="tags/any(t:t eq 'ours')") == ["akka-docker-reader"]
        assert len(await names(clients, top=1)) == len(azure.state.applications)
        assert (await refused(names(clients, filter="displayName ne 'x'")))[1] == "Request_UnsupportedQuery"
        parameters = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(select=["appId"])
        page = await clients.graph.applications.get(RequestConfiguration(query_parameters=parameters))
        assert page is not None
        assert {one.display_name for one in page.value or []} == {None}

    azure.as_operator(work)


def test_service_principal_wants_an_application_and_only_once(azure: Azure) -> None:
    async def work(clients: Clients) -> None:
        unknown = str(uuid.uuid4())
        status, _, message = await refused(
            clients.graph.service_principals.post(ServicePrincipal(app_id=unknown))
        )
        assert status == 400
        assert message.endswith("does not reference a valid application object.")
        taken = azure.state.applications_named("deployer")[0].app_id
        status, code, _ = await refused(clients.graph.service_principals.post(ServicePrincipal(app_id=taken)))
        assert (status, code) == (409, "Request_MultipleObjectsWithSameKeyValue")

    azure.as_operator(work)


def test_policy_on_secrets(azure: Azure) -> None:
    azure.state.app_management_policy.max_secret_lifetime = dt.timedelta(days=180)
    object_id = azure.state.applications_named("deployer")[0].id

    async def work(clients: Clients) -> None:
        policy = await clients.graph.policies.default_app_management_policy.get()
        assert policy is not None
        assert policy.is_enabled
        assert policy.application_restrictions is not None
        rules = policy.application_restrictions.password_credentials or []
        assert [rule.restriction_type for rule in rules] == [AppCredentialRestrictionType.PasswordLifetime]
        assert [rule.max_lifetime for rule in rules] == [dt.timedelta(days=180)]
        add = clients.graph.applications.by_application_id(object_id).add_password
        empty = AddPasswordPostRequestBody(password_credential=PasswordCredential())
        assert (await refused(add.post(empty)))[1] == "CredentialInvalidLifetimeAsPerAppPolicy"
        end = azure.state.now() + dt.timedelta(days=179)
        short = AddPasswordPostRequestBody(password_credential=PasswordCredential(end_date_time=end))
        assert await add.post(short) is not None
        azure.state.app_management_policy.secrets_blocked = True
        assert (await refused(add.post(short)))[1] == "CredentialTypeNotAllowedAsPerAppPolicy"

    azure.as_operator(work)
    # A refused secret must leave nothing behind.
    assert len(azure.state.applications_named("deployer")[0].secrets) == 2


@pytest.mark.parametrize(
    ("roles", "may_create", "may_touch_others"),
    [
        ({"Application.ReadWrite.All"}, True, True),
        ({"Application.ReadWrite.OwnedBy"}, True, False),
        ({"Application.Read.All"}, False, False),
        (set(), False, False),
    ],
)
def test_graph_rights_are_those_of_the_token(
    azure: Azure, roles: set[str], may_create: bool, may_touch_others: bool
) -> None:
    azure.state.graph_roles = roles
    denied = (403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    object_id = azure.state.applications_named("deployer")[0].id

    async def work(clients: Clients) -> None:
        create = clients.graph.applications.post(Application(display_name="mine"))
        if may_create:
            mine = await create
            assert mine is not None
            await clients.graph.applications.by_application_id(str(mine.id)).delete()
        else:
            assert await refused(create) == denied
        add = clients.graph.applications.by_application_id(object_id).add_password
        other = add.post(AddPasswordPostRequestBody(password_credential=PasswordCredential()))
        if may_touch_others:
            assert await other is not None
        else:
            assert await refused(other) == denied
        assert await refused(clients.graph.policies.authorization_policy.get()) == denied

    azure.as_operator(work)


# -- eventual consistency --------------------------------------------------------------------------------------------


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


# -- the registry ----------------------------------------------------------------------------------------------------


def test_challenge_names_the_host_that_was_asked(azure: Azure) -> None:
    host = f"localhost:{azure.emulator.registry_ports[SERVER]}"
    answer = azure.get(SERVER, "/v2/")
    assert answer.status_code == 401
    realm = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
    assert answer.headers["WWW-Authenticate"] == realm
    manifest = azure.get(SERVER, "/v2/checkout/manifests/1.0", headers={"Authorization": "Bearer x.y.z"})
    assert manifest.headers["WWW-Authenticate"] == (
        f'{realm},scope="repository:checkout:pull",error="invalid_token"'
    )
    assert manifest.json()["errors"][0]["detail"] == [
        {"Type": "repository", "Name": "checkout", "Action": "pull"}
    ]


@pytest.mark.parametrize(
    ("server", "role", "pulls"),
    [
        (SERVER, ACR_PULL, True),
        (SERVER, READER, True),
        (SERVER, CONTRIBUTOR, True),
        (SERVER, REPOSITORY_READER, False),
        (SERVER, None, False),
        ("acmeabac.azurecr.io", REPOSITORY_READER, True),
        ("acmeabac.azurecr.io", ACR_PULL, False),
        ("acmeabac.azurecr.io", CONTRIBUTOR, False),
    ],
)
def test_which_roles_pull_in_which_mode(azure: Azure, server: str, role: Role | None, pulls: bool) -> None:
    user, secret = azure.puller(role, azure.state.registry(server.partition(".")[0]).id)
    answer = azure.token_answer(server, user, secret)
    assert answer.status_code == (200 if pulls else 401)
    if not pulls:
        error = answer.json()["errors"][0]
        assert error["code"] == "UNAUTHORIZED"
        assert "https://aka.ms/acr/authorization" in error["message"]
        return
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert azure.get(server, "/v2/checkout/manifests/1.0", headers=bearer).status_code == 200
    missing = azure.get(server, "/v2/checkout/manifests/9.9", headers=bearer)
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    elsewhere = azure.get(server, "/v2/other/manifests/1.0", headers=bearer)
    assert (elsewhere.status_code, "insufficient_scope" in elsewhere.headers["WWW-Authenticate"]) == (
        401,
        True,
    )


def test_firewall_and_anonymous_pull(azure: Azure) -> None:
    vault = azure.get("acmevault.azurecr.io", "/v2/")
    assert (vault.status_code, vault.json()["errors"][0]["code"]) == (403, "DENIED")
    assert "is not allowed access. Refer https://aka.ms/acr/firewall" in vault.json()["errors"][0]["message"]
    anonymous = {"service": SERVER, "scope": "repository:checkout:pull"}
    assert azure.get(SERVER, "/oauth2/token", params=anonymous).status_code == 401
    azure.shop.anonymous_pull = True
    assert azure.get(SERVER, "/oauth2/token", params=anonymous).status_code == 200
    azure.shop.firewall_denies = True
    assert azure.get(SERVER, "/oauth2/token", params=anonymous).status_code == 403
    azure.shop.allowed_addresses = ["127.0.0.0/8"]
    assert azure.get(SERVER, "/oauth2/token", params=anonymous).status_code == 200


def test_anybody_pulls_where_that_is_allowed(azure: Azure) -> None:
    azure.shop.anonymous_pull = True
    anonymous = {"service": SERVER, "scope": "repository:checkout:pull"}
    token = azure.get(SERVER, "/oauth2/token", params=anonymous).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert azure.get(SERVER, "/v2/checkout/manifests/1.0", headers=bearer).status_code == 200
    assert azure.get(SERVER, "/v2/checkout/manifests/9.9", headers=bearer).status_code == 404


def test_a_token_pulls_what_its_scope_map_says_while_it_is_enabled_and_its_password_lives(
    azure: Azure,
) -> None:
    azure.shop.scope_maps["readers"] = ScopeMap("readers", ["repositories/shop/*/content/read", "repositories/checkout/content/read"], None, azure.state.now())  # fmt: skip
    token = azure.state.add_token(azure.shop, "reader", "readers")
    password = azure.state.add_password(token, "password1", expiry=azure.state.now() + dt.timedelta(days=1))

    def granted(repository: str) -> list[str] | int:
        scope = f"repository:{repository}:pull,push"
        answer = azure.token_answer(SERVER, "Reader", password.text, scope=scope)
        if answer.status_code != 200:
            return answer.status_code
        found: list[str] = claims(answer.json()["access_token"])["access"][0]["actions"]
        return found

    assert (granted("checkout"), granted("shop/cart"), granted("cart")) == (["pull"], ["pull"], [])
    token.status = "disabled"
    assert granted("checkout") == 401
    token.status = "enabled"
    azure.running.sandbox.advance(dt.timedelta(days=2))
    assert granted("checkout") == 401
    assert azure.token_answer("acmeabac.azurecr.io", "reader", password.text).status_code == 401


def test_rules_of_tokens_and_scope_maps_by_the_sdk(azure: Azure) -> None:
    where = ("shop", "acmeshop")

    async def work(clients: Clients) -> None:
        api: Any = clients.registries  # its models may be empty in every part
        actions = models.ScopeMapProperties(actions=["repositories/checkout/content/read"], description="d")
        poller = await api.scope_maps.begin_create(*where, "readers", models.ScopeMap(properties=actions))
        assert (await poller.result()).properties.provisioning_state == "Succeeded"
        body = models.Token(properties=models.TokenProperties(scope_map_id=f"{azure.shop.id}/scopeMaps/readers"))  # fmt: skip
        wanted = models.GenerateCredentialsParameters(token_id=f"{azure.shop.id}/tokens/reader", name="password1")  # fmt: skip
        making = await api.tokens.begin_create(*where, "reader", body, polling=False)
        assert (await making.result()).properties.provisioning_state == "Creating"
        with pytest.raises(ResourceExistsError, match="TokenNotActive"):
            await api.registries.begin_generate_credentials(*where, wanted)
        await (await api.tokens.begin_create(*where, "reader", body)).result()
        generated = await (await api.registries.begin_generate_credentials(*where, wanted)).result()
        assert [one.name for one in generated.passwords] == ["password1"]
        shown = await api.tokens.get(*where, "reader")
        assert [one.value for one in shown.properties.credentials.passwords] == [None]
        with pytest.raises(ResourceExistsError, match="ScopeMapInUse"):
            await api.scope_maps.begin_delete(*where, "readers")
        await (await api.tokens.begin_delete(*where, "reader")).result()
        await (await api.scope_maps.begin_delete(*where, "readers")).result()
        await (await api.scope_maps.begin_delete(*where, "readers")).result()

    azure.as_operator(work)
    assert (azure.shop.tokens, azure.shop.scope_maps) == ({}, {})


# -- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name eq 'it''s' and not (size gt 3)", True),
        ("name in ('a', 'IT''S')", True),
        ("tags/any(t:startswith(t,'on')) or size eq 9", True),
        ("keys/any(k:k/id eq 7)", True),
        ("contains(name,'zz')", False),
        ("none ne null", False),
    ],
)
def test_filter_language(text: str, expected: bool) -> None:
    item = {"name": "it's", "size": 3, "tags": ["one"], "keys": [{"id": 7}], "none": None}
    assert odata.parse(text).matches(item) is expected


@pytest.mark.parametrize(
    "text", ["name", "name eq", "(name eq 'a'", "name eq 'a' 'b'", "f(name)", "x:y eq #'"]
)
def test_unreadable_filter_is_told(text: str) -> None:
    with pytest.raises(odata.FilterError):
        odata.parse(text)


# -- the programs ----------------------------------------------------------------------------------------------------


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
        az(azure, "acr", "scope-map", "create", "--name", "readers", *here, "--repository", "checkout", "content/read", "--description", "some")  # fmt: skip
        made = az(azure, "acr", "token", "create", "--name", "reader", *here, "--scope-map", "readers")
        passwords = {one["name"]: one["value"] for one in made["credentials"]["passwords"]}
        assert sorted(passwords) == ["password1", "password2"]
        assert azure.token_answer(SERVER, "reader", passwords["password1"]).status_code == 200

        again = az(azure, "acr", "token", "credential", "generate", "--name", "reader", *here, "--password2", "--expiration-in-days", "30")  # fmt: skip
        values = {one["name"]: one["value"] for one in again["passwords"]}
        assert values["password1"] is None
        assert azure.token_answer(SERVER, "reader", passwords["password2"]).status_code == 401
        assert azure.token_answer(SERVER, "reader", passwords["password1"]).status_code == 200

        az(azure, "acr", "token", "credential", "delete", "--name", "reader", *here, "--password1")
        assert azure.token_answer(SERVER, "reader", passwords["password1"]).status_code == 401
        assert azure.token_answer(SERVER, "reader", values["password2"]).status_code == 200
        azure.running.sandbox.advance(dt.timedelta(days=31))
        assert azure.token_answer(SERVER, "reader", values["password2"]).status_code == 401

        az(azure, "acr", "token", "update", "--name", "reader", *here, "--scope-map", "readers", "--status", "disabled")  # fmt: skip
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
