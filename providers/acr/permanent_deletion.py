"""Delete an object of the directory permanently: from the deleted items too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from bootstrap.model import clock
from bootstrap.plugin.errors import ApiError
from providers.acr.errors import AzureApiError
from providers.acr.waits import PURGE_SECONDS

if TYPE_CHECKING:
    from providers.acr.graph import Graph


class PermanentDeletion:
    """Deletes an object, and then from the deleted items, where it would keep its name and count against a
    quota.

    When awaited again after an error, it continues where it stopped.

    Args:
        graph: the directory.
        object_id: what to delete.
        delete: moves it to the deleted items.
    """

    def __init__(self, graph: Graph, object_id: str, delete: Callable[[str], Awaitable[None]]) -> None:
        self._graph = graph
        self._object_id = object_id
        self._delete = delete
        self._deleted_at: float | None = None
        self._purge_lost = False

    @property
    def half_done(self) -> bool:
        """Whether it is deleted, and may still be among the deleted items."""
        return self._deleted_at is not None

    async def __call__(self) -> None:
        """Delete the object.

        Raises:
            AzureApiError: it is not deleted; `missing` if neither the directory nor its deleted items show
            it.
        """
        if self._deleted_at is None:
            try:
                await self._delete(self._object_id)
                self._deleted_at = clock.monotonic()
            except AzureApiError as error:
                # Deleted by an attempt without an answer, or not known there yet: the deleted items decide.
                if not error.missing:
                    raise
        try:
            await self._graph.deleted.purge(self._object_id)
        except AzureApiError as error:
            self._purge_lost = self._purge_lost or error.unanswered
            waited = clock.monotonic() - self._deleted_at if self._deleted_at is not None else 0.0
            if not (error.missing and (self._purge_lost or waited > PURGE_SECONDS)):
                raise
        self._deleted_at = self._deleted_at or clock.monotonic()

    def left_over(self, what: str, error: ApiError) -> tuple[str, str]:
        """Describe what is left in the deleted items, and the command that deletes it."""
        kept = (
            f"{what} ({self._object_id}) in the directory's deleted items, where it keeps its unique "
            f"name for 30 days ({error.summary})"
        )
        return kept, self._graph.purge_command(self._object_id)
