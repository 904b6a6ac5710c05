"""The calls of Azure's Resource Manager about role assignments."""

from __future__ import annotations

from providers.acr.arm_objects import Assignment, Registry, as_assignment
from providers.acr.cloud import Azure
from providers.acr.errors import AzureApiError


class Assignments:
    """The role assignments that a login may read and write."""

    def __init__(self, cloud: Azure) -> None:
        self._cloud = cloud

    async def on_registry(self, registry: Registry, principal: str) -> list[Assignment]:
        """The roles of a service principal on the registry, those of its groups and of wider scopes
        included.
        """

        async def listed() -> list[Assignment]:
            found = self._cloud.authorization_client(registry.subscription).role_assignments.list_for_scope(
                registry.id, filter=f"atScope() and assignedTo('{principal}')"
            )
            return [as_assignment(one) async for one in found]

        return await self._cloud.call("ListRoleAssignments", registry.id, listed)

    async def in_subscription(self, subscription: str, principal: str) -> list[Assignment]:
        """All roles of a service principal in a subscription, at any scope."""

        async def listed() -> list[Assignment]:
            async with self._cloud.searches:
                found = self._cloud.authorization_client(subscription).role_assignments.list_for_subscription(
                    filter=f"principalId eq '{principal}'"
                )
                return [as_assignment(one) async for one in found]

        return await self._cloud.call("ListRoleAssignments", f"/subscriptions/{subscription}", listed)

    async def get(self, scope: str, name: str) -> Assignment | None:
        """The role assignment of that name, or None."""

        async def got() -> Assignment:
            return as_assignment(
                await self._cloud.authorization_client(_subscription(scope)).role_assignments.get(scope, name)
            )

        try:
            return await self._cloud.call("GetRoleAssignment", f"{scope} {name}", got)
        except AzureApiError as error:
            if error.missing:
                return None
            raise

    async def assign(self, scope: str, name: str, role: str, principal: str, description: str) -> Assignment:
        """Assign the role. A second PUT of the same name changes the description only, and is answered
        alike.
        """
        from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters

        subscription = _subscription(scope)
        definition = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        body = RoleAssignmentCreateParameters(
            role_definition_id=definition,
            principal_id=principal,
            # With the type given, Resource Manager need not look up a new principal that may not have reached
            # it.
            principal_type="ServicePrincipal",
            description=description,
        )

        async def put() -> Assignment:
            return as_assignment(
                await self._cloud.authorization_client(subscription).role_assignments.create(
                    scope, name, body
                )
            )

        return await self._cloud.call("PutRoleAssignment", f"{scope} {name}", put)

    async def unassign(self, scope: str, name: str) -> bool:
        """Delete the role assignment of that name; False if there was none."""

        async def delete() -> bool:
            client = self._cloud.authorization_client(_subscription(scope))
            return await client.role_assignments.delete(scope, name) is not None

        return await self._cloud.call("DeleteRoleAssignment", f"{scope} {name}", delete)


def _subscription(scope: str) -> str:
    return scope.split("/")[2]
