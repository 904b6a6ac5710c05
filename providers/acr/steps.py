"""What is done in Azure, one class a step."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shlex
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bootstrap.codes import Code
from bootstrap.common_steps import held_link
from bootstrap.credential import Credential
from bootstrap.errors import StepFailed
from bootstrap.link import KeyLink, local_name
from bootstrap.observe import Present, confirm_absent
from bootstrap.plugin import clock
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.resource import Attempt, StillShown, delete_until_gone
from bootstrap.steps import Done, Fate, Intent, Removal, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Deadline, Delay, surely, wait_out
from bootstrap.words import one_line
from providers.acr.calls import AzureApiError, as_sentence, refused
from providers.acr.claims import GRAPH_RIGHT

if TYPE_CHECKING:
    from providers.acr.cloud import Assignment, Registry
    from providers.acr.graph import Application, NewPassword, Password, Principal
    from providers.acr.session import AcrSession

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
SETTLE_SECONDS = 4.0
_BUSY_SECONDS = 300.0
_SHOWN_SECONDS = 60.0  # how long a read may take to show a new secret
SPREADING_SECONDS = 180.0
"""How long what was just created may be unknown to some of Azure's servers: mostly a minute, at times more."""
_CLOCKS = dt.timedelta(minutes=5)  # how far two clocks may be apart for Entra to give out a token
_BUSY = "Azure is busy or briefly away; trying again."
SPREADING = "Azure does not know the new application everywhere yet; this takes up to a minute."
STILL_SHOWN = "Azure still shows a secret that it no longer knows; this takes up to a minute."
MAY_NOT_LOOK = "it may not be read"
DISPLAY_MARK = "pullkey "
"""With which the display names of pullkey's secrets begin; the run's id follows."""


def assignment_name(scope: str, principal: str, role: str) -> str:
    """The GUID under which a role is assigned, the same in every run and on every machine."""
    return str(uuid.uuid5(_NAMESPACE, f"{scope}|{principal}|{role}".lower()))


def derived_names(scope: str, principal: str) -> list[str]:
    """The names of the assignments that pullkey may have made there."""
    return list(_derived_by_role(scope, principal).values())


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


def delete_application_command(app_id: str) -> str:
    return f"az ad app delete --id {app_id}"


def place_of(assignment: Assignment) -> str:
    """Where a role is assigned, as a person would name it."""
    parts = assignment.scope.strip("/").split("/")
    if len(parts) < 2:
        return "the whole directory"
    kind = {"subscriptions": "subscription", "resourcegroups": "resource group", "registries": "registry"}
    return f"{kind.get(parts[-2].lower(), parts[-2])} {parts[-1]}"


def busy(error: Exception) -> Delay | None:
    if not isinstance(error, AzureApiError) or not error.busy:
        return None
    return Delay(_BUSY, _BUSY_SECONDS, error.retry_after)


def busy_or_spreading(error: Exception) -> Delay | None:
    if isinstance(error, AzureApiError) and error.missing:
        return Delay(SPREADING, SPREADING_SECONDS)
    return busy(error)


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
        self.attempt = Attempt()
        self._known_absent = False
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
                return Sighting(State.MISSING, "there is no service principal yet")
            granted = await session.has_role(registry, principal)
        except AzureApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, MAY_NOT_LOOK)
            raise refused(error, f"show the roles on {registry.name}") from None
        return Sighting(State.DONE, "granted") if granted else Sighting(State.MISSING, "not granted")

    def intent(self) -> Intent:
        session = self._session
        scope = session.scope
        principal = session.known_principal.object_id if session.known_principal else ""
        name = assignment_name(scope, principal, session.role)
        return {
            "scope": scope,
            "name": name,
            "principal": principal,
            "role": session.role,
            "run_id": session.context.run_id,
            "at": clock.now().isoformat(timespec="seconds"),
        }

    async def disowns(self, intent: Intent) -> str:
        registry = await self._session.registry()
        scope, role = str(intent.get("scope", "")), str(intent.get("role", ""))
        if scope.lower() != registry.id.lower():
            return f"a role on {one_line(scope)}"
        derived = assignment_name(scope, str(intent.get("principal", "")), role)
        return other_than(intent, name=derived) and f"the role assignment {one_line(str(intent['name']))}"

    async def do(self) -> Done:
        session = self._session
        wanted = self.intent()
        # To a service principal that did not exist nobody has given anything.
        self._known_absent = session.principal_made
        if not session.principal_made:
            try:
                if await session.cloud.assignment(wanted["scope"], wanted["name"]) is not None:
                    return Done("another run has just granted it", unneeded=True)
                self._known_absent = True
            except AzureApiError as error:
                session.context.trace(f"whether the role was there before cannot be seen ({error.said})")
        try:
            made = await wait_out(
                lambda: self._assigned(wanted),
                why=self._delay,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except AzureApiError as error:
            if error.status == 409 and error.code == "RoleAssignmentExists":
                self.attempt.conclude(ours=False)
                return Done("another run has just granted it", unneeded=True)
            raise refused(error, f"grant {ROLE_NAMES[wanted['role']]} on {session.target.name}") from None
        created = made.created.isoformat() if made.created else ""
        return Done("", {"known_absent": self._known_absent, "answered_created": created})

    async def _assigned(self, wanted: Intent) -> Assignment:
        """The PUT's answer; where one went unanswered, what it has come to is looked for before the next is sent."""
        cloud = self._session.cloud
        if self.attempt.unanswered:
            with contextlib.suppress(AzureApiError):
                found = await cloud.assignment(wanted["scope"], wanted["name"])
                if found is not None:
                    return replace(found, created=None)  # which is no PUT's date
        mark = f"Pulls images for Akka. Made by pullkey, run {wanted['run_id']}."
        with self.attempt.sending():
            return await cloud.assign(
                wanted["scope"], wanted["name"], wanted["role"], wanted["principal"], mark
            )

    def _delay(self, error: Exception) -> Delay | None:
        if isinstance(error, AzureApiError) and error.code == "PrincipalNotFound":
            what = "Azure does not know the new service principal everywhere yet; this takes up to a minute."
            return Delay(what, SPREADING_SECONDS)
        return busy(error)

    async def undo(self, intent: Intent) -> str:
        target = self._session.target
        if not (self.attempt.may_exist or intent.get("lost")):
            return ""
        if intent.get("lost") and not await self._session.is_own_principal(intent["principal"]):
            return ""  # without its service principal it gives nothing to anybody
        role = f"{ROLE_NAMES[intent['role']]} on {target.name}"
        ours = self._session.principal_made or await self._is_ours(intent)
        if ours is None:
            raise StillThere(
                f"{role} of {target.app_label}, of which it cannot be seen whether it was there before this run",
                _unassign(
                    f"{intent['scope']}/providers/Microsoft.Authorization/roleAssignments/{intent['name']}"
                ),
            )
        if not ours:
            return ""
        taken = await self._take(intent["scope"], intent["name"], intent["role"])
        return f"removed {role} from {target.app_label}" if taken else ""

    async def _is_ours(self, intent: Intent) -> bool | None:
        """Whether the role assignment is known to be that run's own; None where it cannot be known.

        That its PUT was answered 201 says nothing. The assignment says it itself: it bears the run's id, and is not older
        than the PUT, which may have written that id over another run's. Where it is not shown, it counts that a list and a
        GET have shown none before the PUT.
        """
        session = self._session
        absent_before = bool(intent.get("known_absent", self._known_absent and not intent.get("lost")))
        try:
            shown = await wait_out(
                lambda: surely(lambda: session.cloud.assignment(intent["scope"], intent["name"])),
                why=busy,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except AzureApiError:
            return True if absent_before else None
        answered = intent.get("answered_created")
        if shown is None:
            return True if absent_before else None if answered else False
        if not intent.get("run_id"):
            return None  # the journal of an older version
        if intent["run_id"] not in shown.description:
            return False
        if shown.created is None:
            return True
        if answered:
            # Recorded: of what is new, the answer's date is about a second before the one that a GET shows.
            return shown.created >= dt.datetime.fromisoformat(answered)
        return shown.created >= dt.datetime.fromisoformat(intent["at"]) - _CLOCKS

    async def _take(self, scope: str, name: str, role: str) -> bool:
        """Take one assignment away; False if there is none.

        Raises:
            StillThere: it could not be taken away.
        """
        session = self._session

        async def missed(error: ApiError) -> None:
            # Where the registry is gone, its roles are too.
            if await session.cloud.assignment(scope, name) is not None:
                raise StillShown(error)

        try:
            return await delete_until_gone(
                lambda: session.cloud.unassign(scope, name),
                missed=missed,
                delay=busy,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except AzureApiError as error:
            raise StillThere(
                f"{ROLE_NAMES[role]} of {session.target.app_label} on {session.target.name} ({error.said})",
                _unassign(f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"),
            ) from None

    async def removal(self) -> Removal:
        session = self._session
        registry, label = await session.registry(), session.target.app_label
        application = await session.expected_application()
        # Other looks of this run may have shown it meanwhile.
        principal = self._principal = await surely(session.principal_now) or session.known_principal
        if principal is None:
            what = f"role of {label} on {registry.name}"
            if application is None and await session.is_surely_gone():
                return Removal(Fate.GONE, what, "there is no application")
            why = "Graph does not show its service principal, and Azure keeps the roles of a deleted one"
            return Removal(Fate.UNSEEN, what, why, _unassign_nobody(registry.id, ROLE_NAMES[session.role]))
        with as_sentence(f"show the roles on {registry.name}"):
            assigned = await session.roles_on(registry, principal)
        ours = [one for one in assigned if is_derived(one, registry, principal.object_id)]
        if ours:
            roles = " and ".join(ROLE_NAMES.get(one.role, one.role) for one in ours)
            return Removal(
                Fate.REMOVE, f"{roles} of {label} on {registry.name}", command=_unassign(ours[0].id)
            )
        others = [one for one in assigned if one.role == session.role]
        what = f"{ROLE_NAMES[session.role]} of {label} on {registry.name}"
        if not others:
            return Removal(Fate.GONE, what, "not granted")
        wider = others[0].scope.lower() != registry.id.lower()
        why = f"it comes from {place_of(others[0])}" if wider else "it was assigned outside of pullkey"
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
            if await self._take(registry.id, name, role)
        ]
        return (
            f"removed {' and '.join(taken)} on {registry.name} from {session.target.app_label}"
            if taken
            else ""
        )

    def script(self) -> Script:
        of = '--assignee-object-id "$PRINCIPAL_ID" --assignee-principal-type ServicePrincipal --role "$ROLE" --scope "$SCOPE" --output none'
        return Script(
            do=f"find_identity\ngrant() {{ az role assignment create {of}; }}\npatiently grant",
            check='az role assignment list --assignee "$PRINCIPAL_ID" --scope "$SCOPE" --include-inherited --query "[].roleDefinitionId" --output tsv | grep "$ROLE"',
            undo='if find_identity; then az role assignment delete --assignee "$PRINCIPAL_ID" --role "$ROLE" --scope "$SCOPE"; fi',
            typed=f'az role assignment create --assignee-object-id "$PRINCIPAL_ID" --assignee-principal-type ServicePrincipal --role {shlex.quote(ROLE_NAMES[self._session.role])} --scope "$SCOPE" --output none',
            why="A registry in ABAC mode does not honour AcrPull; there the role is Container Registry Repository Reader.",
        )


class Key(Step):
    """One client secret beside those that are there; its display name carries the run's id."""

    name = "key"
    after = ("identity",)
    permissions = (GRAPH_RIGHT,)

    def __init__(self, session: AcrSession) -> None:
        self._session = session
        self.attempt = Attempt()

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
        except AzureApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, MAY_NOT_LOOK)
            raise refused(error, "show the application's secrets") from None
        if application is None:
            return Sighting(State.MISSING, "there is no application yet")
        link, reason = await held_link(session, session.context)
        if link is None:
            return Sighting(State.MISSING, reason)
        held = await self._shown(application, link.key_id)
        if held is None:
            return Sighting(State.MISSING, f"the secret that Akka holds, {link.key_id}, was deleted")
        if held.expired:
            return Sighting(State.MISSING, f"the secret that Akka holds, {link.key_id}, has expired")
        return Sighting(State.DONE, f"Akka holds secret {link.key_id}, which is valid")

    async def _shown(self, application: Application, key_id: str) -> Password | None:
        """The secret that Akka's record names; that it is gone is not believed of one read."""

        def of(found: Application | None) -> Password | None:
            passwords = found.passwords if found is not None else ()
            return next((one for one in passwords if one.key_id.lower() == key_id.lower()), None)

        async def again() -> Password | None:
            return of(await self._session.application_now())

        if (held := of(application)) is not None:
            return held
        seen = await confirm_absent(again, contradicted_by="Akka's record names it")
        return seen.value if isinstance(seen, Present) else None

    def intent(self) -> Intent:
        known = self._session.known
        return {
            "app_id": known.app_id if known else "",
            "object_id": known.object_id if known else "",
            "display_name": self.display_name,
        }

    async def disowns(self, intent: Intent) -> str:
        session, app_id = self._session, str(intent.get("app_id") or "")
        if not app_id:
            return ""
        with as_sentence(f"show the application {one_line(app_id)}"):
            found = await surely(lambda: session.cloud.graph.application_by_app_id(app_id))
        if found is None or (session.is_own(found) and found.object_id == intent.get("object_id")):
            return ""
        return f"the application {one_line(app_id)}"

    async def do(self) -> Done:
        session = self._session
        application = session.known
        if application is None:
            raise AssertionError("the key comes after the identity")
        answer = await self._made(application)
        if self.attempt.unanswered:
            # A call without an answer may have made one more. Reads that show the later one show the earlier one too.
            with as_sentence(f"show the secrets of {application.display_name}"):
                await self._wait_until_shown(application, answer.key_id)
                await self._remove(self.intent(), keep=answer.key_id)
        server = await session.server()
        session.credential = Credential(
            server=server,
            username=application.app_id,
            password=answer.text,
            link=KeyLink(local_name(session.target.app_name), answer.key_id, server),
            ends=answer.ends,
        )
        return Done(f"secret {answer.key_id}, expires {answer.ends:%Y-%m-%d}", {"key_id": answer.key_id})

    async def _wait_until_shown(self, application: Application, key_id: str) -> None:
        deadline = Deadline(min(_SHOWN_SECONDS, self._session.context.deadline.left / 2))
        while not deadline.passed:
            found = await self._session.cloud.graph.application_by_app_id(application.app_id)
            if found is not None and key_id in [one.key_id for one in found.passwords]:
                return
            await asyncio.sleep(min(1.0, deadline.left))

    async def _made(self, application: Application) -> NewPassword:
        """The secret, with the longest lifetime that the directory takes."""
        session, context = self._session, self._session.context
        last: AzureApiError | None = None
        for lifetime in self._lifetimes():
            if last is not None:
                context.tell(f"The directory's policy refuses that lifetime; trying {lifetime.days} days.")
            ends = clock.now() + lifetime
            try:
                return await wait_out(
                    lambda ends=ends: self._add(application, ends),  # type: ignore[misc]
                    why=self._delay,
                    deadline=context.deadline,
                    tell=context.tell,
                )
            except AzureApiError as error:
                if error.code == _NOT_ALLOWED:
                    raise StepFailed(f"A policy of the directory forbids client secrets ({error.said})", fix=NO_SECRETS, code=Code.KEYS_FORBIDDEN) from None  # fmt: skip
                if error.code != _TOO_LONG:
                    raise refused(error, f"add a secret to {session.target.app_label}") from None
                last = error
        said = last.said if last else ""
        raise StepFailed(f"The directory's policy takes no lifetime that was tried ({said})", fix="Ask the administrator of app management policies for the longest lifetime, and pass it with --expires-in.", code=Code.KEY_LIFETIME)  # fmt: skip

    def _lifetimes(self) -> Iterator[dt.timedelta]:
        first = self._session.lifetime
        yield first
        yield from (one for one in _SHORTER if one < first)

    async def _add(self, application: Application, ends: dt.datetime) -> NewPassword:
        try:
            with self.attempt.sending():
                return await self._session.cloud.graph.add_password(
                    application.object_id, self.display_name, ends
                )
        except AzureApiError as error:
            if error.unanswered:
                # It may have been made, and its text is lost: away with it before the next.
                await self._remove(self.intent(), seconds=SETTLE_SECONDS)
            raise

    def _delay(self, error: Exception) -> Delay | None:
        new = self._session.application_made or self._session.application_restored
        return busy_or_spreading(error) if new else busy(error)

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
            if key_id and not (found is None and intent.get("lost")):  # whose it is, only the journal says
                ours.add(key_id)
            for one in sorted(ours - {keep, *removed}):
                try:
                    await graph.remove_password(intent["object_id"], one)
                except AzureApiError as error:
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
        if not (key_id or self.attempt.may_exist or intent.get("lost")):
            return ""  # it was refused, or never asked for
        deadline = session.undo_deadline()
        seconds = deadline.seconds if key_id else SETTLE_SECONDS
        try:
            removed = await wait_out(
                lambda: self._remove(intent, key_id=key_id, seconds=min(seconds, deadline.left)),
                why=busy,
                deadline=deadline,
                tell=session.context.tell,
            )
        except AzureApiError as error:
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
            typed=(
                'KEY_NAME="pullkey by hand $(date -u +%Y%m%dT%H%M%SZ)"\n'
                'SECRET="$(az ad app credential reset --id "$APP_ID" --append --display-name "$KEY_NAME" --end-date "$END_DATE" --query password --output tsv)"\n'
                'KEY_ID="$(az ad app credential list --id "$APP_ID" --query "[?displayName==\'$KEY_NAME\'].keyId | [0]" --output tsv)"'
            ),
            why="--append keeps the secrets that are there; without it all of them would be deleted.",
        )


NO_SECRETS = (
    "Ask the administrator of app management policies for an exception for this application; or use an application "
    "that is exempt, with --app-id"
)
