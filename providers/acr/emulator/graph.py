"""Microsoft Graph v1.0: applications, their secrets, service principals, and the tenant's policies on them.

Sources: the Graph reference pages of each call; the texts of errors as public reports quote them.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, RestApi
from providers.acr.emulator import odata
from providers.acr.emulator.answers import ApiError, answering, graph_error, json_object
from providers.acr.emulator.entra import EntraId
from providers.acr.emulator.state import Application, AzureState, Secret, ServicePrincipal
from providers.acr.emulator.tokens import Caller, Tokens

GraphHandler = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]

_BY_ID = "/{id}"
_BY_KEY = "{key:(?:\\(|%28)[^/]+}"
_KEY = re.compile(r"\((?P<name>\w+)='(?P<value>.*)'\)")

_MANAGE_ALL = frozenset({"Application.ReadWrite.All", "Directory.ReadWrite.All"})
_MANAGE_OWNED = frozenset({"Application.ReadWrite.OwnedBy"})
# ReadWrite.OwnedBy may list all applications and service principals: "This scope of access has been allowed".
_READ = _MANAGE_ALL | _MANAGE_OWNED | {"Application.Read.All", "Directory.Read.All"}
_READ_POLICIES = frozenset({"Policy.Read.All", "Policy.ReadWrite.ApplicationConfiguration"})
_READ_ORGANIZATION = frozenset({"Organization.Read.All", "Organization.ReadWrite.All"}) | {
    "Directory.Read.All",
    "Directory.ReadWrite.All",
}
_APPLICATION_ADMINISTRATORS = frozenset(
    {
        "62e90394-69f5-4237-9190-012177145e10",  # Global Administrator
        "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",  # Application Administrator
        "158c047a-c907-4556-b7ef-446551a6b5f7",  # Cloud Application Administrator
    }
)
_WRITABLE: dict[str, Any] = {
    "api": {},
    "appRoles": [],
    "description": None,
    "groupMembershipClaims": None,
    "identifierUris": [],
    "info": {},
    "isDeviceOnlyAuthSupported": None,
    "isFallbackPublicClient": None,
    "keyCredentials": [],
    "notes": None,
    "optionalClaims": None,
    "parentalControlSettings": {},
    "publicClient": {"redirectUris": []},
    "requiredResourceAccess": [],
    "samlMetadataUrl": None,
    "serviceManagementReference": None,
    "signInAudience": "AzureADMyOrg",
    "spa": {"redirectUris": []},
    "tags": [],
    "tokenEncryptionKeyId": None,
    "web": {"redirectUris": []},
}
"""The properties of an application that a client may write, and what they are when it does not."""


class Graph:
    """The API. `address` is its own URL, known once it is served."""

    def __init__(self, state: AzureState, tokens: Tokens, entra: EntraId, gate: CallGate) -> None:
        self._state = state
        self._tokens = tokens
        self._entra = entra
        self.address = ""
        self.app = web.Application()
        self._api = RestApi(gate, "graph", graph_error, self.app)
        for at in (_BY_ID, _BY_KEY):
            self._application_routes(f"/v1.0/applications{at}")
            one = f"/v1.0/servicePrincipals{at}"
            self._route("GET", one, "GetServicePrincipal", self._get_principal)
            self._route("DELETE", one, "DeleteServicePrincipal", self._delete_principal)
        self._route("PATCH", "/v1.0/applications/{id}", "UpdateApplication", self._update)
        self._route("PATCH", f"/v1.0/applications{_BY_KEY}", "UpsertApplication", self._upsert)
        self._route("GET", "/v1.0/applications", "ListApplications", self._list)
        self._route("POST", "/v1.0/applications", "CreateApplication", self._create)
        self._route("GET", "/v1.0/servicePrincipals", "ListServicePrincipals", self._list_principals)
        self._route("POST", "/v1.0/servicePrincipals", "CreateServicePrincipal", self._create_principal)
        self._route("GET", "/v1.0/me", "GetMe", self._me)
        self._route("GET", "/v1.0/organization", "ListOrganization", self._organization)
        by_ids = "/v1.0/directoryObjects/getByIds"
        self._route("POST", by_ids, "GetDirectoryObjectsByIds", self._by_ids, changes=False)
        policies = "/v1.0/policies"
        self._route("GET", f"{policies}/authorizationPolicy", "GetAuthorizationPolicy", self._authorization)
        management = f"{policies}/defaultAppManagementPolicy"
        self._route("GET", management, "GetDefaultAppManagementPolicy", self._management)
        self._api.route("*", "/{path:.*}", "Unknown", answering(_no_such_path, graph_error), changes=False)

    def _application_routes(self, one: str) -> None:
        self._route("GET", one, "GetApplication", self._get)
        self._route("DELETE", one, "DeleteApplication", self._delete)
        self._route("POST", f"{one}/addPassword", "AddPassword", self._add_password)
        self._route("POST", f"{one}/removePassword", "RemovePassword", self._remove_password)
        self._route("GET", f"{one}/owners", "ListApplicationOwners", self._owners)
        federated = f"{one}/federatedIdentityCredentials"
        self._route("GET", federated, "ListFederatedIdentityCredentials", self._federated)

    def _route(
        self, verb: str, path: str, method: str, handler: GraphHandler, *, changes: bool | None = None
    ) -> None:
        async def checked(request: web.Request) -> web.StreamResponse:
            caller = self._tokens.caller(request, self._entra.audiences.graph, challenge='Bearer realm=""')
            return await handler(request, caller)

        self._api.route(verb, path, method, answering(checked, graph_error), changes=changes)

    # -- applications --------------------------------------------------------------------------------------------

    async def _list(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ)
        seen = [one for one in self._state.applications if self._state.replicas.seen(one.lifetime)]
        return self._collection(request, "applications", [self._application_json(one) for one in seen])

    async def _get(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ)
        return self._entity(request, "applications", self._application_json(self._application(request)))

    async def _create(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _MANAGE_ALL | _MANAGE_OWNED)
        body = await json_object(request)
        application = self._made(body, caller, unique_name=None)
        return web.json_response(self._application_json(application), status=201)

    def _made(self, body: dict[str, Any], caller: Caller, *, unique_name: str | None) -> Application:
        if not body.get("displayName"):
            raise ApiError(
                400,
                "Request_BadRequest",
                "A value is required for property 'displayName' of resource 'Application'.",
                details=[
                    {"code": "PropertyRequired", "message": "A value is required.", "target": "displayName"}
                ],
            )
        return self._state.add_application(
            body["displayName"],
            unique_name=unique_name,
            owner_id=caller.object_id,
            properties=_writable(body),
        )

    async def _update(self, request: web.Request, caller: Caller) -> web.Response:
        application = self._application(request)
        _require_management(caller, application)
        self._change(application, await json_object(request))
        return web.Response(status=204)

    async def _upsert(self, request: web.Request, caller: Caller) -> web.Response:
        """Update by key; with `Prefer: create-if-missing` and `uniqueName`, create what is not there."""
        name, value = _key(request)
        create = "create-if-missing" in request.headers.get("Prefer", "") and name == "uniqueName"
        body = await json_object(request)
        # A key that must be unique is decided by the replica that writes, not by one that lags.
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
                raise _not_found(value)
            _require(caller, _MANAGE_ALL | _MANAGE_OWNED)
            return web.json_response(
                self._application_json(self._made(body, caller, unique_name=value)), status=201
            )
        _require_management(caller, found)
        self._change(found, body)
        return web.Response(status=204)

    def _change(self, application: Application, body: dict[str, Any]) -> None:
        application.properties |= _writable(body)
        application.display_name = body.get("displayName") or application.display_name
        principal = self._state.principal_by_app_id(application.app_id)
        if principal is not None:
            principal.display_name = application.display_name

    async def _delete(self, request: web.Request, caller: Caller) -> web.Response:
        application = self._application(request)
        _require_management(caller, application)
        application.lifetime.removed = self._state.now()
        # The service principal goes with it; role assignments stay behind, with a principal that is no more.
        principal = self._state.principal_by_app_id(application.app_id)
        if principal is not None:
            principal.lifetime.removed = self._state.now()
        return web.Response(status=204)

    async def _owners(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ)
        owner_id = self._application(request).owner_id
        owners = [one for one in self._state.service_principals if one.id == owner_id]
        typed = [
            {"@odata.type": "#microsoft.graph.servicePrincipal", **self._principal_json(one)}
            for one in owners
        ]
        return self._collection(request, "directoryObjects", typed)

    async def _federated(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ)
        found = [
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
                "name": name,
                "issuer": "https://token.actions.githubusercontent.com",
                "subject": f"repo:acme/{name}:ref:refs/heads/main",
                "audiences": ["api://AzureADTokenExchange"],
            }
            for name in self._application(request).federated
        ]
        return self._collection(request, "federatedIdentityCredentials", found)

    def _application(self, request: web.Request) -> Application:
        """The application that the path names, as a lagging replica knows it."""
        name, value = ("id", request.match_info["id"]) if "id" in request.match_info else _key(request)
        for one in self._state.applications:
            keys = {"id": one.id, "appId": one.app_id, "uniqueName": one.unique_name}
            same = keys.get(name) == (value if name == "uniqueName" else value.lower())
            if same and one.lifetime.exists and self._state.replicas.seen(one.lifetime):
                return one
        raise _not_found(value)

    def _application_json(self, application: Application) -> dict[str, Any]:
        shown = [one for one in application.secrets if self._state.replicas.seen(one.lifetime)]
        return {
            "id": application.id,
            "deletedDateTime": None,
            "appId": application.app_id,
            "applicationTemplateId": None,
            "disabledByMicrosoftStatus": None,
            "createdDateTime": _time(application.lifetime.created),
            "displayName": application.display_name,
            "publisherDomain": f"{self._state.tenant_name.lower()}.onmicrosoft.com",
            "uniqueName": application.unique_name,
            **_WRITABLE,
            **application.properties,
            "passwordCredentials": [_secret_json(one) for one in shown],
        }

    # -- secrets -------------------------------------------------------------------------------------------------

    async def _add_password(self, request: web.Request, caller: Caller) -> web.Response:
        application = self._application(request)
        _require_management(caller, application)
        wanted = (await json_object(request)).get("passwordCredential") or {}
        start = _moment(wanted.get("startDateTime")) or self._state.now()
        end = _moment(wanted.get("endDateTime"))
        if end is not None and end <= self._state.now():
            raise ApiError(400, "InvalidKeyEndDate", "Key credential end date is invalid.")
        draft = self._state.add_secret(
            application, display_name=wanted.get("displayName"), start=start, end=end
        )
        try:
            self._require_policy(draft)
        except ApiError:
            application.secrets.remove(draft)
            raise
        body = {"@odata.context": f"{self.address}/v1.0/$metadata#microsoft.graph.passwordCredential"}
        return web.json_response({**body, **_secret_json(draft), "secretText": draft.text})

    def _require_policy(self, secret: Secret) -> None:
        policy = self._state.app_management_policy
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
        _require_management(caller, application)
        key_id = str((await json_object(request)).get("keyId", "")).lower()
        for secret in application.secrets:
            # A removal that overtakes the replication of its secret does not find it.
            if (
                secret.key_id == key_id
                and secret.lifetime.exists
                and self._state.replicas.seen(secret.lifetime)
            ):
                secret.lifetime.removed = self._state.now()
                return web.Response(status=204)
        raise ApiError(400, "Request_BadRequest", f"No password credential found with keyId '{key_id}'.")

    # -- service principals --------------------------------------------------------------------------------------

    async def _list_principals(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ)
        seen = [one for one in self._state.service_principals if self._state.replicas.seen(one.lifetime)]
        return self._collection(request, "servicePrincipals", [self._principal_json(one) for one in seen])

    async def _get_principal(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ)
        return self._entity(request, "servicePrincipals", self._principal_json(self._principal(request)))

    async def _create_principal(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _MANAGE_ALL | _MANAGE_OWNED)
        app_id = str((await json_object(request)).get("appId", "")).lower()
        application = self._state.application_by_app_id(app_id)
        if application is None or not self._state.replicas.seen(application.lifetime):
            if not _manages_all(caller):
                # With the narrower right an application that has not arrived looks like another tenant's.
                raise ApiError(
                    403,
                    "Authorization_RequestDenied",
                    "When using this permission, the backing application of the service principal being created "
                    "must in the local tenant",
                )
            message = f"The appId '{app_id}' of the service principal does not reference a valid application object."
            raise ApiError(
                400,
                "Request_BadRequest",
                message,
                details=[{"code": "NoBackingApplicationObject", "message": message, "target": "appId"}],
            )
        if self._state.principal_by_app_id(app_id) is not None:
            message = (
                "The service principal cannot be created, updated, or restored because the service principal name "
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
        return web.json_response(self._principal_json(principal), status=201)

    async def _delete_principal(self, request: web.Request, caller: Caller) -> web.Response:
        principal = self._principal(request)
        application = self._state.application_by_app_id(principal.app_id)
        if not _manages_all(caller) and application is not None:
            _require_management(caller, application)
        principal.lifetime.removed = self._state.now()
        return web.Response(status=204)

    def _principal(self, request: web.Request) -> ServicePrincipal:
        name, value = ("id", request.match_info["id"]) if "id" in request.match_info else _key(request)
        for one in self._state.service_principals:
            same = {"id": one.id, "appId": one.app_id}.get(name) == value.lower()
            if same and one.lifetime.exists and self._state.replicas.seen(one.lifetime):
                return one
        raise _not_found(value)

    def _principal_json(self, principal: ServicePrincipal) -> dict[str, Any]:
        application = self._state.application_by_app_id(principal.app_id)
        uris = application.properties.get("identifierUris", []) if application is not None else []
        return {
            "id": principal.id,
            "deletedDateTime": None,
            "accountEnabled": True,
            "alternativeNames": [],
            "appDisplayName": principal.display_name,
            "appDescription": None,
            "appId": principal.app_id,
            "appOwnerOrganizationId": self._state.tenant_id,
            "appRoleAssignmentRequired": False,
            "appRoles": [],
            "createdDateTime": _time(principal.lifetime.created),
            "description": None,
            "displayName": principal.display_name,
            "homepage": None,
            "keyCredentials": [],
            "oauth2PermissionScopes": [],
            "passwordCredentials": [],
            "replyUrls": [],
            "servicePrincipalNames": [principal.app_id, *uris],
            "servicePrincipalType": "Application",
            "signInAudience": "AzureADMyOrg",
            "tags": principal.tags,
        }

    # -- the tenant ----------------------------------------------------------------------------------------------

    async def _me(self, _request: web.Request, _caller: Caller) -> web.Response:
        raise ApiError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")

    async def _organization(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ_ORGANIZATION)
        tenant = self._state.tenant_name
        domain = {"name": f"{tenant.lower()}.onmicrosoft.com", "isDefault": True, "isInitial": True}
        one = {"id": self._state.tenant_id, "displayName": tenant, "verifiedDomains": [domain]}
        return self._collection(request, "organization", [one])

    async def _by_ids(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ)
        wanted = {str(one).lower() for one in (await json_object(request)).get("ids", [])}
        found = [
            {"@odata.type": "#microsoft.graph.servicePrincipal", **self._principal_json(one)}
            for one in self._state.service_principals
            if one.id in wanted and self._state.replicas.seen(one.lifetime)
        ]
        return self._collection(request, "directoryObjects", found)

    async def _authorization(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, frozenset({"Policy.Read.All"}))
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
        return self._entity(request, "policies/authorizationPolicy", policy)

    async def _management(self, request: web.Request, caller: Caller) -> web.Response:
        _require(caller, _READ_POLICIES)
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
        return self._entity(request, "policies/defaultAppManagementPolicy", body)

    # -- answers -------------------------------------------------------------------------------------------------

    def _entity(self, request: web.Request, context: str, item: dict[str, Any]) -> web.Response:
        head = {"@odata.context": f"{self.address}/v1.0/$metadata#{context}/$entity"}
        return web.json_response({**head, **_selected(request, item)})

    def _collection(
        self, request: web.Request, context: str, items: Sequence[dict[str, Any]]
    ) -> web.Response:
        eventual = request.headers.get("ConsistencyLevel", "").lower() == "eventual"
        counted = request.query.get("$count", "").lower() == "true"
        text = request.query.get("$filter")
        if text:
            try:
                chosen = odata.parse(text)
                if chosen.advanced and not (eventual and counted):
                    raise ApiError(
                        400,
                        "Request_UnsupportedQuery",
                        "Operator is not supported without the header ConsistencyLevel: eventual and $count=true.",
                    )
                items = [item for item in items if chosen.matches(item)]
            except odata.FilterError as error:
                raise ApiError(400, "Request_BadRequest", f"Invalid filter clause: {error}") from None
        size = int(request.query.get("$top", "100"))
        if not 1 <= size <= 999:
            raise ApiError(
                400,
                "Request_UnsupportedQuery",
                f"Invalid page size specified: '{size}'. Must be between 1 and 999.",
            )
        start = int(request.query.get("$skiptoken", "0"))
        body: dict[str, Any] = {"@odata.context": f"{self.address}/v1.0/$metadata#{context}"}
        if counted and eventual:
            body["@odata.count"] = len(items)
        if start + size < len(items):
            link = request.rel_url.update_query({"$skiptoken": str(start + size)})
            body["@odata.nextLink"] = f"{self.address}{link}"
        body["value"] = [_selected(request, item) for item in items[start : start + size]]
        return web.json_response(body)


async def _no_such_path(request: web.Request) -> web.StreamResponse:
    segment = request.path.rpartition("/")[2]
    raise ApiError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def _selected(request: web.Request, item: dict[str, Any]) -> dict[str, Any]:
    wanted = [name.strip() for name in request.query.get("$select", "").split(",") if name.strip()]
    if not wanted:
        return item
    return {name: value for name, value in item.items() if name in wanted or name.startswith("@")}


def _key(request: web.Request) -> tuple[str, str]:
    """The alternate key in a path: `(uniqueName='x')`."""
    match = _KEY.fullmatch(request.match_info["key"])
    if match is None:
        raise ApiError(400, "BadRequest", f"Resource not found for the segment '{request.path}'.")
    return match["name"], match["value"].replace("''", "'")


def _manages_all(caller: Caller) -> bool:
    return bool(caller.graph_roles & _MANAGE_ALL or caller.directory_roles & _APPLICATION_ADMINISTRATORS)


def _require(caller: Caller, roles: frozenset[str]) -> None:
    by_directory_role = caller.directory_roles & _APPLICATION_ADMINISTRATORS and roles & _MANAGE_ALL
    if not (caller.graph_roles & roles or by_directory_role):
        raise _denied()


def _require_management(caller: Caller, application: Application) -> None:
    owned = caller.graph_roles & _MANAGE_OWNED and application.owner_id == caller.object_id
    if not (_manages_all(caller) or owned):
        raise _denied()


def _denied() -> ApiError:
    return ApiError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _not_found(name: str) -> ApiError:
    return ApiError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )


def _writable(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("passwordCredentials"):
        raise ApiError(
            400,
            "Request_BadRequest",
            "Property passwordCredentials is read-only and cannot be set. Use addPassword and removePassword.",
        )
    known = {*_WRITABLE, "displayName", "uniqueName", "passwordCredentials", "@odata.type"}
    for name in body:
        if name not in known:
            raise ApiError(
                400,
                "Request_BadRequest",
                f"One or more property values specified are invalid. Property '{name}' is not known or cannot be set.",
            )
    return {name: value for name, value in body.items() if name in _WRITABLE}


def _moment(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(
            400,
            "Request_BadRequest",
            f"Cannot convert the literal '{text}' to the expected type 'Edm.DateTimeOffset'.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _iso_duration(span: dt.timedelta) -> str:
    seconds = span.seconds
    return f"P{span.days}D" + (f"T{seconds}S" if seconds else "")


def _secret_json(secret: Secret) -> dict[str, Any]:
    return {
        "customKeyIdentifier": None,
        "displayName": secret.display_name,
        "endDateTime": _time(secret.end),
        "hint": secret.text[:3],
        "keyId": secret.key_id,
        "secretText": None,
        "startDateTime": _time(secret.start),
    }


def _restriction(kind: str, longest: str | None) -> dict[str, Any]:
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": longest,
        "restrictForAppsCreatedAfterDateTime": "0001-01-01T00:00:00Z",
    }
