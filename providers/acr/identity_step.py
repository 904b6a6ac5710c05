"""The identity of an Azure target: an application and its service principal."""

from __future__ import annotations

import asyncio
import datetime as dt
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from bootstrap.codes import Code
from bootstrap.errors import StepFailed
from bootstrap.observe import Absent, Unknown, confirm_absent
from bootstrap.plugin import clock
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.resource import Attempt, NotShownYet, delete_until_gone
from bootstrap.steps import Done, Fate, Intent, Removal, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Delay, wait_out
from providers.acr.calls import AzureApiError, as_sentence, refused
from providers.acr.claims import GRAPH_RIGHT
from providers.acr.deleted_items import DeletedApplication, is_name_taken
from providers.acr.steps import (
    MAY_NOT_LOOK,
    SETTLE_SECONDS,
    SPREADING,
    SPREADING_SECONDS,
    busy,
    busy_or_spreading,
    delete_application_command,
    place_of,
)

if TYPE_CHECKING:
    from providers.acr.graph import Application, Principal
    from providers.acr.session import AcrSession

_NAME_KEPT = (
    "The directory keeps the unique name of an application that it does not show; this takes up to a minute."
)
# How long the deleted items may take to show what was just deleted. What they never show, the next run restores.
_PURGE_SECONDS = 10.0
_CLOCKS = dt.timedelta(minutes=5)  # how far two clocks may be apart for Entra to give out a token


class InDeletedItems(Exception):
    """It was deleted, and could not be deleted permanently."""

    def __init__(self, error: AzureApiError) -> None:
        super().__init__(error.said)
        self.error = error


class Identity(Step):
    """The application and its service principal: found by a mark of ours, restored, or created under it."""

    name = "identity"

    def __init__(self, session: AcrSession) -> None:
        self._session = session
        self._tried = False
        self.attempt = Attempt()
        self._principal_attempt = Attempt()
        self._restored: DeletedApplication | None = None
        self._removed = False
        if not session.target.app_id:
            self.permissions = (GRAPH_RIGHT,)

    @property
    def title(self) -> str:
        target, deleted = self._session.target, self._session.deleted_seen
        if deleted is not None and deleted.ours:
            return f"Restore the deleted application {deleted.display_name} ({deleted.app_id}) and its service principal"
        verb = "Use" if target.app_id else "Create"
        return f"{verb} the application {target.app_label} and its service principal"

    async def look(self) -> Sighting:
        session = self._session
        try:
            application = await session.application()
            if application is None:
                deleted = await session.deleted()
                if deleted is None:
                    return Sighting(State.MISSING, "does not exist")
                return Sighting(State.MISSING, f"it was deleted{deleted.when}")
            principal = await session.principal()
        except AzureApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, MAY_NOT_LOOK)
            raise refused(error, "show the application") from None
        if application.disabled:
            return Sighting(State.MISSING, f"no token is issued to it: {application.disabled}")
        if principal is None:
            return Sighting(State.MISSING, "it has no service principal")
        if principal.disabled:
            return Sighting(
                State.MISSING, f"no token is issued to its service principal: {principal.disabled}"
            )
        return Sighting(State.DONE, "exists")

    def intent(self) -> Intent:
        return {
            "unique_name": self._session.target.unique_name,
            "run_id": self._session.context.run_id,
            "at": clock.now().isoformat(timespec="seconds"),
        }

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, unique_name=self._session.target.unique_name)

    # -- doing ---------------------------------------------------------------------------------------------------

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        context = session.context
        with as_sentence(f"create the application {target.app_name}"):
            application = await wait_out(
                self._application, why=self._application_delay, deadline=context.deadline, tell=context.tell
            )
        session.has(application)
        if self._restored is not None:
            with as_sentence(f"remove the old secrets of {target.app_name}"):
                await wait_out(
                    lambda: session.remove_old_secrets(application),
                    why=busy_or_spreading,
                    deadline=context.deadline,
                    tell=context.tell,
                )
        with as_sentence(f"create the service principal of {target.app_name}"):
            principal, made = await wait_out(
                lambda: self._principal(application.app_id),
                why=self._principal_delay,
                deadline=context.deadline,
                tell=context.tell,
            )
        session.has_principal(principal)
        session.principal_made = made
        if self._restored is not None:
            made_of_it = {"object_id": application.object_id, "restored": True}
            return Done("from the deleted items of the directory", made_of_it)
        if session.application_made:
            return Done("", {"object_id": application.object_id})
        if made:
            return Done(
                "the application was there, its service principal was created",
                {"principal_id": principal.object_id},
            )
        return Done("another run has just created it", unneeded=True)

    async def _application(self) -> Application:
        session, target = self._session, self._session.target
        graph = session.cloud.graph
        # At first the look's answer will do: under a unique name nothing is made twice, and Graph says who was first.
        again, self._tried = self._tried, True
        found = await (
            graph.application_by_unique_name(target.unique_name) if again else session.application()
        )
        deleted = session.deleted_seen if found is None and not again else None
        if deleted is not None and deleted.ours:
            return await self._restore(deleted)
        if found is None:
            notes = f"Pulls images for Akka. Made by pullkey, run {session.context.run_id}."
            try:
                with self.attempt.sending():
                    made = await graph.create_application(target.unique_name, target.app_name, notes)
            except AzureApiError as error:
                if is_name_taken(error):
                    return await self._under_taken_name(error)
                raise
            if made is not None:
                session.application_made = True
                return made
            self.attempt.conclude(ours=False)  # it exists; whose it is, the next read shows
            found = await graph.application_by_unique_name(target.unique_name)
            if found is None:
                raise AzureApiError(404, "", "the application is not to be seen yet")
        session.application_made = self._restored is None and self._is_of_lost_call(found, self.intent())
        return found

    def _is_of_lost_call(self, found: Application, intent: Intent) -> bool:
        """Whether an application is that of a creation of ours without an answer.

        An update writes our notes too, so they alone do not say that it is ours: it must also be new.
        """
        if not (self.attempt.unanswered or intent.get("lost")) or intent["run_id"] not in found.notes:
            return False
        at = intent.get("at")
        return found.created is None or not at or found.created >= dt.datetime.fromisoformat(at) - _CLOCKS

    async def _under_taken_name(self, taken: AzureApiError) -> Application:
        """The application that has our unique name: one that a read does not show yet, or a deleted one."""
        session, target = self._session, self._session.target
        graph = session.cloud.graph
        found = await graph.application_by_unique_name(target.unique_name)
        if found is not None:
            session.application_made = self._is_of_lost_call(found, self.intent())
            return found
        try:
            deleted = await graph.deleted.application(unique_name=target.unique_name)
        except AzureApiError as error:
            if not error.forbidden:
                raise
            what = f"An application in the directory's deleted items has the unique name {target.unique_name}, and this login may not read them ({error.said})"
            fix = f"Have it found: `{graph.list_deleted_command(target.app_name)}`; then have it deleted permanently: `{graph.purge_command('OBJECT_ID')}`. Or pass another --app-name"
            raise StepFailed(what, fix=fix, code=Code.IDENTITY_DELETED) from None
        if deleted is None:
            raise taken
        if not deleted.ours:
            raise StepFailed(
                f"The unique name {target.unique_name} is taken by {deleted.display_name} ({deleted.object_id}) in the directory's deleted items, which pullkey has not created",
                fix=session.taken_name_fix(deleted),
                code=Code.NAME_IN_DELETED_ITEMS,
            )
        return await self._restore(deleted)

    async def _restore(self, deleted: DeletedApplication) -> Application:
        graph = self._session.cloud.graph
        self._restored = deleted
        self._session.application_restored = True
        try:
            await graph.deleted.restore(deleted.object_id)
        except AzureApiError as error:
            if not error.forbidden:
                raise
            raise StepFailed(
                f"The application {deleted.display_name} ({deleted.object_id}) is in the directory's deleted items, and this login may not restore it ({error.said})",
                fix=f"Have it restored: `{graph.restore_command(deleted.object_id)}` (it takes Application Administrator, or Application.ReadWrite.OwnedBy as its owner). Or pass another --app-name",
                code=Code.IDENTITY_DELETED,
            ) from None
        found = await graph.application_by_app_id(deleted.app_id)
        if found is None:
            raise AzureApiError(404, "", "the restored application is not to be seen yet")
        return found

    def _application_delay(self, error: Exception) -> Delay | None:
        if isinstance(error, AzureApiError) and is_name_taken(error):
            return Delay(_NAME_KEPT, SPREADING_SECONDS)
        return busy_or_spreading(error)

    async def _principal(self, app_id: str) -> tuple[Principal, bool]:
        """The service principal, and whether this run has created it."""
        graph = self._session.cloud.graph
        # An application that was made a moment ago has none, unless a try of ours went unanswered. Then there may be one
        # of another run, which `_of_another_run` must be able to tell from one that this run has asked for.
        if self.attempt.unanswered or self._principal_attempt.sent or not self._session.application_made:
            found = await graph.principal(app_id)
            if found is not None:
                return found, self._principal_attempt.may_exist
        if self._restored is not None and (deleted := await self._deleted_principal(app_id)):
            await graph.deleted.restore(deleted)
            raise AzureApiError(404, "", "the restored service principal is not to be seen yet")
        with self._principal_attempt.sending():
            return await graph.create_principal(app_id), True

    async def _deleted_principal(self, app_id: str) -> str:
        try:
            return await self._session.cloud.graph.deleted.principal(app_id)
        except AzureApiError as error:
            if error.busy:
                raise
            return ""

    def _principal_delay(self, error: Exception) -> Delay | None:
        if not isinstance(error, AzureApiError):
            return None
        new = self._session.application_made or self._restored is not None
        # 409: there is one, which is not shown yet; made by another run, or by a try of ours without an answer.
        spreading = error.status == 409 or (error.status in (400, 404) and new)
        # With Application.ReadWrite.OwnedBy an application that has not arrived is taken for another directory's.
        spreading = spreading or (error.status == 403 and new and "backing application" in error.message)
        return Delay(SPREADING, SPREADING_SECONDS) if spreading else busy(error)

    # -- undoing -------------------------------------------------------------------------------------------------

    async def undo(self, intent: Intent) -> str:
        session = self._session
        graph, name = session.cloud.graph, session.target.app_name
        object_id = ""
        # What a journal says of ids is not believed: the application bears its unique name and the run's id.
        lost = intent.get("lost")
        try:
            if intent.get("principal_id"):
                if lost and not await session.is_own_principal(intent["principal_id"]):
                    return ""
                object_id = intent["principal_id"]
                await self._delete_for_good(object_id, graph.delete_principal)
                return f"deleted the service principal of {name}"
            if intent.get("restored") or self._restored is not None:
                return await self._delete_again(intent)
            object_id = (not lost and intent.get("object_id")) or await self._made_unanswered(intent)
            if not object_id or await self._of_another_run():
                return ""
            if not await self._delete_for_good(object_id, graph.delete_application):
                if intent.get("lost"):
                    return ""  # the run that was killed had come as far as that
                raise AzureApiError(404, "", "Graph says that none exists to delete, but this run created it")
            await self._purge_principal()
        except InDeletedItems as kept:
            raise StillThere(*self._kept(name, object_id, kept)) from None
        except AzureApiError as error:
            found = session.known
            raise StillThere(
                f"the application {name} ({error.said})",
                delete_application_command(found.app_id if found else object_id),
            ) from None
        return f"deleted the application {name}"

    async def _delete_again(self, intent: Intent) -> str:
        """What was restored goes back to the deleted items, where it was."""
        session = self._session
        found = session.known
        if found is None or intent.get("lost"):
            found = await session.cloud.graph.application_by_unique_name(session.target.unique_name)
        if found is None:
            return ""  # the restoration was refused
        await self._delete(found.object_id, session.cloud.graph.delete_application)
        return f"deleted the restored application {session.target.app_name} again"

    async def _delete_for_good(self, object_id: str, delete: Callable[[str], Awaitable[None]]) -> bool:
        """Delete it, and then from the deleted items too: they would keep its name, and count against a quota.

        Returns:
            False if Graph says that there is none, here as there.

        Raises:
            AzureApiError: it could not be deleted.
            InDeletedItems: it could not be deleted permanently.
        """
        session = self._session
        graph = session.cloud.graph
        deleted_at: float | None = None
        purge_lost = False

        async def once() -> None:
            nonlocal deleted_at, purge_lost
            if deleted_at is None:
                try:
                    await delete(object_id)
                    deleted_at = clock.monotonic()
                except AzureApiError as error:
                    # Deleted by a try that went unanswered, or not known there yet: the deleted items tell.
                    if not error.missing:
                        raise
            try:
                await graph.deleted.purge(object_id)
            except AzureApiError as error:
                purge_lost = purge_lost or error.unanswered
                waited = clock.monotonic() - deleted_at if deleted_at is not None else 0.0
                if not (error.missing and (purge_lost or waited > _PURGE_SECONDS)):
                    raise
            deleted_at = deleted_at or clock.monotonic()

        try:
            await wait_out(
                once, why=busy_or_spreading, deadline=session.undo_deadline(), tell=session.context.tell
            )
        except AzureApiError as error:
            if deleted_at is not None and not error.missing:
                raise InDeletedItems(error) from None
            if not error.missing:
                raise
        return deleted_at is not None

    async def _purge_principal(self) -> None:
        """The service principal went with its application; it keeps no name, so it may as well stay where it is."""
        session = self._session
        principal = session.known_principal
        if principal is None:
            return
        try:
            await session.cloud.graph.deleted.purge(principal.object_id)
        except AzureApiError as error:
            session.context.trace(f"the deleted service principal is kept for 30 days ({error.said})")

    def _kept(self, name: str, object_id: str, kept: InDeletedItems) -> tuple[str, str]:
        graph = self._session.cloud.graph
        what = f"the application {name} ({object_id}) in the directory's deleted items, where it keeps its unique name for 30 days ({kept.error.said})"
        return what, graph.purge_command(object_id)

    async def _of_another_run(self) -> bool:
        """Whether the application, whose making was not answered, is of another run that makes the same one.

        An update of it writes our notes too, so they say who wrote last, not who was first. Whoever was first goes on to
        make its service principal: one that is there, and that this run has never asked for, is the other's.
        """
        known = self._session.known
        if not self.attempt.unanswered or self._principal_attempt.sent or known is None:
            return False
        return await self._session.cloud.graph.principal(known.app_id) is not None

    async def _made_unanswered(self, intent: Intent) -> str:
        """The application that this run has made although some call of it failed; "" if there is none."""
        session = self._session
        if session.application_made and session.known is not None:
            return session.known.object_id
        if not (self.attempt.unanswered or intent.get("lost")):
            return ""
        await asyncio.sleep(SETTLE_SECONDS)
        graph, unique_name = session.cloud.graph, intent["unique_name"]
        seen = await confirm_absent(
            lambda: graph.application_by_unique_name(unique_name),
            contradicted_by="its creation was not answered",
            deadline=session.undo_deadline(),
        )
        if isinstance(seen, Unknown):
            name = session.target.app_name
            raise StillThere(
                f"perhaps the application {name} ({seen.why})",
                f"az ad app list --display-name {shlex.quote(name)}",
            )
        if isinstance(seen, Absent) or not self._is_of_lost_call(seen.value, intent):
            return ""
        return seen.value.object_id

    # -- offboarding ---------------------------------------------------------------------------------------------

    async def removal(self) -> Removal:
        session, target = self._session, self._session.target
        what = f"application {target.app_label} and its service principal"
        application = await session.expected_application()
        command = delete_application_command(target.client_id)
        if application is None:
            if await self._has_principal():
                why = "it is said not to be there, and yet to have its service principal"
                return Removal(Fate.UNSEEN, what, why, command)
            if await session.is_surely_gone():
                return Removal(Fate.GONE, what, "there is no such application")
            what = f"application {target.client_id} and its service principal"
            return Removal(Fate.UNSEEN, what, session.not_shown, command)
        what = f"application {application.display_name} ({application.app_id}) and its service principal"
        command = delete_application_command(application.app_id)
        if target.app_id or application.unique_name != target.unique_name:
            return Removal(Fate.KEEP, what, "it was not created by pullkey", command)
        roles = await session.other_roles(application)
        if roles:
            more = f" and {len(roles) - 1} more" if len(roles) > 1 else ""
            return Removal(Fate.KEEP, what, f"it also has a role on {place_of(roles[0])}{more}", command)
        return Removal(Fate.REMOVE, what, command=command)

    async def _has_principal(self) -> bool:
        """Whether the application that Akka's record names still has a service principal, which goes with it."""
        target = self._session.target
        if target.app_id or not target.client_id:
            return False
        try:
            return await self._session.cloud.graph.principal(target.client_id) is not None
        except AzureApiError:
            return False

    async def remove(self) -> str:
        session = self._session
        # Reads may lag for long; the object id is of that application only, and what is gone is gone.
        application = await session.expected_application()
        if application is None or self._removed:
            return ""
        if session.target.app_id or application.unique_name != session.target.unique_name:
            raise AssertionError("a user-supplied application is never removed")
        name, command = application.display_name, delete_application_command(application.app_id)
        graph = session.cloud.graph
        try:
            # What the next onboarding can find there, it restores; and for 30 days it is seen to be deleted.
            if await self._reads_deleted_items(application):
                deleted = await self._delete(application.object_id, graph.delete_application)
                kept = ", which the directory keeps for 30 days; an onboarding restores it"
            else:
                deleted = await self._delete_for_good(application.object_id, graph.delete_application)
                kept = ""
            if not deleted:
                left = await session.application_now()
                if left is not None and left.object_id == application.object_id:
                    raise StillThere(
                        f"the application {name} (Graph says that none exists to delete, but shows it)",
                        command,
                    )
            self._removed = True
        except InDeletedItems as finding:
            raise StillThere(*self._kept(name, application.object_id, finding)) from None
        except AzureApiError as error:
            raise StillThere(f"the application {name} ({error.said})", command) from None
        return f"deleted the application {name}{kept}" if deleted else ""

    async def _reads_deleted_items(self, application: Application) -> bool:
        try:
            await self._session.cloud.graph.deleted.application(app_id=application.app_id)
        except AzureApiError as error:
            return not error.forbidden
        return True

    async def _delete(self, object_id: str, delete: Callable[[str], Awaitable[None]]) -> bool:
        """Delete it; False if Graph says that there is none, to a call that was not sent before."""

        async def missed(error: ApiError) -> None:
            raise NotShownYet(error)

        session = self._session
        try:
            return await delete_until_gone(
                lambda: delete(object_id),
                missed=missed,
                delay=busy,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except NotShownYet:
            return False

    def script(self) -> Script:
        if self._session.target.app_id:
            return Script(do="find_identity", check="find_identity")
        return Script(
            do=(
                'application >/dev/null 2>&1 || az rest --method PATCH --url "$APPLICATION_URL" '
                '--headers "Prefer=create-if-missing" --body "$APPLICATION" --output none\n'
                "make_principal() {\n"
                "  find_identity 2>/dev/null && return\n"
                '  az ad sp create --id "$(application)" --output none && find_identity\n'
                "}\n"
                "patiently make_principal"
            ),
            check="find_identity",
            typed=self._typed(),
            undo='az ad app delete --id "$(application)"',
            why=(
                "Not `az ad sp create-for-rbac`: on a name that exists it takes over that application and deletes every\n"
                "secret of it. A unique name, which no two applications can have, marks this one."
            ),
        )

    def _typed(self) -> str:
        show = 'az ad sp show --id "$APP_ID" --query id --output tsv'
        create = 'az ad sp create --id "$APP_ID" --query id --output tsv'
        deleted = self._session.deleted_seen
        if deleted is not None and deleted.ours:
            # Its service principal may have been restored with it.
            first = f'az rest --method POST --url "${{GRAPH%/}}/v1.0/directory/deletedItems/{deleted.object_id}/restore" --output none'
            principal = f"{show} 2>/dev/null || {create}"
        else:
            first = 'az rest --method PATCH --url "$APPLICATION_URL" --headers "Prefer=create-if-missing" --body "$APPLICATION" --output none'
            principal = create
        application = 'APP_ID="$(az rest --method GET --url "$APPLICATION_URL" --query appId --output tsv)"'
        return f'{first}\n{application}\nPRINCIPAL_ID="$({principal})"'
