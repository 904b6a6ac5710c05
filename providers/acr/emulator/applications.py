"""Microsoft Graph v1.0: applications and their secrets.

Sources: the Graph reference pages of each call; recorded runs of `az ad app` for keys and dates; public
reports for the texts of errors. A `uniqueName` that is in use is answered with 400, not 409, and a deleted
application keeps its own: microsoftgraph/msgraph-bicep-types#137, byte5ai/omadia#916.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from aiohttp import web

from providers.acr.emulator.answers import (
    ApiError,
    json_object,
    moment_in,
    object_in,
    text_in,
    texts_in,
)
from providers.acr.emulator.dates import as_given, whole_seconds, with_decimals
from providers.acr.emulator.graph_api import (
    BY_ID,
    BY_KEY,
    MANAGE_ALL,
    MANAGE_OWNED,
    READ,
    GraphApi,
    from_an_action,
    key_in,
    not_found,
    require,
    require_management,
    user_json,
)
from providers.acr.emulator.service_principals import principal_json
from providers.acr.emulator.state import (
    DEFAULT_SECRET_LIFETIME,
    Application,
    AzureState,
    Secret,
)
from providers.acr.emulator.tokens import Caller

_LATEST = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
NO_FILTER_ON = ("uniqueName",)
"""Properties by which Graph cannot filter: those not marked as filterable in its reference."""
WRITABLE: dict[str, Any] = {
    "description": None,
    "groupMembershipClaims": None,
    "identifierUris": [],
    "isDeviceOnlyAuthSupported": None,
    "isFallbackPublicClient": None,
    "nativeAuthenticationApisEnabled": None,
    "notes": None,
    "serviceManagementReference": None,
    "signInAudience": "AzureADMyOrg",
    "tags": [],
    "tokenEncryptionKeyId": None,
    "samlMetadataUrl": None,
    "defaultRedirectUri": None,
    "optionalClaims": None,
    "servicePrincipalLockConfiguration": None,
    "requestSignatureVerification": None,
    "addIns": [],
    "api": {
        "acceptMappedClaims": None,
        "knownClientApplications": [],
        "requestedAccessTokenVersion": None,
        "oauth2PermissionScopes": [],
        "preAuthorizedApplications": [],
    },
    "appRoles": [],
    "info": {
        "logoUrl": None,
        "marketingUrl": None,
        "privacyStatementUrl": None,
        "supportUrl": None,
        "termsOfServiceUrl": None,
    },
    "keyCredentials": [],
    "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
    "publicClient": {"redirectUris": []},
    "requiredResourceAccess": [],
    "web": {
        "homePageUrl": None,
        "logoutUrl": None,
        "redirectUris": [],
        "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
        "redirectUriSettings": [],
    },
    "spa": {"redirectUris": []},
}
"""The writable properties of an application, with their defaults."""


class Applications:
    """The routes of applications."""

    def __init__(self, graph: GraphApi) -> None:
        self._graph = graph
        self._state = graph.state
        for at in (BY_ID, BY_KEY):
            one = f"/applications{at}"
            graph.route("GET", one, "GetApplication", self._get)
            graph.route("DELETE", one, "DeleteApplication", self._delete)
            graph.route("POST", f"{one}/addPassword", "AddPassword", self._add_password)
            graph.route("POST", f"{one}/removePassword", "RemovePassword", self._remove_password)
            graph.route("GET", f"{one}/owners", "ListApplicationOwners", self._owners)
            federated = f"{one}/federatedIdentityCredentials"
            graph.route("GET", federated, "ListFederatedIdentityCredentials", self._federated)
        graph.route("PATCH", "/applications/{id}", "UpdateApplication", self._update)
        graph.route("PATCH", f"/applications{BY_KEY}", "UpsertApplication", self._upsert)
        graph.route("GET", "/applications", "ListApplications", self._list)
        graph.route("POST", "/applications", "CreateApplication", self._create)

    async def _list(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ)
        seen = [one for one in self._state.applications if self._state.replicas.seen(one.lifetime)]
        shown = [application_json(self._state, one) for one in seen]
        return self._graph.collection(request, "applications", shown, no_filter_on=NO_FILTER_ON)

    async def _get(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ)
        found = self._application(request, reads=True)
        return self._graph.entity(request, "applications", application_json(self._state, found))

    async def _create(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, MANAGE_ALL | MANAGE_OWNED)
        body = await json_object(request)
        return self._created(request, body, caller, unique_name=text_in(body, "uniqueName"))

    def _created(
        self, request: web.Request, body: dict[str, Any], caller: Caller, *, unique_name: str | None
    ) -> web.Response:
        display_name = text_in(body, "displayName")
        if not display_name:
            message = "A value is required for property 'displayName' of resource 'Application'."
            raise ApiError(
                400,
                "Request_BadRequest",
                message,
                details=[{"code": "PropertyRequired", "message": message, "target": "displayName"}],
            )
        properties = _writable(body)
        self._require_unused(unique_name)
        made = self._state.add_application(
            display_name, unique_name=unique_name, owner_id=caller.object_id, properties=properties
        )
        shown = application_json(self._state, made, created=with_decimals(made.lifetime.created))
        return self._graph.created(request, "Application", "applications", shown)

    def _require_unused(self, unique_name: str | None) -> None:
        if unique_name and self._state.unique_name_taken(unique_name):
            raise ApiError(
                400,
                "Request_BadRequest",
                "Another object with the same value for property uniqueName already exists.",
            )

    async def _update(self, request: web.Request, caller: Caller) -> web.Response:
        application = self._application(request)
        require_management(caller, application)
        self._change(application, await json_object(request))
        return web.Response(status=204)

    async def _upsert(self, request: web.Request, caller: Caller) -> web.Response:
        """Update by key; with `Prefer: create-if-missing` and `uniqueName`, create it if it does
        not exist.
        """
        name, value = key_in(request)
        create = "create-if-missing" in request.headers.get("Prefer", "") and name == "uniqueName"
        body = await json_object(request)
        # Uniqueness is checked by the replica that writes, not by a lagging one.
        found = next(
            (
                one
                for one in self._state.applications
                if one.lifetime.exists and value == (one.unique_name if name == "uniqueName" else one.app_id)
            ),
            None,
        )
        if found is None:
            if not create:
                raise not_found(value)
            require(caller, MANAGE_ALL | MANAGE_OWNED)
            return self._created(request, body, caller, unique_name=value)
        require_management(caller, found)
        self._change(found, body)
        return web.Response(status=204)

    def _change(self, application: Application, body: dict[str, Any]) -> None:
        changed, display_name = _writable(body), text_in(body, "displayName")
        unique_name = text_in(body, "uniqueName") or application.unique_name
        if unique_name != application.unique_name:
            if application.unique_name is not None:
                raise ApiError(
                    400,
                    "Request_BadRequest",
                    "Property 'uniqueName' is read-only and cannot be set.",
                )
            self._require_unused(unique_name)
        application.unique_name = unique_name
        application.properties |= changed
        application.display_name = display_name or application.display_name
        principal = self._state.principal_by_app_id(application.app_id)
        if principal is not None:
            principal.display_name = application.display_name

    async def _delete(self, request: web.Request, caller: Caller) -> web.Response:
        application = self._application(request)
        require_management(caller, application)
        # Both move to the deleted items; role assignments remain, with a principal that no longer exists.
        application.lifetime.removed = self._state.now()
        principal = self._state.principal_by_app_id(application.app_id)
        if principal is not None:
            principal.lifetime.removed = self._state.now()
        return web.Response(status=204)

    async def _owners(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ)
        owner_id = self._application(request).owner_id
        owners = [one for one in self._state.service_principals if one.id == owner_id]
        typed = [
            {"@odata.type": "#microsoft.graph.servicePrincipal", **principal_json(self._state, one)}
            for one in owners
        ]
        if owner_id in self._state.others:
            typed.append(user_json(owner_id))
        return self._graph.collection(request, "directoryObjects", typed)

    async def _federated(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ)
        application = self._application(request)
        found = [
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
                "name": name,
                "description": None,
                "issuer": "https://token.actions.githubusercontent.com",
                "subject": f"repo:acme/{name}:ref:refs/heads/main",
                "audiences": ["api://AzureADTokenExchange"],
            }
            for name in application.federated
        ]
        context = f"applications('{application.id}')/federatedIdentityCredentials"
        return self._graph.collection(request, context, found)

    def _application(self, request: web.Request, *, reads: bool = False) -> Application:
        """The application in the path, as a lagging replica has it."""
        name, value = key_in(request)
        for one in self._state.applications:
            keys = {"id": one.id, "appId": one.app_id, "uniqueName": one.unique_name}
            same = keys.get(name) == (value if name == "uniqueName" else value.lower())
            if same and (reads or one.lifetime.exists) and self._state.replicas.found(one.lifetime):
                return one
        raise not_found(value)

    # -- secrets ---------------------------------------------------------------------------------------------

    async def _add_password(self, request: web.Request, caller: Caller) -> web.Response:
        application = self._application(request)
        require_management(caller, application)
        wanted = object_in(await json_object(request), "passwordCredential")
        start = moment_in(wanted, "startDateTime") or self._state.now()
        end = moment_in(wanted, "endDateTime")
        if max(start, end or start) > _LATEST - DEFAULT_SECRET_LIFETIME:
            raise ApiError(400, "InvalidKeyEndDate", "Key credential end date is invalid.")
        if end is not None and end <= self._state.now():
            raise ApiError(400, "InvalidKeyEndDate", "Key credential end date is invalid.")
        draft = self._state.add_secret(
            application, display_name=text_in(wanted, "displayName"), start=start, end=end
        )
        try:
            self._require_policy(application, draft)
        except ApiError:
            application.secrets.remove(draft)
            raise
        context = {
            "@odata.context": f"{self._graph.address}/v1.0/$metadata#microsoft.graph.passwordCredential"
        }
        return from_an_action({**context, **_secret_json(draft), "secretText": draft.text})

    def _require_policy(self, application: Application, secret: Secret) -> None:
        policy = application.policy or self._state.app_management_policy
        if policy.operator_exempt:
            return
        if policy.secrets_blocked:
            raise ApiError(
                400,
                "CredentialTypeNotAllowedAsPerAppPolicy",
                f"Credential type not allowed as per assigned policy '{policy.id}'.",
            )
        longest = policy.max_secret_lifetime
        if longest is not None and secret.end - secret.start > longest:
            message = (
                f"Credential lifetime exceeds the max value allowed as per assigned policy '{policy.id}'."
            )
            raise ApiError(
                400,
                "CredentialInvalidLifetimeAsPerAppPolicy",
                message,
                details=[{"code": "InvalidKeyEndDate", "message": message, "target": "EndDate"}],
            )

    async def _remove_password(self, request: web.Request, caller: Caller) -> web.Response:
        application = self._application(request)
        require_management(caller, application)
        key_id = (text_in(await json_object(request), "keyId") or "").lower()
        for secret in application.secrets:
            # A removal that is faster than the replication of its secret does not find it.
            if (
                secret.key_id == key_id
                and secret.lifetime.exists
                and self._state.replicas.seen(secret.lifetime)
            ):
                secret.lifetime.removed = self._state.now()
                return web.Response(status=204)
        raise ApiError(400, "Request_BadRequest", f"No password credential found with keyId '{key_id}'.")


def application_json(
    state: AzureState, application: Application, *, created: str | None = None
) -> dict[str, Any]:
    """An application in Graph's JSON; `created` is its date if its form differs from that of a read."""
    shown = [one for one in application.secrets if state.replicas.seen(one.lifetime)]
    removed = application.lifetime.removed
    return {
        "id": application.id,
        "deletedDateTime": whole_seconds(removed) if removed else None,
        "appId": application.app_id,
        "applicationTemplateId": None,
        "disabledByMicrosoftStatus": None,
        "createdDateTime": created or whole_seconds(application.lifetime.created),
        "displayName": application.display_name,
        "publisherDomain": f"{state.tenant_name.lower()}.onmicrosoft.com",
        "uniqueName": application.unique_name,
        "certification": None,
        "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
        **WRITABLE,
        **application.properties,
        "passwordCredentials": [_secret_json(one) for one in shown],
    }


def _writable(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("passwordCredentials"):
        raise ApiError(
            400,
            "Request_BadRequest",
            "Property passwordCredentials is read-only and cannot be set. Use addPassword and "
            "removePassword.",
        )
    known = {*WRITABLE, "displayName", "uniqueName", "passwordCredentials", "@odata.type"}
    for name in body:
        if name not in known:
            raise ApiError(
                400,
                "Request_BadRequest",
                f"One or more property values specified are invalid. Property '{name}' is not known "
                "or cannot be set.",
            )
    for name in ("tags", "identifierUris"):
        texts_in(body, name)
    return {name: value for name, value in body.items() if name in WRITABLE}


def _secret_json(secret: Secret) -> dict[str, Any]:
    return {
        "customKeyIdentifier": None,
        "displayName": secret.display_name,
        "endDateTime": as_given(secret.end),
        "hint": secret.text[:3],
        "keyId": secret.key_id,
        "secretText": None,
        "startDateTime": as_given(secret.start),
    }
