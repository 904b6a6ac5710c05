"""The emulated registries of Azure, asked as a puller asks; and their tokens and scope maps."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.mgmt.containerregistry import models

from providers.acr.emulator.roles import ACR_PULL, CONTRIBUTOR, READER, REPOSITORY_READER, Role
from providers.acr.emulator.state import ScopeMap
from tests.harness.azure_sandbox import SERVER, Azure, Clients, claims


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
    azure.shop.scope_maps["readers"] = ScopeMap(
        "readers",
        ["repositories/shop/*/content/read", "repositories/checkout/content/read"],
        None,
        azure.state.now(),
    )
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
        body = models.Token(
            properties=models.TokenProperties(scope_map_id=f"{azure.shop.id}/scopeMaps/readers")
        )
        wanted = models.GenerateCredentialsParameters(
            token_id=f"{azure.shop.id}/tokens/reader", name="password1"
        )
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
