"""Microsoft Graph v1.0: the directory's deleted items, which keep applications and service principals for 30
days.

Sources: the Graph reference pages "List deletedItems", "Get deleted item", "Restore deleted item" (which does
not restore an application's service principal with it) and "Permanently delete an item", with their
permissions: Application.ReadWrite.OwnedBy may restore and delete own items, but not read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from aiohttp import web

from providers.acr.emulator.answers import ApiError
from providers.acr.emulator.applications import NO_FILTER_ON, application_json
from providers.acr.emulator.graph_api import (
    READ_DELETED,
    GraphApi,
    not_found,
    require,
    require_management,
)
from providers.acr.emulator.service_principals import principal_json
from providers.acr.emulator.state import Application, ServicePrincipal
from providers.acr.emulator.tokens import Caller

_Item = TypeVar("_Item", Application, ServicePrincipal)
_OTHERS = ("group", "user", "administrativeUnit")
"""Other types among the deleted items; the emulated directory has none of them."""


class DeletedItems:
    """The routes of deleted items."""

    def __init__(self, graph: GraphApi) -> None:
        self._graph = graph
        self._state = graph.state
        items = "/directory/{items:(?i:deletedItems)}"
        graph.route("GET", items, "ListDeletedItems", self._list_untyped)
        typed = items + "/microsoft.graph.{kind}"
        graph.route("GET", typed, "ListDeletedItems", self._list)
        graph.route("GET", items + "/{id}", "GetDeletedItem", self._get)
        graph.route("DELETE", items + "/{id}", "DeleteDeletedItem", self._delete)
        graph.route("POST", items + "/{id}/restore", "RestoreDeletedItem", self._restore)

    async def _list_untyped(self, _request: web.Request, _caller: Caller) -> web.Response:
        raise ApiError(400, "Request_BadRequest", "The type of the deleted items must be specified.")

    async def _list(self, request: web.Request, caller: Caller) -> web.Response:
        kind = request.match_info["kind"]
        shown: list[dict[str, Any]]
        match kind:
            case "application":
                shown = [self._json(one) for one in self._shown(self._state.applications)]
            case "servicePrincipal":
                shown = [self._json(one) for one in self._shown(self._state.service_principals)]
            case _ if kind in _OTHERS:
                shown = []
            case _:
                raise ApiError(
                    400, "BadRequest", f"Resource not found for the segment 'microsoft.graph.{kind}'."
                )
        require(caller, READ_DELETED)
        return self._graph.collection(request, f"{kind}s", shown, no_filter_on=NO_FILTER_ON)

    async def _get(self, request: web.Request, caller: Caller) -> web.Response:
        require(caller, READ_DELETED)
        return self._entity(request, self._named(request))

    async def _delete(self, request: web.Request, caller: Caller) -> web.Response:
        item = self._named(request)
        require_management(caller, self._application_of(item))
        item.lifetime.purged = self._state.now()
        return web.Response(status=204)

    async def _restore(self, request: web.Request, caller: Caller) -> web.Response:
        item = self._named(request)
        require_management(caller, self._application_of(item))
        if isinstance(item, ServicePrincipal) and self._state.principal_by_app_id(item.app_id):
            raise ApiError(
                400,
                "Request_BadRequest",
                "The service principal cannot be created, updated, or restored because the service "
                "principal name "
                f"{item.app_id} is already in use.",
            )
        item.lifetime.removed = None
        item.lifetime.restored = self._state.now()
        return self._entity(request, item)

    def _shown(self, items: Sequence[_Item]) -> list[_Item]:
        return [one for one in items if self._state.replicas.in_deleted_items(one.lifetime)]

    def _named(self, request: web.Request) -> Application | ServicePrincipal:
        wanted = request.match_info["id"].lower()
        items: list[Application | ServicePrincipal] = [
            *self._shown(self._state.applications),
            *self._shown(self._state.service_principals),
        ]
        for one in items:
            if one.id == wanted and one.lifetime.purged is None:
                return one
        raise not_found(wanted)

    def _application_of(self, item: Application | ServicePrincipal) -> Application | None:
        """The application whose owner has the permission: the item itself, or the service principal's
        application, deleted or not.
        """
        if isinstance(item, Application):
            return item
        return next((one for one in self._state.applications if one.app_id == item.app_id), None)

    def _json(self, item: Application | ServicePrincipal) -> dict[str, Any]:
        if isinstance(item, Application):
            return application_json(self._state, item)
        return principal_json(self._state, item)

    def _entity(self, request: web.Request, item: Application | ServicePrincipal) -> web.Response:
        kind = "application" if isinstance(item, Application) else "servicePrincipal"
        typed = {"@odata.type": f"#microsoft.graph.{kind}", **self._json(item)}
        return self._graph.entity(request, "directoryObjects", typed)
