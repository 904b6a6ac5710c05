"""What is done in Azure, one class a step."""

from __future__ import annotations

import asyncio
import datetime as dt
import shlex
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from bootstrap.common_steps import held_link
from bootstrap.credential import Credential
from bootstrap.errors import StepFailed
from bootstrap.link import KeyLink, local_name
from bootstrap.steps import Done, Fate, Intent, Removal, Script, Sighting, State, Step, StillThere
from bootstrap.waiting import Deadline, Tell, surely, wait_out
from providers.acr.calls import CallRefused, as_sentence, refused
from providers.acr.claims import GRAPH_RIGHT

if TYPE_CHECKING:
    from providers.acr.cloud import Assignment, Registry
    from providers.acr.graph import Application, NewPassword, Principal
    from providers.acr.session import AcrSession

T = TypeVar("T")
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
REPOSITORY_READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
ROLE_NAMES = {ACR_PULL: "AcrPull", REPOSITORY_READER: "Container Registry Repository Reader"}

# Of Entra's "app management policies", as they show in the answer to `addPassword`.
_TOO_LONG = "CredentialInvalidLifetimeAsPerAppPolicy"
_NOT_ALLOWED = "CredentialTypeNotAllowedAsPerAppPolicy"
# Tried in turn where the directory refuses a lifetime without saying what it would take.
_SHORTER = tuple(dt.timedelta(days=days) for days in (180, 90, 60, 30, 7))

# The name of a role assignment is derived from what it assigns; this must never change.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "role-assignments.pullkey")
_SETTLE_SECONDS = 4.0
_BUSY = "Azure is busy or briefly away; trying again."
_SPREADING = "Azure does not know the new application everywhere yet; this takes up to a minute."
STILL_SHOWN = "Azure still shows a secret that it no longer knows; this takes up to a minute."
_MAY_NOT_LOOK = "it may not be read"
DISPLAY_MARK = "pullkey "
"""With which the display names of pullkey's secrets begin; the run's id follows."""


def assignment_name(scope: str, principal: str, role: str) -> str:
    """The GUID under which a role is assigned, the same in every run and on every machine."""
    return str(uuid.uuid5(_NAMESPACE, f"{scope}|{principal}|{role}".lower()))


def _derived_by_role(scope: str, principal: str) -> dict[str, str]:
    """What pullkey calls its assignments there, by role; a registry may have changed its mode since."""
    return {role: assignment_name(scope, principal, role) for role in ROLE_NAMES}


def is_derived(assignment: Assignment, registry: Registry, principal: str) -> bool:
    """Whether an assignment is one that pullkey has made on this registry."""
    return (
        assignment.scope.lower() == registry.id.lower()
        and assignment.name in _derived_by_role(registry.id, principal).values()
    )


def _unassign(assignment: str) -> str:
    return f"az role assignment delete --ids {shlex.quote(assignment)}"


def _unassign_nobody(scope: str, role: str) -> str:
    """Takes a role away from whoever is no more; `az` shows no name of theirs."""
    whose = f"[?principalName=='' && roleDefinitionName=='{role}'].id"
    return f'az role assignment delete --ids $(az role assignment list --scope {shlex.quote(scope)} --query "{whose}" --output tsv)'


def _delete_application(app_id: str) -> str:
    return f"az ad app delete --id {app_id}"


def _place(assignment: Assignment) -> str:
    """Where a role is assigned, as a person would name it."""
    parts = assignment.scope.strip("/").split("/")
    if len(parts) < 2:
        return "the whole directory"
    kind = {"subscriptions": "subscription", "resourcegroups": "resource group", "registries": "registry"}
    return f"{kind.get(parts[-2].lower(), parts[-2])} {parts[-1]}"


def busy(error: Exception) -> str | None:
    return _BUSY if isinstance(error, CallRefused) and error.busy else None


def busy_or_spreading(error: Exception) -> str | None:
    if isinstance(error, CallRefused) and error.missing:
        return _SPREADING
    return busy(error)


async def take_away(
    delete: Callable[[], Awaitable[T]],
    shown: Callable[[], Awaitable[object]],
    *,
    deadline: Deadline,
    tell: Tell,
) -> T | None:
    """Delete something; None if there is none, which is believed where Azure does not show it either.

    Args:
        delete: deletes it.
        shown: what Azure shows of it, or nothing.
        deadline: until when to try.
        tell: told what is waited for.

    Raises:
        CallRefused: it is still there.
    """

    async def once() -> T | None:
        try:
            return await delete()
        except CallRefused as error:
            if not error.missing:
                raise
            if not await shown():
                return None
            raise CallRefused(404, "", "Azure says that there is none to delete, and shows it") from None

    return await wait_out(once, why=_busy_or_unknown, deadline=deadline, tell=tell)


def _busy_or_unknown(error: Exception) -> str | None:
    if isinstance(error, CallRefused) and error.missing:
        return "Not every server of Azure's knows what is to be deleted; trying again."
    return busy(error)


class Identity(Step):
    """The application and its service principal: found by a mark of ours, or created under it."""

    name = "identity"

    def __init__(self, session: AcrSession) -> None:
        self._session = session
        self._tried = False
        self._lost = False
        self._principal_sent = False
        self._seen: Application | None = None
        if not session.target.app_id:
            self.permissions = (GRAPH_RIGHT,)

    @property
    def title(self) -> str:
        verb = "Use" if self._session.target.app_id else "Create"
        return f"{verb} the application {self._session.target.app_label} and its service principal"

    async def look(self) -> Sighting:
        try:
            if await self._session.application() is None:
                return Sighting(State.MISSING, "there is none")
            if await self._session.principal() is None:
                return Sighting(State.MISSING, "it has no service principal")
        except CallRefused as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, _MAY_NOT_LOOK)
            raise refused(error, "show the application") from None
        return Sighting(State.DONE, "it is there")

    def intent(self) -> Intent:
        return {"unique_name": self._session.target.unique_name, "run_id": self._session.context.run_id}

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        context = session.context
        with as_sentence(f"create the application {target.app_name}"):
            application = await wait_out(
                self._application, why=busy_or_spreading, deadline=context.deadline, tell=context.tell
            )
        session.has(application)
        with as_sentence(f"create the service principal of {target.app_name}"):
            principal, made = await wait_out(
                lambda: self._principal(application.app_id),
                why=self._delay,
                deadline=context.deadline,
                tell=context.tell,
            )
        session.has_principal(principal)
        if session.application_made:
            return Done("created", {"object_id": application.object_id})
        if made:
            return Done("created the service principal", {"principal_id": principal.object_id})
        return Done("somebody else has just made it")

    async def _application(self) -> Application:
        session, target = self._session, self._session.target
        graph = session.cloud.graph
        run_id = session.context.run_id
        # At first the look's answer will do: under a unique name nothing is made twice, and Graph says who was first.
        again, self._tried = self._tried, True
        found = await (
            graph.application_by_unique_name(target.unique_name) if again else session.application()
        )
        if found is None:
            notes = f"Pulls images for Akka. Made by pullkey, run {run_id}."
            try:
                made = await graph.create_application(target.unique_name, target.app_name, notes)
            except CallRefused as error:
                self._lost = self._lost or error.unanswered
                raise
            if made is not None:
                session.application_made = True
                return made
            found = await graph.application_by_unique_name(target.unique_name)
            if found is None:
                raise CallRefused(404, "", "the application is not to be seen yet")
        # Our notes on it say that it is ours only if a creation of ours went unanswered: an update writes them too.
        session.application_made = self._lost and run_id in found.notes
        return found

    async def _principal(self, app_id: str) -> tuple[Principal, bool]:
        graph = self._session.cloud.graph
        # An application that was made a moment ago has none, unless a try of ours went unanswered. Then there may be one
        # of another run, which `_of_another_run` must be able to tell from one that this run has asked for.
        if self._lost or self._principal_sent or not self._session.application_made:
            found = await graph.principal(app_id)
            if found is not None:
                return found, False
        self._principal_sent = True
        return await graph.create_principal(app_id), True

    def _delay(self, error: Exception) -> str | None:
        if not isinstance(error, CallRefused):
            return None
        # 409: it was made by a try of ours without an answer, and is not to be seen yet.
        spreading = error.status in (400, 404, 409) and self._session.application_made
        # With Application.ReadWrite.OwnedBy an application that has not arrived is taken for another directory's.
        spreading = spreading or (
            error.status == 403 and self._session.application_made and "backing application" in error.message
        )
        return _SPREADING if spreading else busy(error)

    async def undo(self, intent: Intent) -> str:
        session = self._session
        graph, name = session.cloud.graph, session.target.app_name
        try:
            if intent.get("principal_id"):
                await self._gone(lambda: graph.delete_principal(intent["principal_id"]))
                return f"deleted the service principal of {name}"
            object_id = intent.get("object_id") or await self._made_unanswered(intent)
            if not object_id or await self._of_another_run():
                return ""
            await self._gone(lambda: graph.delete_application(object_id))
        except CallRefused as error:
            found = session.known
            raise StillThere(
                f"the application {name} ({error.said})",
                _delete_application(found.app_id if found else intent.get("object_id", "")),
            ) from None
        return f"deleted the application {name}"

    async def _application_now(self) -> Application | None:
        """The application; that there is none is believed the second time, since it may be left behind."""
        return await surely(self._session.application_now)

    async def removal(self) -> Removal:
        session, target = self._session, self._session.target
        what = f"application {target.app_label} and its service principal"
        application = await self._application_now()
        if application is None:
            if await self._has_principal():
                why = "it is said not to be there, and yet to have its service principal"
                return Removal(Fate.UNSEEN, what, why, _delete_application(target.client_id))
            return Removal(Fate.GONE, what, "there is no such application")
        what = f"application {application.display_name} ({application.app_id}) and its service principal"
        command = _delete_application(application.app_id)
        if target.app_id or application.unique_name != target.unique_name:
            return Removal(Fate.KEEP, what, "pullkey has not made it", command)
        self._seen = application
        roles = await session.other_roles(application)
        if roles:
            more = f" and {len(roles) - 1} more" if len(roles) > 1 else ""
            return Removal(Fate.KEEP, what, f"it also has a role on {_place(roles[0])}{more}", command)
        return Removal(Fate.REMOVE, what, command=command)

    async def _has_principal(self) -> bool:
        """Whether the application that Akka's record names still has a service principal, which goes with it."""
        target = self._session.target
        if target.app_id or not target.client_id:
            return False
        try:
            return await self._session.cloud.graph.principal(target.client_id) is not None
        except CallRefused:
            return False

    async def remove(self) -> str:
        session = self._session
        # Reads may lag for long; the object id is of that application only, and what is gone is gone.
        application = await self._application_now() or self._seen
        if application is None:
            return ""
        if session.target.app_id or application.unique_name != session.target.unique_name:
            raise AssertionError("an application that was given is never removed")
        try:
            deleted = await self._gone(lambda: session.cloud.graph.delete_application(application.object_id))
        except CallRefused as error:
            raise StillThere(
                f"the application {application.display_name} ({error.said})",
                _delete_application(application.app_id),
            ) from None
        if not deleted:
            left = await session.application_now()
            if left is not None and left.object_id == application.object_id:
                raise StillThere(f"the application {application.display_name} (Graph says that there is none to delete, and shows it)", _delete_application(application.app_id))  # fmt: skip
        return (
            f"deleted the application {application.display_name}, which the directory's bin keeps for 30 days"
        )

    async def _of_another_run(self) -> bool:
        """Whether the application, whose making was not answered, is of another run that makes the same one.

        An update of it writes our notes too, so they say who wrote last, not who was first. Whoever was first goes on to
        make its service principal: one that is there, and that this run has never asked for, is the other's.
        """
        known = self._session.known
        if not self._lost or self._principal_sent or known is None:
            return False
        return await self._session.cloud.graph.principal(known.app_id) is not None

    async def _made_unanswered(self, intent: Intent) -> str:
        """The application that this run has made although some call of it failed; "" if there is none."""
        session = self._session
        if session.application_made and session.known is not None:
            return session.known.object_id
        if not (self._lost or intent.get("lost")):
            return ""
        await asyncio.sleep(_SETTLE_SECONDS)
        found = await session.cloud.graph.application_by_unique_name(intent["unique_name"])
        return found.object_id if found is not None and intent["run_id"] in found.notes else ""

    async def _gone(self, delete: Callable[[], Awaitable[None]]) -> bool:
        """Delete; what was made a moment ago may not be found at first, and what stays missing is gone.

        Returns whether it was found.
        """
        try:
            await wait_out(
                delete,
                why=busy_or_spreading,
                deadline=self._session.undo_deadline(),
                tell=self._session.context.tell,
            )
        except CallRefused as error:
            if not error.missing:
                raise
            return False
        return True

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
            typed=f"az ad app create --display-name {shlex.quote(self._session.target.app_name)}\naz ad sp create --id APP_ID",
            undo='az ad app delete --id "$(application)"',
            why=(
                "Not `az ad sp create-for-rbac`: on a name that exists it takes over that application and deletes every\n"
                "secret of it. A unique name, which no two applications can have, marks this one."
            ),
        )


class Grant(Step):
    """The role on the registry, under a name that is derived from what it grants."""

    name = "grant"
    after = ("identity",)
    permissions = (
        "Microsoft.Authorization/roleAssignments/read",
        "Microsoft.Authorization/roleAssignments/write",
    )

    def __init__(self, session: AcrSession) -> None:
        self._session = session
        self._seen_missing = False
        self._may_be_made = False
        self._principal: Principal | None = None

    @property
    def title(self) -> str:
        return f"Grant {ROLE_NAMES[self._session.role]} on the registry {self._session.target.name}"

    async def look(self) -> Sighting:
        session = self._session
        registry = await session.registry()
        try:
            principal = await session.principal()
            if principal is None:
                self._seen_missing = True
                return Sighting(State.MISSING, "there is no service principal yet")
            granted = await session.has_role(registry, principal)
        except CallRefused as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, _MAY_NOT_LOOK)
            raise refused(error, f"show the roles on {registry.name}") from None
        self._seen_missing = not granted
        return (
            Sighting(State.DONE, "it has it") if granted else Sighting(State.MISSING, "it does not have it")
        )

    def intent(self) -> Intent:
        session = self._session
        scope = session.scope
        principal = session.known_principal.object_id if session.known_principal else ""
        name = assignment_name(scope, principal, session.role)
        return {"scope": scope, "name": name, "principal": principal, "role": session.role}

    async def do(self) -> Done:
        session = self._session
        wanted = self.intent()

        async def assign() -> bool:
            try:
                new = await session.cloud.assign(
                    wanted["scope"], wanted["name"], wanted["role"], wanted["principal"]
                )
            except CallRefused as error:
                self._may_be_made = self._may_be_made or error.unanswered
                raise
            # Where it was missing before, an update means that a try of ours went unanswered.
            self._may_be_made = new or self._seen_missing
            return self._may_be_made

        try:
            made = await wait_out(
                assign, why=self._delay, deadline=session.context.deadline, tell=session.context.tell
            )
        except CallRefused as error:
            if error.status == 409 and error.code == "RoleAssignmentExists":
                return Done("it has it now")
            raise refused(error, f"grant {ROLE_NAMES[wanted['role']]} on {session.target.name}") from None
        return Done("granted", {}) if made else Done("it has it now")

    def _delay(self, error: Exception) -> str | None:
        if isinstance(error, CallRefused) and error.code == "PrincipalNotFound":
            return "Azure does not know the new service principal everywhere yet; this takes up to a minute."
        return busy(error)

    async def undo(self, intent: Intent) -> str:
        if not (self._may_be_made or intent.get("lost")):
            return ""
        target = self._session.target
        taken = await self._take(intent["scope"], intent["name"], intent["role"], intent["principal"])
        return f"took {ROLE_NAMES[intent['role']]} on {target.name} from {target.app_label}" if taken else ""

    async def _take(self, scope: str, name: str, role: str, principal: str) -> bool:
        """Take one assignment away; False if there is none.

        Raises:
            StillThere: it could not be taken away.
        """
        session = self._session

        async def shown() -> bool:
            try:
                assigned = await session.cloud.assignments(await session.registry(), principal)
            except CallRefused as error:
                if error.missing:
                    return False  # the registry is gone, and its roles with it
                raise
            return any(one.name == name for one in assigned)

        try:
            taken = await take_away(
                lambda: session.cloud.unassign(scope, name),
                shown,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except CallRefused as error:
            raise StillThere(
                f"{ROLE_NAMES[role]} of {session.target.app_label} on {session.target.name} ({error.said})",
                _unassign(f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"),
            ) from None
        return bool(taken)

    async def removal(self) -> Removal:
        session = self._session
        registry, label = await session.registry(), session.target.app_label
        # Other looks of this run may have shown it meanwhile.
        principal = self._principal = await surely(session.principal_now) or session.known_principal
        if principal is None:
            what = f"role of {label} on {registry.name}"
            application = await session.application_now()
            if application is None:
                return Removal(Fate.GONE, what, "there is no application")
            why = "Graph does not show its service principal, and Azure keeps the roles of one that is gone"
            return Removal(Fate.UNSEEN, what, why, _unassign_nobody(registry.id, ROLE_NAMES[session.role]))
        with as_sentence(f"show the roles on {registry.name}"):
            assigned = await session.cloud.assignments(registry, principal.object_id)
        ours = [one for one in assigned if is_derived(one, registry, principal.object_id)]
        if ours:
            roles = " and ".join(ROLE_NAMES.get(one.role, one.role) for one in ours)
            return Removal(
                Fate.REMOVE, f"{roles} of {label} on {registry.name}", command=_unassign(ours[0].id)
            )
        others = [one for one in assigned if one.role == session.role]
        what = f"{ROLE_NAMES[session.role]} of {label} on {registry.name}"
        if not others:
            return Removal(Fate.GONE, what, "it does not have it")
        wider = others[0].scope.lower() != registry.id.lower()
        why = f"it comes from {_place(others[0])}" if wider else "somebody else assigned it"
        return Removal(Fate.KEEP, what, why, _unassign(others[0].id))

    async def remove(self) -> str:
        session = self._session
        registry = await session.registry()
        # What was seen before is good for its id, and the next answer may be of a server that lags.
        principal = self._principal or await session.principal_now()
        if principal is None:
            return ""
        taken = [
            ROLE_NAMES[role]
            for role, name in _derived_by_role(registry.id, principal.object_id).items()
            if await self._take(registry.id, name, role, principal.object_id)
        ]
        return (
            f"took {' and '.join(taken)} on {registry.name} from {session.target.app_label}" if taken else ""
        )

    def script(self) -> Script:
        of = '--assignee-object-id "$PRINCIPAL_ID" --assignee-principal-type ServicePrincipal --role "$ROLE" --scope "$SCOPE" --output none'
        return Script(
            do=f"find_identity\ngrant() {{ az role assignment create {of}; }}\npatiently grant",
            check='az role assignment list --assignee "$PRINCIPAL_ID" --scope "$SCOPE" --include-inherited --query "[].roleDefinitionId" --output tsv | grep "$ROLE"',
            undo='if find_identity; then az role assignment delete --assignee "$PRINCIPAL_ID" --role "$ROLE" --scope "$SCOPE"; fi',
            typed=f"az role assignment create --assignee-object-id PRINCIPAL_ID --assignee-principal-type ServicePrincipal --role {shlex.quote(ROLE_NAMES[self._session.role])} --scope REGISTRY_ID",
            why="A registry in ABAC mode does not honour AcrPull; there the role is Container Registry Repository Reader.",
        )


class Key(Step):
    """One client secret beside those that are there; its display name carries the run's id."""

    name = "key"
    after = ("identity",)
    permissions = (GRAPH_RIGHT,)

    def __init__(self, session: AcrSession) -> None:
        self._session = session
        self._sent = False
        self._lost = False

    @property
    def title(self) -> str:
        return f"Add a client secret to {self._session.target.app_label}"

    @property
    def display_name(self) -> str:
        """Of the secrets of this run."""
        return f"{DISPLAY_MARK}{self._session.context.run_id}"

    async def look(self) -> Sighting:
        session = self._session
        try:
            application = await session.application()
        except CallRefused as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, _MAY_NOT_LOOK)
            raise refused(error, "show the application's secrets") from None
        if application is None:
            return Sighting(State.MISSING, "there is no application yet")
        link, reason = await held_link(session, session.context)
        if link is None:
            return Sighting(State.MISSING, reason)
        held = [one for one in application.passwords if one.key_id.lower() == link.key_id.lower()]
        if not held:
            return Sighting(State.MISSING, f"the secret that Akka holds, {link.key_id}, is gone")
        if held[0].ends is not None and held[0].ends <= dt.datetime.now(dt.UTC):
            return Sighting(State.MISSING, f"the secret that Akka holds, {link.key_id}, has expired")
        return Sighting(State.DONE, f"Akka holds secret {link.key_id}, which is good")

    def intent(self) -> Intent:
        known = self._session.known
        return {
            "app_id": known.app_id if known else "",
            "object_id": known.object_id if known else "",
            "display_name": self.display_name,
        }

    async def do(self) -> Done:
        session = self._session
        application = session.known
        if application is None:
            raise AssertionError("the key comes after the identity")
        answer = await self._made(application)
        if self._lost:
            # A call without an answer may have made one more, which has become visible only now.
            with as_sentence(f"show the secrets of {application.display_name}"):
                await self._remove(self.intent(), keep=answer.key_id)
        server = await session.server()
        session.credential = Credential(
            server=server,
            username=application.app_id,
            password=answer.text,
            link=KeyLink(local_name(session.target.app_name), answer.key_id, server),
            ends=answer.ends,
        )
        return Done(
            f"added secret {answer.key_id}, good until {answer.ends:%Y-%m-%d}", {"key_id": answer.key_id}
        )

    async def _made(self, application: Application) -> NewPassword:
        """The secret, with the longest lifetime that the directory takes."""
        session, context = self._session, self._session.context
        last: CallRefused | None = None
        for lifetime in self._lifetimes():
            if last is not None:
                context.tell(f"The directory's policy refuses that lifetime; trying {lifetime.days} days.")
            ends = dt.datetime.now(dt.UTC) + lifetime
            try:
                return await wait_out(
                    lambda ends=ends: self._add(application, ends),  # type: ignore[misc]
                    why=self._delay,
                    deadline=context.deadline,
                    tell=context.tell,
                )
            except CallRefused as error:
                if error.code == _NOT_ALLOWED:
                    raise StepFailed(f"A policy of the directory forbids client secrets ({error.said})", mend=NO_SECRETS) from None  # fmt: skip
                if error.code != _TOO_LONG:
                    raise refused(error, f"add a secret to {session.target.app_label}") from None
                last = error
        said = last.said if last else ""
        raise StepFailed(f"The directory's policy takes no lifetime that was tried ({said})", mend="Ask whoever administers app management policies which one it takes, and give it with --expires-in.")  # fmt: skip

    def _lifetimes(self) -> Iterator[dt.timedelta]:
        first = self._session.lifetime
        yield first
        yield from (one for one in _SHORTER if one < first)

    async def _add(self, application: Application, ends: dt.datetime) -> NewPassword:
        self._sent = True
        try:
            return await self._session.cloud.graph.add_password(
                application.object_id, self.display_name, ends
            )
        except CallRefused as error:
            if error.unanswered:
                # It may have been made, and its text is lost: away with it before the next.
                self._lost = True
                await self._remove(self.intent(), seconds=_SETTLE_SECONDS)
            raise

    def _delay(self, error: Exception) -> str | None:
        return busy_or_spreading(error) if self._session.application_made else busy(error)

    async def _remove(
        self, intent: Intent, *, keep: str = "", key_id: str = "", seconds: float = 0.0
    ) -> list[str]:
        """Remove the secrets of this run, which its display name tells from everybody else's.

        Args:
            intent: whose, and which display name.
            keep: one that stays.
            key_id: one that is known to have been made, whether it can be seen yet or not.
            seconds: how long to look for what cannot be seen yet.
        """
        graph, deadline = self._session.cloud.graph, Deadline(seconds)
        removed: list[str] = []
        while True:
            found = await graph.application_by_app_id(intent["app_id"])
            seen = found.passwords if found is not None else ()
            ours = {one.key_id for one in seen if one.display_name == intent["display_name"]}
            for one in sorted((ours | ({key_id} if key_id else set())) - {keep, *removed}):
                try:
                    await graph.remove_password(intent["object_id"], one)
                except CallRefused as error:
                    # Gone, or not there yet.
                    if error.status not in (400, 404):
                        raise
                else:
                    removed.append(one)
            if deadline.passed or (removed and key_id in ("", *removed)):
                return removed
            await asyncio.sleep(min(1.0, deadline.left))

    async def undo(self, intent: Intent) -> str:
        session = self._session
        if not intent["app_id"] or (session.application_made and not intent.get("identity_stays")):
            return ""  # it goes with the application, which this run made and now removes
        key_id = intent.get("key_id", "")
        unsure = self._lost or not self._sent
        deadline = session.undo_deadline()
        seconds = deadline.seconds if key_id else _SETTLE_SECONDS if unsure else 0.0
        try:
            removed = await wait_out(
                lambda: self._remove(intent, key_id=key_id, seconds=min(seconds, deadline.left)),
                why=busy,
                deadline=deadline,
                tell=session.context.tell,
            )
        except CallRefused as error:
            app_id = intent["app_id"]
            command = (
                f"az ad app credential delete --id {app_id} --key-id {key_id}"
                if key_id
                else f"az ad app credential list --id {app_id} --query \"[?displayName=='{intent['display_name']}']\""
            )
            raise StillThere(f"the secret {key_id or intent['display_name']} of {app_id} ({error.said})", command) from None  # fmt: skip
        return f"removed secret {', '.join(removed)} of {intent['app_id']}" if removed else ""

    def script(self) -> Script:
        return Script(
            do=(
                "find_identity\n"
                'KEY_NAME="pullkey runbook $(date -u +%Y%m%dT%H%M%SZ)"\n'
                'SECRET="$(az ad app credential reset --id "$APP_ID" --append --display-name "$KEY_NAME" '
                '--end-date "$END_DATE" --query password --output tsv)"\n'
                "find_key() {\n"
                '  KEY_ID="$(az ad app credential list --id "$APP_ID" '
                '--query "[?displayName==\'$KEY_NAME\'].keyId | [0]" --output tsv)"\n'
                '  [ -n "$KEY_ID" ]\n'
                "}\n"
                "patiently find_key\n"
                'echo "The secret is $KEY_ID"'
            ),
            check='[ -n "$SECRET" ] && [ -n "$KEY_ID" ]',
            undo='if [ -n "${KEY_ID:-}" ]; then az ad app credential delete --id "$(application)" --key-id "$KEY_ID"; fi',
            typed='az ad app credential reset --id APP_ID --append --end-date "$END_DATE"',
            why="--append keeps the secrets that are there; without it all of them would be deleted.",
        )


NO_SECRETS = (
    "Ask whoever administers app management policies for an exception for this application; or have one made that is "
    "exempt, and name it with --app-id"
)
