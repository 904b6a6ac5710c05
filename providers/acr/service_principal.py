"""The service principal of an application: found, restored, or created for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootstrap.plugin.attempt import Attempt
from bootstrap.plugin.deletion import NotShownYet, delete_until_gone
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.step import StillThere
from providers.acr.errors import AzureApiError
from providers.acr.permanent_deletion import PermanentDeletion
from providers.acr.waits import SPREADING, SPREADING_SECONDS, busy

if TYPE_CHECKING:
    from providers.acr.application_facts import ApplicationFacts
    from providers.acr.directory_objects import Principal


class ServicePrincipal:
    """The part of the identity step that handles the service principal, which is deleted with its
    application.
    """

    def __init__(self, session: ApplicationFacts) -> None:
        self._session = session
        self.attempt = Attempt()

    async def found_or_created(self, app_id: str, *, may_exist: bool, restored: bool) -> Principal:
        """The service principal; `attempt.created` says whether this run has created it.

        Args:
            app_id: of its application.
            may_exist: whether one may be there; an application that this run has just created has none.
            restored: whether the application comes from the deleted items, where its service principal may be
                too.

        Raises:
            AzureApiError: it does not exist yet.
        """
        graph = self._session.cloud.graph
        if may_exist or self.attempt.sent:
            found = await graph.principal(app_id)
            if found is not None:
                if self.attempt.sent:
                    self.attempt.conclude(ours=self.attempt.may_exist)
                return found
        if restored and (deleted := await self._deleted(app_id)):
            await graph.deleted.restore(deleted)
            raise AzureApiError(404, "", "the restored service principal is not to be seen yet")
        with self.attempt.sending():
            return await graph.create_principal(app_id)

    async def _deleted(self, app_id: str) -> str:
        try:
            return await self._session.cloud.graph.deleted.principal(app_id)
        except AzureApiError as error:
            if error.inconclusive:
                raise
            return ""

    def delay(self, error: Exception, *, is_new: bool) -> Delay | None:
        """The delay that explains an error.

        Args:
            error: of a call for an application that was shown or created.
            is_new: whether that application is new, or this run has restored it.
        """
        if not isinstance(error, AzureApiError):
            return None
        # 409: one exists and is not shown yet. Another run created it, or an unanswered request of this run.
        spreading = error.status == 409 or error.missing or (error.status == 400 and is_new)
        # With Application.ReadWrite.OwnedBy an application that has not arrived is taken for another
        # directory's.
        spreading = spreading or (error.status == 403 and is_new and "backing application" in error.message)
        return Delay(SPREADING, SPREADING_SECONDS) if spreading else busy(error)

    async def undo(self, object_id: str) -> str:
        """Delete the one that this run has created for an application that was there.

        Raises:
            StillThere: it could not be deleted.
        """
        session = self._session
        graph, what = session.cloud.graph, f"service principal of {session.target.app_name}"
        deletion = PermanentDeletion(graph, object_id, graph.delete_principal)

        async def missed(error: ApiError) -> None:
            raise NotShownYet(error)

        async def is_unused() -> bool:
            if not deletion.half_done:
                await session.context.check_unused()
            return True

        try:
            await delete_until_gone(
                deletion,
                missed=missed,
                is_ours=is_unused,
                is_deleted=lambda _: False,  # the deleted items tell
                delay=busy,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except ApiError as error:
            if not deletion.half_done:
                raise StillThere(
                    f"the {what} ({error.summary})", f"az ad sp delete --id {object_id}"
                ) from None
            if not error.missing:
                raise StillThere(*deletion.left_over(f"the {what}", error)) from None
        return f"deleted the {what}"

    async def purge(self) -> None:
        """Delete it permanently after its application. It reserves no name, so a failure is only traced."""
        principal = self._session.known_principal
        if principal is None:
            return
        try:
            await self._session.cloud.graph.deleted.purge(principal.object_id)
        except AzureApiError as error:
            self._session.context.trace(
                f"the deleted service principal is kept for 30 days ({error.summary})"
            )

    async def outlives_application(self) -> bool:
        """Whether the application that Akka's record names, and that is not shown, still has one: they are
        deleted together.
        """
        target = self._session.target
        if target.app_id or not target.client_id:
            return False
        try:
            return await self._session.cloud.graph.principal(target.client_id) is not None
        except AzureApiError:
            return False
