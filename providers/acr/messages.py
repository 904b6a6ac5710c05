"""What a user is told of an application that cannot be created or restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootstrap.model.codes import Code
from bootstrap.model.errors import StepFailed
from bootstrap.plugin.errors import ApiError

if TYPE_CHECKING:
    from providers.acr.deleted_items import DeletedApplication
    from providers.acr.graph import Graph
    from providers.acr.target import AcrTarget


def name_unreadable(graph: Graph, target: AcrTarget, error: ApiError) -> StepFailed:
    """The unique name is taken by a deleted application, which this login may not see."""
    return StepFailed(
        f"An application in the directory's deleted items has the unique name {target.unique_name}, "
        f"and this login may not read them ({error.said})",
        fix=f"Have it found: `{graph.list_deleted_command(target.app_name)}`; then have it deleted "
        f"permanently: `{graph.purge_command('OBJECT_ID')}`. Or pass another --app-name",
        code=Code.IDENTITY_DELETED,
    )


def name_taken(target: AcrTarget, deleted: DeletedApplication, fix: str) -> StepFailed:
    """The unique name is taken by a deleted application of somebody else's."""
    return StepFailed(
        f"The unique name {target.unique_name} is taken by {deleted.display_name} "
        f"({deleted.object_id}) in the directory's deleted items, which pullkey has not created",
        fix=fix,
        code=Code.NAME_IN_DELETED_ITEMS,
    )


def not_restored(graph: Graph, deleted: DeletedApplication, error: ApiError) -> StepFailed:
    """The deleted application may not be restored."""
    return StepFailed(
        f"The application {deleted.display_name} ({deleted.object_id}) is in the directory's "
        f"deleted items, and this login may not restore it ({error.said})",
        fix=f"Have it restored: `{graph.restore_command(deleted.object_id)}` (it takes Application "
        "Administrator, or Application.ReadWrite.OwnedBy as its owner). Or pass another --app-name",
        code=Code.IDENTITY_DELETED,
    )
