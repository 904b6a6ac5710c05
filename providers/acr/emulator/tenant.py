"""Microsoft Graph v1.0: what is asked of the tenant itself: its policies on applications, and who an id is.

Source: the Graph reference pages of each call.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiohttp import web

from providers.acr.emulator.answers import ApiError, json_object, texts_in
from providers.acr.emulator.graph_api import BY_ID, READ, GraphApi, not_found, require, user_json
from providers.acr.emulator.service_principals import principal_json
from providers.acr.emulator.state import AppManagementPolicy
from providers.acr.emulator.tokens import AS_USER, Caller

_READ_POLICIES = frozenset({"Policy.Read.All", "Policy.ReadWrite.ApplicationConfiguration"})
_READ_ORGANIZATION = frozenset({"Organization.Read.All", "Organization.ReadWrite.All"}) | {
    "Directory.Read.All",
    "Directory.ReadWrite.All",
}


class Tenant:
    """Adds its routes to the API."""

    def __init__(self, graph: GraphApi) -> None:
        self._graph = graph
        self._state = graph.state
        graph.route("GET", "/me", "GetMe", self._me)
        graph.route("GET", "/organization", "ListOrganization", self._organization)
        by_ids = "/directoryObjects/getByIds"
        graph.route("POST", by_ids, "GetDirectoryObjectsByIds", self._by_ids, changes=False)
        policies = "/policies"
        graph.route("GET", f"{policies}/authorizationPolicy", "GetAuthorizationPolicy", self._authorization)
        management = f"{policies}/defaultAppManagementPolicy"
        graph.route("GET", management, "GetDefaultAppManagementPolicy", self._management)
        of_one = f"/applications{BY_ID}/appManagementPolicies"
        graph.route("GET", of_one, "ListAppManagementPolicies", self._of_application)

    async def _me(self, _request: web.Request, _caller: Caller) -> web.Response:
        raise ApiError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")

    async def _organization(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, _READ_ORGANIZATION)
        tenant = self._state.tenant_name
        domain = {"name": f"{tenant.lower()}.onmicrosoft.com", "isDefault": True, "isInitial": True}
        one = {"id": self._state.tenant_id, "displayName": tenant, "verifiedDomains": [domain]}
        return self._graph.collection(request, "organization", [one])

    async def _by_ids(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ)
        wanted = {one.lower() for one in texts_in(await json_object(request), "ids")}
        found = [
            {"@odata.type": "#microsoft.graph.servicePrincipal", **principal_json(self._state, one)}
            for one in self._state.service_principals
            if one.id in wanted and self._state.replicas.seen(one.lifetime)
        ]
        found += [
            user_json(one) for one, kind in self._state.others.items() if one in wanted and kind == "User"
        ]
        response = self._graph.collection(request, "directoryObjects", found)
        response.headers["Location"] = "https://graph.microsoft.com"
        return response

    async def _authorization(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, frozenset({"Policy.Read.All", AS_USER}))
        policy = {
            "id": "authorizationPolicy",
            "displayName": "Authorization Policy",
            "description": "Used to manage authorization related settings across the company.",
            "allowInvitesFrom": "adminsAndGuestInviters",
            "blockMsolPowerShell": False,
            "defaultUserRolePermissions": {
                "allowedToCreateApps": self._state.members_may_create_apps,
                "allowedToCreateSecurityGroups": True,
                "allowedToReadOtherUsers": True,
            },
        }
        return self._graph.entity(request, "policies/authorizationPolicy", policy)

    async def _management(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, _READ_POLICIES)
        policy = self._state.app_management_policy
        body = {
            "id": policy.id,
            "displayName": "Default app management tenant policy",
            "description": "Default tenant policy that enforces app management restrictions.",
            "isEnabled": policy.enabled,
            "applicationRestrictions": _restrictions(policy),
            "servicePrincipalRestrictions": {"passwordCredentials": [], "keyCredentials": []},
        }
        return self._graph.entity(request, "policies/defaultAppManagementPolicy", body)

    async def _of_application(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, _READ_POLICIES)
        wanted = request.match_info["id"]
        application = next(
            (
                one
                for one in self._state.applications
                if one.id == wanted and self._state.replicas.shown(one.lifetime)
            ),
            None,
        )
        if application is None:
            raise not_found(wanted)
        policy = application.policy
        items = [] if policy is None else [_policy_json(policy)]
        return self._graph.collection(request, "policies/appManagementPolicies", items)


def _policy_json(policy: AppManagementPolicy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "displayName": "An app management policy",
        "description": None,
        "isEnabled": policy.enabled,
        "restrictions": _restrictions(policy),
    }


def _restrictions(policy: AppManagementPolicy) -> dict[str, Any]:
    rules = []
    if policy.secrets_blocked:
        rules.append(_restriction("passwordAddition", None))
    if policy.max_secret_lifetime is not None:
        rules.append(_restriction("passwordLifetime", _iso_duration(policy.max_secret_lifetime)))
    if policy.operator_exempt:
        attribute = {"id": "Deployment_Exempt", "operator": "equals", "value": "yes"}
        rules = [{**one, "excludeActors": {"customSecurityAttributes": [attribute]}} for one in rules]
    return {"passwordCredentials": rules, "keyCredentials": []}


def _iso_duration(span: dt.timedelta) -> str:
    seconds = span.seconds
    return f"P{span.days}D" + (f"T{seconds}S" if seconds else "")


def _restriction(kind: str, longest: str | None) -> dict[str, Any]:
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": longest,
        "restrictForAppsCreatedAfterDateTime": "0001-01-01T00:00:00Z",
    }
