"""The emulated Resource Manager, by Azure's SDKs: registries, roles, permissions, throttling."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from tests.harness.azure_sandbox import SERVER, Azure, Clients, grant


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
