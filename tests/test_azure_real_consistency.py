"""`--consistency real` at Azure: what was just created is there and is not, and what was deleted goes on
being shown.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bootstrap.sandbox.host import SandboxSettings
from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_sandbox import SERVER, Azure, running_azure

MANY = 24
LONG = dt.timedelta(hours=1)
VERSION = {"api-version": "2025-11-01"}


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """One whose replicas agree after an hour of its own clock."""
    settings = SandboxSettings(consistency="real", propagation=LONG.total_seconds())
    yield from running_azure(monkeypatch, settings)


def settle(azure: Azure) -> None:
    azure.running.sandbox.advance(LONG)


def statuses(call: Callable[[], httpx.Response]) -> set[int]:
    return {call().status_code for _ in range(MANY)}


def application(azure: Azure) -> dict[str, Any]:
    answer = azure.graph(
        "PATCH",
        "/applications(uniqueName='pullkey-x')",
        json={"displayName": "x"},
        headers={"Prefer": "create-if-missing"},
    )
    made: dict[str, Any] = answer.json()
    return made


def test_an_application_its_principal_and_its_secrets_come_and_go(azure: Azure) -> None:
    made = application(azure)
    one = f"/applications/{made['id']}"

    assert statuses(lambda: azure.graph("GET", one)) == {200, 404}
    named = {"$filter": "displayName eq 'x'"}
    assert {len(azure.graph("GET", "/applications", params=named).json()["value"]) for _ in range(MANY)} == {
        0,
        1,
    }
    principal = {"appId": made["appId"]}
    assert statuses(lambda: azure.graph("POST", "/servicePrincipals", json=principal)) >= {201, 400, 409}
    assert statuses(lambda: azure.graph("GET", f"/servicePrincipals(appId='{made['appId']}')")) == {200, 404}
    settle(azure)
    assert statuses(lambda: azure.graph("GET", one)) == {200}
    secret = azure.graph("POST", f"{one}/addPassword", json={"passwordCredential": {}}).json()

    def shown() -> bool:
        kept = azure.graph("GET", one).json()["passwordCredentials"]
        return secret["keyId"] in {it["keyId"] for it in kept}

    assert {shown() for _ in range(MANY)} == {True, False}
    settle(azure)
    assert {shown() for _ in range(MANY)} == {True}
    azure.graph("POST", f"{one}/removePassword", json={"keyId": secret["keyId"]})
    assert {shown() for _ in range(MANY)} == {True, False}


def test_a_deleted_application_is_shown_for_a_while_and_its_bin_lags(azure: Azure) -> None:
    made = application(azure)
    settle(azure)
    azure.graph("DELETE", f"/applications/{made['id']}")

    assert statuses(lambda: azure.graph("GET", f"/applications/{made['id']}")) == {200, 404}
    assert statuses(lambda: azure.graph("GET", f"/directory/deletedItems/{made['id']}")) == {200, 404}
    settle(azure)
    assert statuses(lambda: azure.graph("GET", f"/applications/{made['id']}")) == {404}
    assert statuses(lambda: azure.graph("GET", f"/directory/deletedItems/{made['id']}")) == {200}


def test_a_role_assignment_lags_in_both_directions(azure: Azure) -> None:
    principal = azure.state.service_principals[-1]
    azure.state.role_assignments = [
        one for one in azure.state.role_assignments if one.principal_id != principal.id
    ]
    at = f"{azure.shop.id}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    role = f"/providers/Microsoft.Authorization/roleDefinitions/{ACR_PULL.guid}"
    body = {"properties": {"roleDefinitionId": role, "principalId": principal.id}}
    # A PUT is decided where it is written, so it is never "created" twice.
    assert statuses(lambda: azure.arm("PUT", at, json=body)) == {201}
    listed = f"{azure.shop.id}/providers/Microsoft.Authorization/roleAssignments"

    def shown() -> bool:
        return principal.id in azure.arm("GET", listed).text

    assert statuses(lambda: azure.arm("GET", at)) == {200, 404}
    assert {shown() for _ in range(MANY)} == {True, False}
    settle(azure)
    assert statuses(lambda: azure.arm("GET", at)) == {200}
    azure.arm("DELETE", at)
    assert statuses(lambda: azure.arm("GET", at)) == {200, 404}
    settle(azure)
    assert {shown() for _ in range(MANY)} == {False}


def test_tokens_their_maps_and_their_passwords_lag(azure: Azure) -> None:
    def call(verb: str, below: str, **body: Any) -> httpx.Response:
        return azure.arm(verb, f"{azure.shop.id}/{below}", params=VERSION, json=body)

    call("PUT", "scopeMaps/reader", properties={"actions": ["repositories/checkout/content/read"]})
    token = f"{azure.shop.id}/tokens/reader"
    made = call("PUT", "tokens/reader", properties={"scopeMapId": f"{azure.shop.id}/scopeMaps/reader"})
    assert made.json()["properties"]["provisioningState"] == "Creating"
    for below in ("scopeMaps/reader", "tokens/reader"):
        assert statuses(lambda below=below: call("GET", below)) == {200, 404}  # type: ignore[misc]
    settle(azure)

    def slots() -> tuple[str, ...]:
        found = call("GET", "tokens/reader").json()["properties"]["credentials"]["passwords"]
        return tuple(one["creationTime"] for one in found)

    first = call("POST", "generateCredentials", tokenId=token, name="password1").json()["passwords"][0]
    assert {slots() for _ in range(MANY)} == {(), (first["creationTime"],)}
    assert {azure.token_answer(SERVER, "reader", first["value"]).status_code for _ in range(MANY)} == {
        200,
        401,
    }
    settle(azure)
    second = call("POST", "generateCredentials", tokenId=token, name="password1").json()["passwords"][0]
    assert {slots() for _ in range(MANY)} == {(first["creationTime"],), (second["creationTime"],)}
    settle(azure)
    call("PATCH", "tokens/reader", properties={"credentials": {"passwords": []}})
    assert {slots() for _ in range(MANY)} == {(), (second["creationTime"],)}
    settle(azure)
    call("DELETE", "tokens/reader")
    assert statuses(lambda: call("GET", "tokens/reader")) == {200, 404}
    settle(azure)
    assert statuses(lambda: call("GET", "tokens/reader")) == {404}


def test_what_is_old_is_always_there(azure: Azure) -> None:
    one = azure.state.applications_named("deployer")[0]
    assert statuses(lambda: azure.graph("GET", f"/applications/{one.id}")) == {200}
    listed = f"{azure.shop.id}/providers/Microsoft.Authorization/roleAssignments"
    assert len({azure.arm("GET", listed).text for _ in range(MANY)}) == 1
