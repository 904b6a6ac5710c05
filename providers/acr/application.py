"""The identity step of a target with `--auth-kind principal`: an application and its service principal."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from bootstrap.model import clock
from bootstrap.model.errors import PullkeyError, Refused
from bootstrap.plugin.errors import ApiError, refused, refused_as
from bootstrap.plugin.provider import missing_permission
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.retry import Delay, retry_while
from bootstrap.plugin.step import (
    Done,
    Intent,
    Removal,
    Script,
    State,
    StepRole,
    StepStatus,
    StillThere,
    other_than,
)
from providers.acr import messages_application as messages
from providers.acr import token_claims as claims
from providers.acr.application_script import identity_script
from providers.acr.client_secret import remove_old_secrets
from providers.acr.deleted_items import DeletedApplication, is_name_taken
from providers.acr.directory_objects import Application
from providers.acr.errors import REQUEST_DENIED, AzureApiError
from providers.acr.ownership import change_refused
from providers.acr.permanent_deletion import PermanentDeletion
from providers.acr.roles import place_of
from providers.acr.service_principal import ServicePrincipal
from providers.acr.waits import CLOCKS, SETTLE_SECONDS, SPREADING_SECONDS, busy, busy_or_spreading

if TYPE_CHECKING:
    from providers.acr.application_facts import ApplicationAttempt, ApplicationFacts

_NAME_KEPT = (
    "The directory keeps the unique name of an application that it does not show; this takes up to a minute."
)
_RESTORED_BY_THE_NEXT = ", which the directory keeps for 30 days; an onboarding restores it"


class _Exists(ApiError):
    """An application of that unique name was there, and was updated."""

    def __init__(self) -> None:
        super().__init__(409, "")


class _Deletion(StrEnum):
    """How an application is deleted."""

    PERMANENT = "permanent"
    DELETED_ITEMS = "deleted items"
    BACK = "back"  # to the deleted items, from which this run has restored it


class Identity(Resource[Application]):
    """The application and its service principal: found by pullkey's mark, restored, or created with it."""

    name = StepRole.IDENTITY
    look_permissions = (claims.GRAPH_RIGHT,)
    absent = "there is no such application"
    looks = 5
    shows_after = SETTLE_SECONDS

    def __init__(self, session: ApplicationFacts) -> None:
        super().__init__(session)
        self._session = session
        self.attempt: ApplicationAttempt = session.attempt
        self.principal = ServicePrincipal(session)
        self._looked = False
        self._object_id = ""
        self._app_id = ""
        self._named = session.target.app_name
        self._listed = session.target.app_label
        self._deletion = _Deletion.PERMANENT
        self._permanent: PermanentDeletion | None = None
        if not session.target.app_id:
            self.permissions = self.removal_permissions = (claims.GRAPH_RIGHT,)

    @property
    def noun(self) -> str:
        return f"application {self._named}"

    @property
    def offboarded(self) -> str:
        return f"application {self._listed} and its service principal"

    @property
    def title(self) -> str:
        target, deleted = self._session.target, self._session.deleted_seen
        if deleted is not None and deleted.ours:
            return (
                f"Restore the deleted application {deleted.display_name} ({deleted.app_id}) and its "
                "service principal"
            )
        verb = "Use" if target.app_id else "Create"
        return f"{verb} the application {target.app_label} and its service principal"

    async def read(self) -> Application | None:
        graph = self._session.cloud.graph
        return await graph.application_by_unique_name(self._session.target.unique_name)

    looked_for = "the application"

    async def look_now(self) -> StepStatus:
        session = self._session
        application = await session.application()
        if application is not None:
            await session.principal()
            return self.judge(application)
        deleted = await session.deleted()
        return StepStatus(State.MISSING, f"it was deleted{deleted.when}" if deleted else "does not exist")

    def judge(self, shown: Application) -> StepStatus:
        principal = self._session.known_principal
        if shown.disabled:
            return StepStatus(State.MISSING, f"no token is issued to it: {shown.disabled}")
        if principal is None:
            return StepStatus(State.MISSING, "it has no service principal")
        if principal.disabled:
            return StepStatus(
                State.MISSING, f"no token is issued to its service principal: {principal.disabled}"
            )
        return StepStatus(State.DONE, "exists")

    def intent(self) -> Intent:
        deleted = self._session.deleted_seen
        return {
            "unique_name": self._session.target.unique_name,
            "run_id": self._session.context.run_id,
            "at": clock.now().isoformat(timespec="seconds"),
            **({"restores": deleted.object_id} if deleted is not None and deleted.ours else {}),
        }

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, unique_name=self._session.target.unique_name)

    # -- doing -----------------------------------------------------------------------------------------------

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        context = session.context
        with refused_as(self._creation_refused, f"create the application {target.app_name}"):
            application = await retry_while(
                self._application, why=self._application_delay, deadline=context.deadline, tell=context.tell
            )
        created, restored = self.attempt.created_new, self.attempt.restoring is not None
        change = partial(change_refused, session)
        session.known = application  # a read may not show it yet
        if restored:
            await self._remove_old_secrets(application)
        # An application that was created a moment ago has none, unless a try of ours went unanswered. Then
        # there may be one of another run, which `is_of_run` must be able to tell from one that this run has
        # asked for.
        may_exist = not created or self.attempt.unanswered > 0
        with refused_as(change, f"create the service principal of {target.app_name}"):
            principal = await retry_while(
                lambda: self.principal.found_or_created(
                    application.app_id, may_exist=may_exist, restored=restored
                ),
                why=lambda error: self.principal.delay(
                    error, is_new=created or restored or application.is_new
                ),
                deadline=context.deadline,
                tell=context.tell,
            )
        session.known_principal = principal
        if restored:
            made_of_it = {"object_id": application.object_id, "restored": True}
            return Done("from the deleted items of the directory", made_of_it)
        if created:
            return Done("", {"object_id": application.object_id})
        if self.principal.attempt.created:
            return Done(
                "the application was there, its service principal was created",
                {"principal_id": principal.object_id},
            )
        return Done("another run has just created it", unneeded=True)

    async def finish_lost(self, intent: Intent) -> None:
        """Remove the secrets that came to life again, if the lost run was restoring the application."""
        application = await self._session.application()
        if application is None or application.object_id != intent.get("restores"):
            return
        await self._remove_old_secrets(application, before=dt.datetime.fromisoformat(intent["at"]) - CLOCKS)

    async def _remove_old_secrets(
        self, application: Application, *, before: dt.datetime | None = None
    ) -> None:
        with refused_as(partial(change_refused, self._session), f"remove the old secrets of {self._named}"):
            await remove_old_secrets(self._session, application, before=before)

    async def _application(self) -> Application:
        session, target = self._session, self._session.target
        graph = session.cloud.graph
        # The first time, what `look` has read is enough: a unique name is never used twice, and Graph says
        # which run was first.
        again, self._looked = self._looked, True
        found = await (self.read() if again else session.application())
        deleted = session.deleted_seen if found is None and not again else None
        if deleted is not None and deleted.ours:
            return await self._restore(deleted)
        if found is not None:
            return self._found(found)
        notes = f"Pulls images for Akka. Made by pullkey, run {session.context.run_id}."
        try:
            with self.attempt.sending():
                created = await graph.create_application(target.unique_name, target.app_name, notes)
                if created is None:
                    raise _Exists
        except _Exists:
            # The next read shows whose it is: an unanswered request of this run may have created it.
            self.attempt.exists = self.attempt.unanswered > 0
        except AzureApiError as error:
            if is_name_taken(error):
                return await self._under_taken_name(error)
            raise
        else:
            self._object_id = created.object_id
            return created
        found = await self.read()
        if found is None:
            raise AzureApiError(404, "", "the application is not to be seen yet")
        return self._found(found)

    def _found(self, found: Application) -> Application:
        """Record an existing application: restored, created by an unanswered attempt, or another run's."""
        self._object_id = found.object_id
        ours = self.attempt.restoring is not None or self._is_of_lost_call(found, self.intent())
        self.attempt.conclude(ours=ours)
        return found

    def _is_of_lost_call(self, found: Application, intent: Intent) -> bool:
        """Whether an application is the result of an unanswered creation of this run.

        An update writes our notes too, so they alone do not say that it is ours: it must also be new.
        """
        if not (self.attempt.unanswered or intent.get("lost")) or intent["run_id"] not in found.notes:
            return False
        at = intent.get("at")
        return found.created is None or not at or found.created >= dt.datetime.fromisoformat(at) - CLOCKS

    async def _under_taken_name(self, taken: AzureApiError) -> Application:
        """The application that has our unique name: one that a read does not show yet, or a deleted one."""
        session, target = self._session, self._session.target
        graph = session.cloud.graph
        found = await self.read()
        if found is not None:
            return self._found(found)
        try:
            deleted = await graph.deleted.application(unique_name=target.unique_name)
        except AzureApiError as error:
            if not error.forbidden:
                raise
            raise messages.name_unreadable(graph, target, error) from None
        if deleted is None:
            raise taken
        if not deleted.ours:
            raise messages.name_taken(target, deleted, session.taken_name_fix(deleted))
        return await self._restore(deleted)

    async def _restore(self, deleted: DeletedApplication) -> Application:
        graph = self._session.cloud.graph
        self.attempt.restoring, self._object_id = deleted, deleted.object_id
        try:
            with self.attempt.sending():
                await graph.deleted.restore(deleted.object_id)
        except AzureApiError as error:
            if not error.forbidden:
                raise
            raise messages.not_restored(graph, deleted, error) from None
        found = await graph.application_by_app_id(deleted.app_id)
        if found is None:
            raise AzureApiError(404, "", "the restored application is not to be seen yet")
        return found

    def _creation_refused(self, error: ApiError, doing: str) -> PullkeyError:
        """Where a token does not list the permission, the first change decides: nothing exists before it."""
        token = self._session.cloud.graph_claims
        if error.code != REQUEST_DENIED or self.attempt.unanswered or claims.makes_applications(token):
            return refused(error, doing)
        who = claims.user_of(token)
        lacking = missing_permission(claims.GRAPH_RIGHT, "the directory", self.name, self.title, who)
        return Refused([lacking])

    def _application_delay(self, error: Exception) -> Delay | None:
        if isinstance(error, AzureApiError) and is_name_taken(error):
            return Delay(_NAME_KEPT, SPREADING_SECONDS)
        return busy_or_spreading(error)

    # -- undoing ---------------------------------------------------------------------------------------------

    async def undo(self, intent: Intent) -> str:
        # The ids in a journal are not trusted: the application has its unique name and the run's id.
        if principal_id := str(intent.get("principal_id") or ""):
            if intent.get("lost") and not await self._session.is_own_principal(principal_id):
                return ""
            return await self.principal.undo(principal_id)
        if intent.get("restored") or self.attempt.restoring is not None:
            self._deletion = _Deletion.BACK
            return await super().undo(intent)
        summary = await super().undo(intent)
        if summary:
            await self.principal.purge()
        return summary

    def is_known_own(self, intent: Intent) -> bool:
        return super().is_known_own(intent) and not self._perhaps_of_another_run

    @property
    def _perhaps_of_another_run(self) -> bool:
        """Whether another run may have created it between two tries of this one."""
        created = self.attempt.restoring is None and self.attempt.unanswered > 0
        return created and not self.principal.attempt.sent

    async def is_of_run(self, shown: Application, intent: Intent) -> bool:
        if self._deletion is not _Deletion.BACK:
            if not self._is_of_lost_call(shown, intent):
                return False
            # An update writes our notes too, so they name the run that wrote last, not the one that created
            # it. The creator continues with the service principal: one that exists, and that this run never
            # requested, is another run's.
            if (
                self._perhaps_of_another_run
                and await self._session.cloud.graph.principal(shown.app_id) is not None
            ):
                return False
        self._object_id = shown.object_id
        return True

    def is_same(self, shown: Application) -> bool:
        return shown.object_id == self._object_id

    @property
    def is_half_deleted(self) -> bool:
        return self._permanent is not None and self._permanent.half_done

    async def delete(self, intent: Intent) -> None:
        del intent
        graph = self._session.cloud.graph
        if self._deletion is not _Deletion.PERMANENT:
            await graph.delete_application(self._object_id)
            return
        self._permanent = self._permanent or PermanentDeletion(
            graph, self._object_id, graph.delete_application
        )
        await self._permanent()

    def is_deleted(self, error: ApiError) -> bool:
        # The deleted items show whether a permanent deletion is complete.
        return self._deletion is not _Deletion.PERMANENT and error.missing

    async def _delete(
        self,
        intent: Intent,
        missed: Callable[[ApiError], Awaitable[None]],
        is_ours: Callable[[], Awaitable[bool]] | None = None,
    ) -> bool:
        try:
            return await super()._delete(intent, missed, is_ours)
        except ApiError as error:
            if self._permanent is None or not self._permanent.half_done:
                raise
            if error.missing:
                return True  # where the deleted items show it later, the next run restores it
            raise StillThere(*self._permanent.left_over(self.called, error)) from None

    def deleted_as(self) -> str:
        if self._deletion is _Deletion.BACK:
            return f"deleted the restored {self.noun} again"
        return f"deleted {self.called}{_RESTORED_BY_THE_NEXT * (self._deletion is _Deletion.DELETED_ITEMS)}"

    def delete_command(self) -> str:
        target, known = self._session.target, self._session.known
        app_id = self._app_id or (known.app_id if known else "") or target.client_id or self._object_id
        if app_id:
            return f"az ad app delete --id {app_id}"
        return f"az ad app list --display-name {shlex.quote(target.app_name)}"

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    # -- offboarding -----------------------------------------------------------------------------------------

    async def expected(self) -> Application | None:
        return await self._session.expected_application()

    async def contradiction(self) -> str:
        session = self._session
        if await self.principal.outlives_application():
            return "it is said not to be there, and yet to have its service principal"
        if await session.is_surely_gone():
            return ""
        self._listed = session.target.client_id
        return session.not_shown

    async def removal_of(self, shown: Application) -> Removal:
        session, target = self._session, self._session.target
        self._app_id = shown.app_id
        self._listed = f"{shown.display_name} ({shown.app_id})"
        if target.app_id or shown.unique_name != target.unique_name:
            return self.to_keep("it was not created by pullkey")
        roles = await session.other_roles(shown)
        if roles:
            more = f" and {len(roles) - 1} more" if len(roles) > 1 else ""
            return self.to_keep(f"it also has a role on {place_of(roles[0])}{more}")
        return self.to_remove()

    async def remove(self) -> str:
        session = self._session
        # Reads may lag for long, but an object id belongs to one application and is never used again.
        application = await session.expected_application()
        if application is None:
            return ""
        if session.target.app_id or application.unique_name != session.target.unique_name:
            raise AssertionError("a user-supplied application is never removed")
        self._object_id, self._app_id = application.object_id, application.app_id
        self._named = application.display_name
        # In the deleted items the next onboarding finds it and restores it, and for 30 days it is seen to be
        # deleted.
        if await self._reads_deleted_items(application):
            self._deletion = _Deletion.DELETED_ITEMS
        return await super().remove()

    async def _reads_deleted_items(self, application: Application) -> bool:
        try:
            await self._session.cloud.graph.deleted.application(app_id=application.app_id)
        except AzureApiError as error:
            return not error.forbidden
        return True

    def script(self) -> Script:
        return identity_script(self._session.target, self._session.deleted_seen)
