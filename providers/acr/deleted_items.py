"""The deleted items of the directory, where an application stays for 30 days, and keeps its unique name all
that time.

Creating another of that name is then refused with 400 `Request_BadRequest`, "Another object with the same
value for property uniqueName already exists" (microsoftgraph/msgraph-bicep-types#137, byte5ai/omadia#916).
What is permanently deleted there gives its name back. Restoring an application does not restore its service
principal ("Restore deleted item"); its secrets come back with it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from providers.acr.errors import AzureApiError

if TYPE_CHECKING:
    from providers.acr.graph_client import GraphClient

MARK = "pullkey"
"""The tag that tells our applications from others."""
_NAME_TAKEN = "uniquename"
_FIELDS = "id,appId,uniqueName,displayName,notes,tags,deletedDateTime"
_PAGES = 50


@dataclass(frozen=True)
class DeletedApplication:
    """An application in the deleted items; `ours` if it bears pullkey's mark."""

    object_id: str
    app_id: str
    unique_name: str
    display_name: str
    ours: bool
    deleted: dt.datetime | None

    @property
    def when(self) -> str:
        return f" on {self.deleted:%Y-%m-%d}" if self.deleted else ""


class DeletedItems:
    """The calls. To read them takes Application.Read.All, which Application.ReadWrite.OwnedBy does not
    include.
    """

    def __init__(self, graph: GraphClient, builder: Any, base_url: str) -> None:
        self._graph = graph
        self._builder = builder
        self._url = f"{base_url}/directory/deletedItems"

    async def application(self, *, unique_name: str = "", app_id: str = "") -> DeletedApplication | None:
        """The deleted application of that name or client id, or None.

        A filter by unique name is not documented, so all are read, a page at a time, and no more of each than
        is needed.
        """
        from providers.acr import graph_models

        by_id = f"&$filter={_by_app_id(app_id)}" if app_id else ""
        url = f"{self._url}/microsoft.graph.application?$select={_FIELDS}&$top=999{by_id}"

        async def found() -> DeletedApplication | None:
            link: str | None = url
            for _ in range(_PAGES):
                request = self._builder.graph_application.with_url(link).to_get_request_information()
                page = await self._graph.answer(request, graph_models.Applications)
                if page is None or page.value is None:
                    raise AzureApiError(0, "", "its answer cannot be read")
                for one in page.value:
                    if (one.app_id == app_id) if app_id else (one.unique_name == unique_name):
                        return _as_deleted(one)
                link = page.next_link
                if not link:
                    break
            return None

        return await self._graph.read("ListDeletedItems", app_id or unique_name, found)

    async def principal(self, app_id: str) -> str:
        """The object id of the deleted service principal of an application, or ""."""
        from providers.acr import graph_models

        url = f"{self._url}/microsoft.graph.servicePrincipal?$filter={_by_app_id(app_id)}"

        async def found() -> str:
            request = self._builder.graph_service_principal.with_url(url).to_get_request_information()
            page = await self._graph.answer(request, graph_models.ServicePrincipals)
            return next((one.id for one in (page.value if page else None) or () if one.id), "")

        return await self._graph.read("ListDeletedItems", app_id, found)

    async def restore(self, object_id: str) -> None:
        """Restore an application or a service principal."""
        from providers.acr import graph_models

        builder = self._builder.by_directory_object_id(object_id).restore

        async def post() -> None:
            request = builder.to_post_request_information(self._graph.once())
            await self._graph.answer(request, graph_models.ServicePrincipal)

        await self._graph.change("RestoreDeletedItem", object_id, post)

    async def purge(self, object_id: str) -> None:
        """Delete an application or a service principal permanently, which was deleted before."""
        builder = self._builder.by_directory_object_id(object_id)
        await self._graph.change("DeleteDeletedItem", object_id, lambda: builder.delete(self._graph.once()))


def _by_app_id(app_id: str) -> str:
    return quote(f"appId eq '{app_id}'")


def is_name_taken(error: AzureApiError) -> bool:
    """Whether a creation was refused since the unique name is taken, by an application that may be
    deleted.
    """
    return error.status in (400, 409) and _NAME_TAKEN in error.message.lower()


def _as_deleted(found: Any) -> DeletedApplication:
    return DeletedApplication(
        object_id=str(found.id),
        app_id=str(found.app_id),
        unique_name=found.unique_name or "",
        display_name=found.display_name or "",
        ours=MARK in (found.tags or ()) or "Made by pullkey" in (found.notes or ""),
        deleted=found.deleted_date_time,
    )
