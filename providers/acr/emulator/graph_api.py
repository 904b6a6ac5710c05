"""The common part of all calls to Microsoft Graph: token, form of answers, paging, permissions."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, RestApi
from providers.acr.emulator import odata, paging
from providers.acr.emulator.answers import ApiError, answering, graph_error
from providers.acr.emulator.entra import EntraId
from providers.acr.emulator.state import Application, AzureState
from providers.acr.emulator.tokens import AS_USER, Caller, Tokens

GraphHandler = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]

BY_ID = "/{id}"
BY_KEY = "{key:(?:\\(|%28)[^/]+}"
_KEY = re.compile(r"\((?P<name>\w+)='(?P<value>.*)'\)")
_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

MANAGE_ALL = frozenset({"Application.ReadWrite.All", "Directory.ReadWrite.All"})
MANAGE_OWNED = frozenset({"Application.ReadWrite.OwnedBy"})
READ_DELETED = MANAGE_ALL | {"Application.Read.All", "Directory.Read.All"}
# ReadWrite.OwnedBy may list all applications and service principals ("This scope of access has been
# allowed"), but not the deleted ones. So does a member of the directory ("default user permissions").
READ = READ_DELETED | MANAGE_OWNED | {AS_USER}
_APPLICATION_ADMINISTRATORS = frozenset(
    {
        "62e90394-69f5-4237-9190-012177145e10",  # Global Administrator
        "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",  # Application Administrator
        "158c047a-c907-4556-b7ef-446551a6b5f7",  # Cloud Application Administrator
    }
)
APPLICATION_DEVELOPER = "cf1c38e5-3621-4004-a7cb-879624dced7c"
"""Creates applications, as their owner."""


class GraphApi:
    """The endpoint to which the parts of Graph add their routes. `address` is its own URL, set once it is
    served.
    """

    def __init__(self, state: AzureState, tokens: Tokens, entra: EntraId, gate: CallGate) -> None:
        self.state = state
        self._tokens = tokens
        self._entra = entra
        self.address = ""
        self.app = web.Application()
        self._api = RestApi(gate, "graph", graph_error, self.app)

    def route(
        self, verb: str, path: str, method: str, handler: GraphHandler, *, changes: bool | None = None
    ) -> None:
        """Answer `verb /v1.0path` with `handler`."""

        async def checked(request: web.Request) -> web.StreamResponse:
            caller = self._tokens.caller(request, self._entra.audiences.graph, challenge='Bearer realm=""')
            response = await handler(request, self._with_own(caller))
            response.headers.update({"request-id": str(uuid.uuid4()), "x-ms-resource-unit": "1"})
            if response.content_type == "application/json":
                response.headers.update({"OData-Version": "4.0", "Content-Type": _JSON})
            return response

        self._api.route(verb, f"/v1.0{path}", method, answering(checked, graph_error), changes=changes)

    def _with_own(self, caller: Caller) -> Caller:
        """With what it may do by a custom role, and with applications of its own, as a member or by its
        directory role.
        """
        if caller.object_id == self.state.operator.object_id:
            caller = replace(caller, graph_roles=caller.graph_roles | self.state.unlisted_roles)
        member = AS_USER in caller.graph_roles and self.state.members_may_create_apps
        if not (member or APPLICATION_DEVELOPER in caller.directory_roles):
            return caller
        return replace(caller, graph_roles=caller.graph_roles | MANAGE_OWNED)

    def refuse_other_paths(self) -> None:
        """Answer unknown paths like Graph. Call this after all routes were added."""
        self._api.route("*", "/{path:.*}", "Unknown", answering(_no_such_path, graph_error), changes=False)

    def entity(
        self, request: web.Request, context: str, item: Mapping[str, Any], *, status: int = 200
    ) -> web.Response:
        head = {"@odata.context": f"{self.address}/v1.0/$metadata#{context}/$entity"}
        return web.json_response({**head, **_selected(request, item)}, status=status)

    def created(self, request: web.Request, kind: str, context: str, item: Mapping[str, Any]) -> web.Response:
        """201, with the created object's address; `kind` is its type in the directory."""
        response = self.entity(request, context, item, status=201)
        response.headers["Location"] = (
            f"https://graph.microsoft.com/v2/{self.state.tenant_id}/directoryObjects/{item['id']}"
            f"/Microsoft.DirectoryServices.{kind}"
        )
        return response

    def collection(
        self,
        request: web.Request,
        context: str,
        items: Sequence[dict[str, Any]],
        *,
        no_filter_on: Sequence[str] = (),
    ) -> web.Response:
        """A page of the `items` that match the request's filter, which cannot use properties of
        `no_filter_on`.
        """
        eventual = request.headers.get("ConsistencyLevel", "").lower() == "eventual"
        counted = request.query.get("$count", "").lower() == "true"
        text = request.query.get("$filter")
        if text:
            for name in no_filter_on:
                if re.search(rf"\b{name}\b", re.sub(r"'(?:[^']|'')*'", "", text)):
                    raise ApiError(
                        400,
                        "Request_UnsupportedQuery",
                        f"Unsupported or invalid query filter clause specified for property '{name}'.",
                    )
            items = _filtered(text, items, advanced=eventual and counted)
        size = _page_size(request)
        start = paging.start_of(request.query.get("$skiptoken", ""))
        if start is None:
            raise ApiError(
                400,
                "Directory_ExpiredPageToken",
                "The specified page token value has expired or is invalid and can not be used in a request.",
            )
        body: dict[str, Any] = {"@odata.context": f"{self.address}/v1.0/$metadata#{context}"}
        if counted and eventual:
            body["@odata.count"] = len(items)
        if start + size < len(items):
            link = request.rel_url.update_query({"$skiptoken": paging.token_of(start + size)})
            body["@odata.nextLink"] = f"{self.address}{link}"
        body["value"] = [_selected(request, item) for item in items[start : start + size]]
        return web.json_response(body)


def from_an_action(body: Mapping[str, Any]) -> web.Response:
    """The answer to the POST of an action."""
    return web.json_response(body, headers={"Location": "https://graph.microsoft.com"})


def user_json(object_id: str) -> dict[str, Any]:
    """A user of the directory in Graph's JSON."""
    return {
        "@odata.type": "#microsoft.graph.user",
        "id": object_id,
        "businessPhones": [],
        "displayName": "A user",
        "givenName": None,
        "jobTitle": None,
        "mail": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": None,
        "userPrincipalName": f"{object_id[:8]}@acme.onmicrosoft.com",
    }


def _page_size(request: web.Request) -> int:
    text = request.query.get("$top", "100")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ApiError(
            400,
            "BadRequest",
            f"Invalid value '{text}' for $top query option found. The $top query option requires a "
            "non-negative "
            "integer value.",
        )
    if not 1 <= int(text) <= 999:
        raise ApiError(
            400,
            "Request_UnsupportedQuery",
            f"Invalid page size specified: '{text}'. Must be between 1 and 999 inclusive.",
        )
    return int(text)


def _filtered(text: str, items: Sequence[dict[str, Any]], *, advanced: bool) -> list[dict[str, Any]]:
    try:
        chosen = odata.parse(text)
        if chosen.advanced and not advanced:
            raise ApiError(
                400,
                "Request_UnsupportedQuery",
                "Operator is not supported without the header ConsistencyLevel: eventual and $count=true.",
            )
        return [item for item in items if chosen.matches(item)]
    except odata.FilterError as error:
        raise ApiError(400, "Request_BadRequest", f"Invalid filter clause: {error}") from None


async def _no_such_path(request: web.Request) -> web.StreamResponse:
    segment = request.path.rpartition("/")[2]
    raise ApiError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def _selected(request: web.Request, item: Mapping[str, Any]) -> dict[str, Any]:
    wanted = [name.strip() for name in request.query.get("$select", "").split(",") if name.strip()]
    return {name: value for name, value in item.items() if not wanted or name in wanted or name[0] == "@"}


def key_in(request: web.Request) -> tuple[str, str]:
    """The key in the path: `id`, or an alternate key such as `(uniqueName='x')`, and its value."""
    if "id" in request.match_info:
        return "id", request.match_info["id"]
    match = _KEY.fullmatch(request.match_info["key"])
    if match is None:
        raise ApiError(400, "BadRequest", f"Resource not found for the segment '{request.path}'.")
    return match["name"], match["value"].replace("''", "'")


def manages_all(caller: Caller) -> bool:
    return bool(caller.graph_roles & MANAGE_ALL or caller.directory_roles & _APPLICATION_ADMINISTRATORS)


def require(caller: Caller, roles: frozenset[str]) -> None:
    """Check that the caller has one of the permissions, or a directory role with all permissions on
    applications.

    Raises:
        ApiError: 403.
    """
    by_directory_role = caller.directory_roles & _APPLICATION_ADMINISTRATORS and roles & MANAGE_ALL
    if not (caller.graph_roles & roles or by_directory_role):
        raise denied()


def require_management(caller: Caller, application: Application | None) -> None:
    """Check that the caller may change this application; None is an application without owner."""
    manages_owned = caller.graph_roles & (MANAGE_OWNED | {AS_USER})
    owned = manages_owned and application and application.owner_id == caller.object_id
    if not (manages_all(caller) or owned):
        raise denied()


def denied() -> ApiError:
    return ApiError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def not_found(name: str) -> ApiError:
    return ApiError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )
