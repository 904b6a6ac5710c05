"""Microsoft Graph v1.0: service principals.

Sources: the Graph reference pages of each call; recorded runs of `az ad sp` for keys and dates.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from providers.acr.emulator.answers import ApiError, json_object, text_in, texts_in
from providers.acr.emulator.dates import whole_seconds
from providers.acr.emulator.graph_api import (
    BY_ID,
    BY_KEY,
    MANAGE_ALL,
    MANAGE_OWNED,
    READ,
    GraphApi,
    key_in,
    manages_all,
    not_found,
    require,
    require_management,
)
from providers.acr.emulator.state import AzureState, ServicePrincipal
from providers.acr.emulator.tokens import Caller


class ServicePrincipals:
    """The routes of service principals."""

    def __init__(self, graph: GraphApi) -> None:
        self._graph = graph
        self._state = graph.state
        for at in (BY_ID, BY_KEY):
            one = f"/servicePrincipals{at}"
            graph.route("GET", one, "GetServicePrincipal", self._get)
            graph.route("PATCH", one, "UpdateServicePrincipal", self._update)
            graph.route("DELETE", one, "DeleteServicePrincipal", self._delete)
        graph.route("GET", "/servicePrincipals", "ListServicePrincipals", self._list)
        graph.route("POST", "/servicePrincipals", "CreateServicePrincipal", self._create)

    async def _list(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ)
        seen = [one for one in self._state.service_principals if self._state.replicas.seen(one.lifetime)]
        return self._graph.collection(
            request, "servicePrincipals", [principal_json(self._state, one) for one in seen]
        )

    async def _get(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ)
        return self._graph.entity(
            request, "servicePrincipals", principal_json(self._state, self._principal(request, reads=True))
        )

    async def _create(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, MANAGE_ALL | MANAGE_OWNED)
        body = await json_object(request)
        app_id = (text_in(body, "appId") or "").lower()
        application = self._state.application_by_app_id(app_id)
        if application is None or not self._state.replicas.seen(application.lifetime):
            if not manages_all(caller):
                # With the narrower permission, an application that is not yet replicated looks like another
                # tenant's.
                raise ApiError(
                    403,
                    "Authorization_RequestDenied",
                    "When using this permission, the backing application of the service principal "
                    "being created "
                    "must in the local tenant",
                )
            message = (
                f"The appId '{app_id}' of the service principal does not reference a valid application "
                "object."
            )
            raise ApiError(
                400,
                "Request_BadRequest",
                message,
                details=[{"code": "NoBackingApplicationObject", "message": message, "target": "appId"}],
            )
        if self._state.principal_by_app_id(app_id) is not None:
            message = (
                "The service principal cannot be created, updated, or restored because the service "
                "principal name "
                f"{app_id} is already in use."
            )
            raise ApiError(
                409,
                "Request_MultipleObjectsWithSameKeyValue",
                message,
                details=[
                    {"code": "ConflictingObjects", "message": message, "target": "servicePrincipalNames"}
                ],
            )
        principal = self._state.add_service_principal(application)
        self._change(principal, body)
        shown = principal_json(self._state, principal)
        return self._graph.created(request, "ServicePrincipal", "servicePrincipals", shown)

    async def _update(self, request: web.Request, caller: Caller) -> web.Response:
        principal = self._principal(request)
        require_management(caller, self._state.application_by_app_id(principal.app_id))
        self._change(principal, await json_object(request))
        return web.Response(status=204)

    def _change(self, principal: ServicePrincipal, body: dict[str, Any]) -> None:
        enabled, tags = body.get("accountEnabled"), texts_in(body, "tags")
        if enabled not in (None, True, False):
            raise ApiError(400, "", "Invalid value specified for property 'accountEnabled' of the resource.")
        if enabled is not None:
            principal.enabled = bool(enabled)
        if "tags" in body:
            principal.tags = tags

    async def _delete(self, request: web.Request, caller: Caller) -> web.Response:
        principal = self._principal(request)
        application = self._state.application_by_app_id(principal.app_id)
        if application is not None:
            require_management(caller, application)
        else:
            require(caller, MANAGE_ALL | MANAGE_OWNED)
        principal.lifetime.removed = self._state.now()
        return web.Response(status=204)

    def _principal(self, request: web.Request, *, reads: bool = False) -> ServicePrincipal:
        name, value = key_in(request)
        for one in self._state.service_principals:
            same = {"id": one.id, "appId": one.app_id}.get(name) == value.lower()
            if same and (reads or one.lifetime.exists) and self._state.replicas.found(one.lifetime):
                return one
        raise not_found(value)


def principal_json(state: AzureState, principal: ServicePrincipal) -> dict[str, Any]:
    """A service principal in Graph's JSON."""
    application = state.application_by_app_id(principal.app_id)
    uris = application.properties.get("identifierUris", []) if application is not None else []
    removed = principal.lifetime.removed
    return {
        "id": principal.id,
        "deletedDateTime": whole_seconds(removed) if removed else None,
        "accountEnabled": principal.enabled,
        "alternativeNames": [],
        "appDisplayName": principal.display_name,
        "appDescription": None,
        "appId": principal.app_id,
        "applicationTemplateId": None,
        "appOwnerOrganizationId": state.tenant_id,
        "appRoleAssignmentRequired": False,
        "createdDateTime": whole_seconds(principal.lifetime.created),
        "description": None,
        "disabledByMicrosoftStatus": None,
        "displayName": principal.display_name,
        "homepage": None,
        "loginUrl": None,
        "logoutUrl": None,
        "notes": None,
        "notificationEmailAddresses": [],
        "preferredSingleSignOnMode": None,
        "preferredTokenSigningKeyThumbprint": None,
        "replyUrls": [],
        "servicePrincipalNames": [principal.app_id, *uris],
        "servicePrincipalType": principal.kind,
        "signInAudience": "AzureADMyOrg",
        "tags": principal.tags,
        "tokenEncryptionKeyId": None,
        "samlSingleSignOnSettings": None,
        "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
        "addIns": [],
        "appRoles": [],
        "info": {
            "logoUrl": None,
            "marketingUrl": None,
            "privacyStatementUrl": None,
            "supportUrl": None,
            "termsOfServiceUrl": None,
        },
        "keyCredentials": [],
        "oauth2PermissionScopes": [],
        "passwordCredentials": [],
        "resourceSpecificApplicationPermissions": [],
    }
