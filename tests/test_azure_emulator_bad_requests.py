"""What no client should send to Azure is answered with the service's own refusal, and never with a crash
of ours.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness.azure_sandbox import SERVER, Azure

VERSION = {"api-version": "2025-11-01"}
OTHER_TYPES: list[Any] = [7, "x", True, [1], [[]], {"a": 1}]


def refused(answer: httpx.Response, about: Any) -> None:
    assert 400 <= answer.status_code < 500, (about, answer.status_code, answer.text)
    assert answer.json()["error"]["code"], about


@pytest.mark.parametrize(
    "query",
    [
        {"$skiptoken": "abc"},
        {"$skiptoken": "100"},
        {"$skiptoken": "é"},
        {"$top": "abc"},
        {"$top": "-1"},
        {"$top": "²"},
        {"$top": "9" * 5000},
        {"$filter": "displayName ge 7"},
        {"$filter": "displayName/any(x:x eq 'a')"},
        {"$filter": "displayName eq ²"},
        {"$filter": "(" * 2000},
        {"$filter": "not " * 1000 + "a eq 1"},
        {"$filter": " or ".join(["id eq 'a'"] * 400)},
        {"$filter": "'"},
    ],
    ids=lambda query: str(query)[:40],
)
def test_a_query_that_cannot_be_read(azure: Azure, query: dict[str, str]) -> None:
    answer = azure.graph("GET", "/applications", params=query)
    # A number that is none, or compared with a text, matches nothing in some filters.
    if answer.status_code != 200 or "²" not in str(query):
        refused(answer, query)
    if "$top" not in query:
        registries = f"{azure.state.subscriptions[0].scope}/resources"
        answer = azure.arm("GET", registries, params={**VERSION, **query})
        if answer.status_code != 200 or "$skiptoken" in query:
            refused(answer, query)


def bodies(*names: str) -> Iterator[dict[str, Any]]:
    """A body for each property, with each of the types that it is not."""
    for name in names:
        *outer, last = name.split("/")
        for value in OTHER_TYPES:
            body: dict[str, Any] = {last: value}
            for one in reversed(outer):
                body = {one: body}
            yield body


def test_bodies_whose_properties_are_of_another_type(azure: Azure) -> None:
    application = azure.state.applications_named("deployer")[0]
    one = f"/applications/{application.id}"
    graph = [
        ("POST", "/applications", bodies("displayName", "tags", "uniqueName", "passwordCredentials")),
        ("PATCH", one, bodies("displayName", "tags", "identifierUris")),
        ("POST", f"{one}/addPassword", bodies("passwordCredential/endDateTime", "passwordCredential")),
        ("POST", f"{one}/removePassword", bodies("keyId")),
        ("POST", "/servicePrincipals", bodies("appId")),
        ("POST", "/directoryObjects/getByIds", bodies("ids")),
    ]
    for verb, path, given in graph:
        for body in given:
            assert azure.graph(verb, path, json=body).status_code < 500, (path, body)
    azure.state.add_token(azure.shop, "reader", "")
    assignment = f"providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    of_role = ("properties/roleDefinitionId", "properties/principalId", "properties/description")
    arm = [
        ("PUT", assignment, bodies("properties", *of_role)),
        ("PUT", "scopeMaps/reader", bodies("properties", "properties/actions", "properties/description")),
        ("PUT", "tokens/reader", bodies("properties", "properties/scopeMapId", "properties/status")),
        ("PATCH", "tokens/reader", bodies("properties/credentials", "properties/credentials/passwords")),
        ("POST", "generateCredentials", bodies("tokenId", "name", "expiry")),
    ]
    for verb, below, given in arm:
        for body in given:
            answer = azure.arm(verb, f"{azure.shop.id}/{below}", params=VERSION, json=body)
            assert answer.status_code < 500, (below, body)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"{}", "application/json; charset=nonesuch"),
        (b"[" * 100_000, "application/json"),
        (b"", "application/json"),
    ],
)
def test_a_body_that_is_no_object(azure: Azure, content: bytes, kind: str) -> None:
    headers = {"Content-Type": kind}
    refused(azure.graph("POST", "/applications", content=content, headers=headers), content[:9])
    at = f"{azure.shop.id}/scopeMaps/reader"
    refused(azure.arm("PUT", at, params=VERSION, content=content, headers=headers), content[:9])


@pytest.mark.parametrize(
    "ends", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z", "tomorrow", "2"]
)
def test_a_date_at_the_end_of_time(azure: Azure, ends: str) -> None:
    application = azure.state.applications_named("deployer")[0]
    for name in ("endDateTime", "startDateTime"):
        body = {"passwordCredential": {name: ends}}
        answer = azure.graph("POST", f"/applications/{application.id}/addPassword", json=body)
        assert answer.status_code < 500, answer.text


def test_the_registrys_token_service_and_entra_id_refuse_what_they_cannot_read(azure: Azure) -> None:
    port = azure.emulator.registry_ports[SERVER]
    at = [f"https://localhost:{port}/oauth2/{one}" for one in ("token", "exchange")]
    authority = azure.running.environment["PULLKEY_AZURE_AUTHORITY_HOST"]
    at.append(f"{authority}/{azure.state.tenant_id}/oauth2/v2.0/token")
    form = "application/x-www-form-urlencoded"
    for address in at:
        for content, kind in (
            (b"", form),
            (b"grant_type=%ff&service=%00", form),
            (b"grant_type=password", f"{form}; charset=nonesuch"),
            (b"grant_type=refresh_token&service=x&refresh_token=a.b.c", form),
            (b"grant_type=access_token&service=x&access_token=a.b.c", form),
            (b"grant_type=client_credentials&client_id=%f0", form),
            (b"--x", "multipart/form-data; boundary=x"),
            (b"--x", "multipart/form-data"),
            (b"{}", "application/json"),
        ):
            headers = {"Content-Type": kind}
            answer = httpx.post(address, content=content, headers=headers, verify=azure.trust)
            assert 400 <= answer.status_code < 500, (address, content, answer.text)
    for header in ("Basic", "Basic ???", "Basic /w==", "Basic YQ==", "Bearer x", "basic YTpi", "é"):
        answer = httpx.get(
            at[0],
            params={"service": SERVER},
            headers={b"Authorization": header.encode()},
            verify=azure.trust,
        )
        assert answer.status_code == 401, (header, answer.text)
