"""Scope maps, tokens and their operations in the emulated Azure, held against recorded answers of the real
one.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from providers.acr.emulator.roles import ACR_PULL, CONTRIBUTOR
from tests.harness.azure_sandbox import Azure

VERSION = {"api-version": "2025-11-01"}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00")


def call(azure: Azure, verb: str, below: str, **options: Any) -> httpx.Response:
    return azure.arm(verb, f"{azure.shop.id}/{below}", params=VERSION, **options)


def with_map(azure: Azure, **properties: Any) -> httpx.Response:
    given = {"actions": ["repositories/checkout/content/read"], **properties}
    return call(azure, "PUT", "scopeMaps/reader", json={"properties": given})


def with_token(azure: Azure) -> httpx.Response:
    with_map(azure)
    of = {"scopeMapId": f"{azure.shop.id}/scopeMaps/reader", "status": "enabled"}
    return call(azure, "PUT", "tokens/reader", json={"properties": of})


def poll(azure: Azure, address: str) -> httpx.Response:
    """The answer at an address that another answer named, asked for as it was named."""
    parts = urlsplit(address)
    query = dict(one.split("=", 1) for one in parts.query.split("&"))
    assert query.pop("api-version") == VERSION["api-version"]
    assert set(query) == {"t", "c", "s", "h"}
    return azure.arm("GET", parts.path, params={**VERSION, **query})


def test_a_scope_map_is_there_with_the_answer_to_its_put(azure: Azure) -> None:
    for description in ("pullkey", "pullkey, again"):
        answer = with_map(azure, description=description)
        assert answer.status_code == 200
        assert answer.json()["properties"]["provisioningState"] == "Succeeded"
        assert answer.json()["properties"]["description"] == description
        assert "azure-asyncoperation" not in answer.headers
    assert "description" not in with_map(azure).json()["properties"]


def test_a_token_and_an_update_go_on_after_their_answer(azure: Azure) -> None:
    azure.state.polls_in_progress = 1
    token = with_token(azure)
    patch = call(
        azure,
        "PATCH",
        "scopeMaps/reader",
        json={"properties": {"actions": ["repositories/cart/content/read"]}},
    )
    for answer, kind, doing in ((token, "tokens", "Creating"), (patch, "scopeMaps", "Updating")):
        assert (answer.status_code, answer.json()["properties"]["provisioningState"]) == (201, doing)
        address = answer.headers["azure-asyncoperation"]
        assert f"{azure.shop.id}/{kind}/reader/operationStatuses/token-" in address
        first = poll(azure, address)
        assert first.json() == {"status": doing}
        assert poll(azure, first.headers["azure-asyncoperation"]).json() == {"status": "Succeeded"}
        for one in (answer, first):
            assert "retry-after" not in one.headers
    assert call(azure, "GET", "tokens/reader").json()["properties"]["provisioningState"] == "Succeeded"


def test_a_deletion_is_followed_at_an_address_of_the_subscription(azure: Azure) -> None:
    azure.state.polls_in_progress = 1
    with_token(azure)
    for below in ("tokens/reader", "scopeMaps/reader"):
        gone = call(azure, "DELETE", below)
        subscription = f"/subscriptions/{azure.shop.subscription_id}"
        results = (
            f"{subscription}/providers/Microsoft.ContainerRegistry/locations/WESTEUROPE/operationResults/"
        )
        assert (gone.status_code, results in gone.headers["location"]) == (202, True)
        again = poll(azure, gone.headers["location"])
        assert (again.status_code, again.text) == (202, "")
        end = poll(azure, again.headers["location"])
        assert (end.status_code, end.text, "location" in end.headers) == (200, "", False)
        for one in (gone, again, end):
            assert "retry-after" not in one.headers
        assert call(azure, "DELETE", below).status_code == 204


def test_rights_on_the_registry_do_not_reach_the_result_of_a_deletion(azure: Azure) -> None:
    with_token(azure)
    operator = azure.state.operator.object_id
    azure.state.role_assignments = [
        one for one in azure.state.role_assignments if one.principal_id != operator
    ]
    azure.state.add_assignment(operator, CONTRIBUTOR, azure.shop.id)
    gone = call(azure, "DELETE", "tokens/reader")

    assert gone.status_code == 202
    refused = poll(azure, gone.headers["location"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert "Microsoft.ContainerRegistry/locations/operationResults/read" in refused.text
    # It is gone for all that, as the registry itself says.
    assert call(azure, "GET", "tokens/reader").status_code == 404


@pytest.mark.parametrize("kind", ["tokens", "scopeMaps"])
def test_the_status_of_an_operation_wants_a_right_of_its_own(azure: Azure, kind: str) -> None:
    token = with_token(azure)
    patch = call(azure, "PATCH", "scopeMaps/reader", json={"properties": {"description": "x"}})
    action = f"Microsoft.ContainerRegistry/registries/{kind}/operationStatuses/read"
    azure.state.denied_actions.add(action)
    answer = token if kind == "tokens" else patch

    refused = poll(azure, answer.headers["azure-asyncoperation"])
    assert (refused.status_code, action in refused.text) == (403, True)


def test_what_is_not_in_the_registry_is_not_found_in_the_registrys_own_words(azure: Azure) -> None:
    for below in ("tokens/reader", "scopeMaps/reader"):
        answer = call(azure, "GET", below)
        assert answer.status_code == 404
        assert answer.json() == {
            "error": {"code": "ResourceNotFound", "message": "The resource reader could not be found."},
            "status": "Failed",
        }


def test_dates_and_what_is_left_out(azure: Azure) -> None:
    scope_map = with_map(azure).json()
    poll(azure, with_token(azure).headers["azure-asyncoperation"])
    ends = "2100-12-31T12:59:59.000Z"
    body = {"tokenId": f"{azure.shop.id}/tokens/reader", "name": "password1", "expiry": ends}
    first = call(azure, "POST", "generateCredentials", json=body).json()["passwords"]
    body = {"tokenId": f"{azure.shop.id}/tokens/reader", "name": "password2"}
    second = call(azure, "POST", "generateCredentials", json=body).json()["passwords"]
    shown = call(azure, "GET", "tokens/reader").json()

    assert DATE.fullmatch(scope_map["properties"]["creationDate"])
    assert DATE.fullmatch(shown["systemData"]["createdAt"])
    assert [set(one) for one in first] == [{"creationTime", "expiry", "name", "value"}]
    assert first[0]["expiry"] == "2100-12-31T12:59:59+00:00"
    assert [set(one) for one in second] == [
        {"creationTime", "expiry", "name"},
        {"creationTime", "name", "value"},
    ]
    kept = shown["properties"]["credentials"]["passwords"]
    assert [set(one) for one in kept] == [{"creationTime", "expiry", "name"}, {"creationTime", "name"}]
    assert all(DATE.fullmatch(one["creationTime"]) for one in kept)


def test_a_registry_has_network_rules_in_premium_only(azure: Azure) -> None:
    def properties(version: str = "2025-11-01") -> dict[str, Any]:
        found = azure.arm("GET", azure.shop.id, params={"api-version": version}).json()
        shown: dict[str, Any] = found["properties"]
        return shown

    for tier in ("Basic", "Standard"):
        azure.shop.sku = tier
        assert "networkRuleSet" not in properties()
    azure.shop.sku = "Premium"
    assert properties()["networkRuleSet"] == {"defaultAction": "Allow", "ipRules": []}
    assert re.fullmatch(r"\S+T\d\d:\d\d:\d\d\.\d{1,7}Z", properties()["creationDate"])
    assert "roleAssignmentMode" not in properties("2023-07-01")


def test_a_registrys_other_hosts(azure: Azure) -> None:
    azure.shop.domain_name_label, azure.shop.data_endpoint = "a1b2c3", True
    azure.shop.regional_endpoints = True
    shown = azure.arm("GET", azure.shop.id, params={"api-version": "2026-03-01-preview"}).json()
    properties = shown["properties"]

    assert properties["loginServer"] == "acmeshop-a1b2c3.azurecr.io"
    assert properties["dataEndpointHostNames"] == ["acmeshop-a1b2c3.westeurope.data.azurecr.io"]
    assert properties["regionalEndpointHostNames"] == ["acmeshop-a1b2c3.westeurope.geo.azurecr.io"]
    assert (properties["regionalEndpoints"], properties["autoGeneratedDomainNameLabelScope"]) == (
        "Enabled",
        "ResourceGroupReuse",
    )
    stable = azure.arm("GET", azure.shop.id, params=VERSION).json()["properties"]
    assert "regionalEndpointHostNames" not in stable


def test_each_host_of_a_registry_logs_in_and_two_groups_have_one_of_the_same_name(azure: Azure) -> None:
    state = azure.state
    twin = state.add_registry(
        "acmeshop",
        state.subscriptions[0],
        resource_group="other",
        sku="Premium",
        domain_name_label="a1b2c3",
        regional_endpoints=True,
    )
    azure.running.call(azure.emulator.serve_registry(twin))
    application = state.add_application("puller")
    principal = state.add_service_principal(application)
    state.add_assignment(principal.id, ACR_PULL, twin.id)
    secret = state.add_secret(application).text

    def status(host: str) -> int:
        return azure.token_answer(host, application.app_id, secret).status_code

    assert status("acmeshop-a1b2c3.azurecr.io") == 200
    assert status("acmeshop-a1b2c3.westeurope.geo.azurecr.io") == 200
    assert status("acmeshop.azurecr.io") == 401
    listed = azure.arm(
        "GET",
        f"{state.subscriptions[0].scope}/providers/Microsoft.ContainerRegistry/registries",
        params=VERSION,
    ).json()["value"]
    assert [one["properties"]["loginServer"] for one in listed if one["name"] == "acmeshop"] == [
        "acmeshop.azurecr.io",
        "acmeshop-a1b2c3.azurecr.io",
    ]
