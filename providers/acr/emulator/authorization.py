"""Azure RBAC, the `Microsoft.Authorization` part of Resource Manager.

Sources: "Troubleshoot Azure RBAC", "List Azure role assignments using the REST API"; recorded runs of `az
role assignment` and `az ad sp create-for-rbac` for the answer to a PUT (always 201, with its own creation
date and without a creator).
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from operator import attrgetter
from typing import Any

from aiohttp import web

from providers.acr.emulator import odata
from providers.acr.emulator.answers import ApiError, json_object, object_in, text_in
from providers.acr.emulator.arm_api import ArmApi, any_case
from providers.acr.emulator.dates import ticks
from providers.acr.emulator.replication import Lifetime
from providers.acr.emulator.roles import BUILT_IN, Permissions, Role
from providers.acr.emulator.state import RoleAssignment, scope_holds
from providers.acr.emulator.tokens import Caller

_AUTHORIZATION = any_case("providers", "Microsoft.Authorization")
_AT_SCOPE = "/{scope:.+}" + _AUTHORIZATION
_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_ROLES_SINCE = dt.datetime(2021, 11, 11, 20, 13, 28, tzinfo=dt.UTC)
_BEFORE_IT_IS_WRITTEN = dt.timedelta(milliseconds=700)
"""The difference between the creation date in a PUT's answer and the stored one (recorded: 0.7 to 1.5 s)."""


class Authorization:
    """The routes of role definitions, role assignments and permissions."""

    def __init__(self, arm: ArmApi) -> None:
        self._arm = arm
        self._state = arm.state
        definitions = any_case("roleDefinitions")
        arm.route("GET", _AT_SCOPE + definitions, "ListRoleDefinitions", self._definitions)
        arm.route("GET", _AT_SCOPE + definitions + "/{name}", "GetRoleDefinition", self._definition)
        arm.route("GET", _AUTHORIZATION + definitions + "/{name}", "GetRoleDefinition", self._definition)
        assignments = _AT_SCOPE + any_case("roleAssignments")
        arm.route("GET", assignments, "ListRoleAssignments", self._list)
        arm.route("GET", assignments + "/{name}", "GetRoleAssignment", self._get)
        arm.route("PUT", assignments + "/{name}", "PutRoleAssignment", self._put)
        arm.route("DELETE", assignments + "/{name}", "DeleteRoleAssignment", self._delete)
        arm.route("GET", _AT_SCOPE + any_case("permissions"), "ListPermissions", self._permissions)

    # -- role definitions ------------------------------------------------------------------------------------

    async def _definitions(self, request: web.Request, caller: Caller) -> web.Response:
        scope = _scope(request)
        self._arm.require_scope(scope)
        self._arm.require(caller, "Microsoft.Authorization/roleDefinitions/read", scope)
        items = [_definition_json(role, scope) for role in BUILT_IN.values()]
        return web.json_response({"value": self._arm.filtered(request, items, _definition_view)})

    async def _definition(self, request: web.Request, caller: Caller) -> web.Response:
        scope = _scope(request)
        if scope:
            self._arm.require(caller, "Microsoft.Authorization/roleDefinitions/read", scope)
        role = BUILT_IN.get(request.match_info["name"].lower())
        if role is None:
            raise _no_such_role(request.match_info["name"])
        return web.json_response(_definition_json(role, scope))

    # -- role assignments ------------------------------------------------------------------------------------

    async def _list(self, request: web.Request, caller: Caller) -> web.Response:
        scope = _scope(request)
        self._arm.require_scope(scope)
        self._arm.require(caller, f"{_ASSIGNMENT}/read", scope)
        text = request.query.get("$filter", "")
        functions: dict[str, odata.Function] = {
            # Excludes assignments below the scope.
            "atScope": lambda _: lambda item: scope_holds(item["scope"], scope),
            "assignedTo": lambda principal: lambda item: item["principalId"] == principal,
        }
        try:
            matches = odata.parse(text, functions).matches if text else lambda _: True
            chosen = [
                _assignment_json(one)
                for one in self._state.role_assignments
                if self._state.replicas.shown(one.lifetime)
                and (scope_holds(one.scope, scope) or scope_holds(scope, one.scope))
                and matches({"scope": one.scope, "principalId": one.principal_id})
            ]
        except odata.FilterError as error:
            raise ApiError(
                400, "UnsupportedQuery", f"The filter '{text}' is not supported. {error}"
            ) from None
        return self._arm.page(request, chosen)

    async def _get(self, request: web.Request, caller: Caller) -> web.Response:
        scope = _scope(request)
        self._arm.require(caller, f"{_ASSIGNMENT}/read", scope)
        found = self._find(scope, request.match_info["name"], reads=True)
        if found is None:
            raise ApiError(
                404,
                "RoleAssignmentNotFound",
                f"The role assignment '{request.match_info['name']}' is not found.",
            )
        return web.json_response(_assignment_json(found))

    async def _put(self, request: web.Request, caller: Caller) -> web.Response:
        scope, name = _scope(request), request.match_info["name"].lower()
        body = await json_object(request)
        self._arm.require(caller, f"{_ASSIGNMENT}/write", f"{scope}/providers/{_ASSIGNMENT}/{name}")
        self._arm.require_scope(scope)
        wanted = self._wanted(body, scope, name, caller)
        self._require_condition(caller, f"{_ASSIGNMENT}/write", scope, name, wanted.role.guid)
        same_name = self._find(scope, name)
        if same_name is not None:
            if not same_name.same_grant(wanted):
                raise ApiError(
                    400,
                    "RoleAssignmentUpdateNotPermitted",
                    "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                )
            same_name.set_by_put(wanted)
            return self._put_answer(same_name)
        self._require_principal(wanted)
        for other in self._state.role_assignments:
            if other.lifetime.exists and other.same_grant(wanted):
                raise ApiError(409, "RoleAssignmentExists", "The role assignment already exists.")
        self._state.role_assignments.append(wanted)
        return self._put_answer(wanted)

    def _put_answer(self, assignment: RoleAssignment) -> web.Response:
        """The answer, whether it existed before or not: 201, with this PUT's date of creation and
        no creator.
        """
        now = assignment.updated
        shown = replace(
            assignment, lifetime=Lifetime(now - _BEFORE_IT_IS_WRITTEN, sort="grant"), created_by=None
        )
        return web.json_response(_assignment_json(shown), status=201)

    def _wanted(self, body: dict[str, Any], scope: str, name: str, caller: Caller) -> RoleAssignment:
        try:
            uuid.UUID(name)
        except ValueError:
            raise ApiError(
                400,
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            ) from None
        properties = object_in(body, "properties")
        now = self._state.now()
        role_id = text_in(properties, "roleDefinitionId") or ""
        role = BUILT_IN.get(role_id.rpartition("/")[2].lower())
        if role is None:
            raise _no_such_role(role_id.rpartition("/")[2])
        return RoleAssignment(
            name=name,
            scope=scope,
            role=role,
            principal_id=(text_in(properties, "principalId") or "").lower(),
            principal_type=text_in(properties, "principalType") or "ServicePrincipal",
            lifetime=Lifetime(now, sort="grant", subject=f"{role.name} at {scope}"),
            updated=now,
            description=text_in(properties, "description"),
            condition=text_in(properties, "condition"),
            condition_version=text_in(properties, "conditionVersion"),
            created_by=caller.object_id,
            updated_by=caller.object_id,
        )

    def _require_principal(self, wanted: RoleAssignment) -> None:
        kind = self._state.others.get(wanted.principal_id, "ServicePrincipal")
        principal = next(
            (one for one in self._state.service_principals if one.id == wanted.principal_id), None
        )
        if wanted.principal_id not in self._state.others and (
            principal is None
            or not principal.lifetime.exists
            or not self._state.replicas.seen(principal.lifetime)
        ):
            raise ApiError(
                400,
                "PrincipalNotFound",
                f"Principal {wanted.principal_id.replace('-', '')} does not exist in the directory "
                f"{self._state.tenant_id}. Check that you have the correct principal ID. If you are "
                "creating this "
                "principal and then immediately assigning a role, this error might be related to a "
                "replication "
                "delay. In this case, set the role assignment principalType property to a value, such as "
                "ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
            )
        if wanted.principal_type != kind:
            raise ApiError(
                400,
                "UnmatchedPrincipalType",
                f"The PrincipalId '{wanted.principal_id.replace('-', '')}' has type '{kind}' , which is "
                f"different from specified PrinciaplType '{wanted.principal_type}'.",
            )

    async def _delete(self, request: web.Request, caller: Caller) -> web.Response:
        scope, name = _scope(request), request.match_info["name"]
        self._arm.require(caller, f"{_ASSIGNMENT}/delete", f"{scope}/providers/{_ASSIGNMENT}/{name}")
        found = self._find(scope, name)
        self._require_condition(
            caller, f"{_ASSIGNMENT}/delete", scope, name, found.role.guid if found is not None else ""
        )
        self._arm.require_unlocked(f"{scope}/providers/{_ASSIGNMENT}/{name}")
        if found is None:
            return web.Response(status=204)
        found.lifetime.removed = self._state.now()
        return web.json_response(_assignment_json(found))

    def _require_condition(self, caller: Caller, action: str, scope: str, name: str, role: str) -> None:
        """Check that the caller may assign this role, or remove its assignment.

        Raises:
            ApiError: 403 AuthorizationFailed: it holds the permission under a condition that does not allow
                it.
        """
        if not self._state.assigns(caller.object_id, action, scope, role):
            raise ApiError(
                403,
                "AuthorizationFailed",
                f"The client '{caller.app_id}' with object id '{caller.object_id}' has an authorization with "
                f"ABAC condition that is not fulfilled to perform action '{action}' over scope "
                f"'{scope}/providers/{_ASSIGNMENT}/{name}' or the scope is invalid. If access was recently "
                "granted, please refresh your credentials.",
            )

    def _find(self, scope: str, name: str, *, reads: bool = False) -> RoleAssignment | None:
        there = self._state.replicas.shown if reads else attrgetter("exists")
        return next(
            (
                one
                for one in self._state.role_assignments
                if one.name == name.lower() and one.scope.lower() == scope.lower() and there(one.lifetime)
            ),
            None,
        )

    # -- permissions -----------------------------------------------------------------------------------------

    async def _permissions(self, request: web.Request, caller: Caller) -> web.Response:
        # A caller without permissions gets an empty list, not a 403.
        scope = _scope(request)
        self._arm.require_scope(scope)
        held = self._state.permissions(caller.object_id, scope)
        return web.json_response({"value": [_permissions_json(one) for one in held]})


def _scope(request: web.Request) -> str:
    """The scope in the path; an SDK sends an empty segment for a resource without a parent."""
    segments = [one for one in request.match_info.get("scope", "").split("/") if one]
    return "".join(f"/{one}" for one in segments)


def _no_such_role(name: str) -> ApiError:
    return ApiError(
        404,
        "RoleDefinitionDoesNotExist",
        f"The specified role definition with ID '{name.replace('-', '')}' does not exist.",
    )


def _definition_id(role: Role, scope: str) -> str:
    parts = scope.split("/")
    prefix = "/".join(parts[:3]) if len(parts) >= 3 else ""
    return f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{role.guid}"


def _permissions_json(permissions: Permissions) -> dict[str, list[str]]:
    return {
        "actions": list(permissions.actions),
        "notActions": list(permissions.not_actions),
        "dataActions": list(permissions.data_actions),
        "notDataActions": list(permissions.not_data_actions),
    }


def _definition_json(role: Role, scope: str) -> dict[str, Any]:
    return {
        "id": _definition_id(role, scope),
        "name": role.guid,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [_permissions_json(role.permissions)],
            "createdOn": ticks(_ROLES_SINCE),
            "updatedOn": ticks(_ROLES_SINCE),
            "createdBy": None,
            "updatedBy": None,
        },
    }


def _definition_view(item: dict[str, Any]) -> dict[str, Any]:
    return {"roleName": item["properties"]["roleName"], "type": item["properties"]["type"]}


def _assignment_json(assignment: RoleAssignment) -> dict[str, Any]:
    return {
        "id": f"{assignment.scope}/providers/{_ASSIGNMENT}/{assignment.name}",
        "name": assignment.name,
        "type": _ASSIGNMENT,
        "properties": {
            "roleDefinitionId": _definition_id(assignment.role, assignment.scope),
            "principalId": assignment.principal_id,
            "principalType": assignment.principal_type,
            "scope": assignment.scope,
            "condition": assignment.condition,
            "conditionVersion": assignment.condition_version,
            "createdOn": ticks(assignment.lifetime.created),
            "updatedOn": ticks(assignment.updated),
            "createdBy": assignment.created_by,
            "updatedBy": assignment.updated_by,
            "delegatedManagedIdentityResourceId": None,
            "description": assignment.description,
        },
    }
