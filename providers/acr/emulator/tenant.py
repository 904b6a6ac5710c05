"""Microsoft Graph v1.0: what is asked of the tenant itself: its policies on applications, and who an id is.

Source: the Graph reference pages of each call.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiohttp import web

from providers.acr.emulator.answers import ApiError, json_object, texts_in
from providers.acr.emulator.graph_api import READ, GraphApi, require, user_json
from providers.acr.emulator.service_principals import principal_json
from providers.acr.emulator.tokens import Caller

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
        require(caller, frozenset({"Policy.Read.All"}))
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
        longest = policy.max_secret_lifetime
        restrictions = []
        if policy.secrets_blocked:
            restrictions.append(_restriction("passwordAddition", None))
        if longest is not None:
            restrictions.append(_restriction("passwordLifetime", _iso_duration(longest)))
        body = {
            "id": policy.id,
            "displayName": "Default app management tenant policy",
            "description": "Default tenant policy that enforces app management restrictions.",
            "isEnabled": policy.enabled,
            "applicationRestrictions": {"passwordCredentials": restrictions, "keyCredentials": []},
            "servicePrincipalRestrictions": {"passwordCredentials": [], "keyCredentials": []},
        }
        return self._graph.entity(request, "policies/defaultAppManagementPolicy", body)


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
