"""The emulated Graph, by Microsoft's SDK: applications, service principals, policies, filters."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
    AddPasswordPostRequestBody,
)
from msgraph.generated.models.app_credential_restriction_type import AppCredentialRestrictionType
from msgraph.generated.models.application import Application
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal

from providers.acr.emulator import odata
from tests.harness.azure_sandbox import Azure, Clients, refused


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
