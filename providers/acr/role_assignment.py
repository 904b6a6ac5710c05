"""The grant step of a target with `--auth-kind principal`: assign the role on the registry, under a name that
is derived from what it assigns.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from bootstrap.model import clock
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import as_sentence, refused
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.retry import Delay, read_twice, retry_while
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
from providers.acr.arm_objects import Assignment
from providers.acr.errors import AzureApiError
from providers.acr.roles import (
    MARK,
    ROLE_NAMES,
    assignment_id,
    assignment_name,
    derived_names,
    is_derived,
    place_of,
    unassign_command,
    unassign_nobody_command,
    unlocked_first,
)
from providers.acr.waits import CLOCKS, SPREADING_SECONDS, busy

if TYPE_CHECKING:
    from providers.acr.application_facts import ApplicationFacts
    from providers.acr.directory_objects import Principal
    from providers.acr.service_principal import ServicePrincipal

_UNKNOWN_SERVICE_PRINCIPAL = (
    "Azure does not know the new service principal everywhere yet; this takes up to a minute."
)


class Grant(Resource[Assignment]):
    """The role assignment. A second PUT changes its description only, and is answered alike."""

    name = StepRole.GRANT
    after = (StepRole.IDENTITY,)
    permissions = (
        "Microsoft.Authorization/roleAssignments/read",
        "Microsoft.Authorization/roleAssignments/write",
    )
    look_permissions = permissions[:1]
    undo_permissions = ("Microsoft.Authorization/roleAssignments/delete",)
    removal_permissions = (*look_permissions, *undo_permissions)
    looks = 3

    def __init__(self, session: ApplicationFacts, principal: ServicePrincipal) -> None:
        super().__init__(session)
        self._session = session
        self._principal_step = principal
        self._known_absent = False
        self._principal: Principal | None = None
        self._at: Intent = {}
        """Which assignment is undone or removed."""
        self._offboarded = self._removed_by = ""
        self._registry_deleted = False
        self._locked = False
        """Whether a lock has refused the removal."""

    @property
    def title(self) -> str:
        return f"Grant {ROLE_NAMES[self._session.role]} on the registry {self._session.target.name}"

    @property
    def noun(self) -> str:
        target = self._session.target
        return f"{self._role} of {target.app_label} on {target.name}"

    @property
    def _role(self) -> str:
        return ROLE_NAMES[self._at.get("role", self._session.role)]

    @property
    def called(self) -> str:
        return self.noun

    @property
    def offboarded(self) -> str:
        return self._offboarded or self.noun

    def deleted_as(self) -> str:
        target = self._session.target
        return f"removed {self._role} on {target.name} from {target.app_label}"

    async def read(self) -> Assignment | None:
        return await self._session.assignments.get(self._at["scope"], self._at["name"])

    @property
    def looked_for(self) -> str:
        return f"the roles on {self._session.target.name}"

    async def look_now(self) -> StepStatus:
        session = self._session
        if session.target.granted_elsewhere:
            return StepStatus(State.DONE, "comes from elsewhere")
        registry, principal = await session.registry(), await session.principal()
        if principal is None:
            return StepStatus(State.MISSING, "there is no service principal yet")
        grants = await session.grants_on(registry, principal)
        if not grants:
            return StepStatus(State.MISSING, "not granted")
        # A condition is there on purpose, so that no assignment without one is added.
        limited = all(one.condition for one in grants)
        return StepStatus(State.DONE, "granted, with a condition" if limited else "granted")

    def _grants(self, assignment: Assignment) -> bool:
        return assignment.role == self._session.role

    def judge(self, shown: Assignment) -> StepStatus:
        return StepStatus(State.DONE if self._grants(shown) else State.MISSING)

    def intent(self) -> Intent:
        session = self._session
        principal = session.known_principal.object_id if session.known_principal else ""
        return {
            **self._of_role(session.scope, principal, session.role),
            "run_id": session.context.run_id,
            "at": clock.now().isoformat(timespec="seconds"),
        }

    def _of_role(self, scope: str, principal: str, role: str) -> Intent:
        name = assignment_name(scope, principal, role)
        return {"scope": scope, "name": name, "principal": principal, "role": role}

    async def disowns(self, intent: Intent) -> str:
        registry = await self._session.registry()
        scope, role = str(intent.get("scope", "")), str(intent.get("role", ""))
        if scope.lower() != registry.id.lower():
            return f"a role on {one_line(scope)}"
        derived = assignment_name(scope, str(intent.get("principal", "")), role)
        return other_than(intent, name=derived) and f"the role assignment {one_line(str(intent['name']))}"

    # -- doing -----------------------------------------------------------------------------------------------

    async def do(self) -> Done:
        session = self._session
        self._at = self.intent()
        # A service principal that did not exist had no roles.
        self._known_absent = self._principal_step.attempt.created
        if not self._known_absent:
            try:
                if await self.read() is not None:
                    return Done("another run has just granted it", unneeded=True)
                self._known_absent = True
            except AzureApiError as error:
                session.context.trace(f"whether the role was there before cannot be seen ({error.summary})")
        try:
            made = await retry_while(
                self._assigned,
                why=self._assignment_delay,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except AzureApiError as error:
            if error.status == 409 and error.code == "RoleAssignmentExists":
                self.attempt.conclude(ours=False)
                return Done("another run has just granted it", unneeded=True)
            raise refused(error, f"grant {self._role} on {session.target.name}") from None
        created = made.created.isoformat() if made.created else ""
        return Done("", {"known_absent": self._known_absent, "answered_created": created})

    async def _assigned(self) -> Assignment:
        """The PUT's answer; where one went unanswered, what it has come to is looked for before the next
        is sent.
        """
        at = self._at
        if self.attempt.unanswered:
            with contextlib.suppress(AzureApiError):
                found = await self.read()
                if found is not None:
                    return replace(found, created=None)  # a GET's date differs from a PUT's
        mark = f"Pulls images for Akka. {MARK}, run {at['run_id']}."
        with self.attempt.sending():
            return await self._session.assignments.assign(
                at["scope"], at["name"], at["role"], at["principal"], mark
            )

    def _assignment_delay(self, error: Exception) -> Delay | None:
        if isinstance(error, AzureApiError) and error.code == "PrincipalNotFound":
            return Delay(_UNKNOWN_SERVICE_PRINCIPAL, SPREADING_SECONDS)
        return busy(error)

    # -- undoing ---------------------------------------------------------------------------------------------

    async def undo(self, intent: Intent) -> str:
        self._at = intent
        if intent.get("lost") and not await self._session.is_own_principal(intent["principal"]):
            return ""  # without its service principal it grants nothing
        return await super().undo(intent)

    def is_known_own(self, intent: Intent) -> bool:
        """Whether this run created the service principal, which no other run knows. That the PUT was answered
        201 says nothing.
        """
        return self._principal_step.attempt.created and not intent.get("lost")

    def is_own_unseen(self, intent: Intent) -> bool:
        """Whether a list and a GET before the PUT have shown no such assignment."""
        return bool(intent.get("known_absent", self._known_absent and not intent.get("lost")))

    def said_to_exist(self, intent: Intent) -> bool:
        return bool(intent.get("answered_created"))

    async def is_of_run(self, shown: Assignment, intent: Intent) -> bool:
        """Whether it has the run's id and is not older than the run's PUT, which may have written that id
        over another run's.
        """
        if not intent.get("run_id"):  # the journal of an older version
            raise self.still_there("", perhaps=True)
        if intent["run_id"] not in shown.description:
            return False
        if shown.created is None:
            return True
        if answered := intent.get("answered_created"):
            # Recorded: of what is new, the answer's date is about a second before the one that a GET shows.
            return shown.created >= dt.datetime.fromisoformat(answered)
        return shown.created >= dt.datetime.fromisoformat(intent["at"]) - CLOCKS

    async def delete(self, intent: Intent) -> bool:
        try:
            return await self._session.assignments.unassign(intent["scope"], intent["name"])
        except AzureApiError as error:
            # A deleted registry has no roles. A condition compares the role, of which there is none if there
            # is no assignment; and a lock is checked before whether there is one.
            of_no_assignment = error.missing or error.under_condition or error.locked
            if of_no_assignment and await self.read() is None:
                return False
            self._locked = error.locked
            raise

    def delete_command(self) -> str:
        at = self._at or self.intent()
        if not (self._removed_by or at["scope"]):
            return ""
        command = self._removed_by or unassign_command(assignment_id(at["scope"], at["name"]))
        return unlocked_first(command) if self._locked else command

    def still_there(self, why: str, *, perhaps: bool = False) -> StillThere:
        if not perhaps:
            return super().still_there(why)
        target = self._session.target
        what = (
            f"{self._role} on {target.name} of {target.app_label}, of which it cannot be seen whether "
            "it was there before this run"
        )
        return StillThere(what, self.delete_command())

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    # -- offboarding -----------------------------------------------------------------------------------------

    async def expected(self) -> Assignment | None:
        session = self._session
        registry, label = await session.existing_registry(), session.target.app_label
        if registry is None:
            self._registry_deleted, self._offboarded = True, f"role of {label} on {session.target.name}"
            return None
        await session.expected_application()
        # Other looks of this run may have shown it meanwhile.
        principal = self._principal = await read_twice(session.principal_now) or session.known_principal
        if principal is None:
            self._offboarded = f"role of {label} on {registry.name}"
            return None
        with as_sentence(f"show the roles on {registry.name}"):
            assigned = await session.roles_on(registry, principal)
        ours = [one for one in assigned if is_derived(one, registry.id, principal.object_id)]
        roles = [ROLE_NAMES.get(one.role, one.role) for one in ours] or [ROLE_NAMES[session.role]]
        self._offboarded = f"{' and '.join(roles)} of {label} on {registry.name}"
        return next((one for one in (*ours, *assigned) if one in ours or self._grants(one)), None)

    @property
    def absent(self) -> str:  # type: ignore[override]
        if self._registry_deleted:
            return "its registry was deleted"
        return "there is no application" if self._principal is None else "not granted"

    async def contradiction(self) -> str:
        session = self._session
        if self._principal is not None or self._registry_deleted:
            return ""
        if await session.expected_application() is None and await session.is_surely_gone():
            return ""
        registry = await session.registry()
        self._removed_by = unassign_nobody_command(registry.id, ROLE_NAMES[session.role])
        return "Graph does not show its service principal, and Azure keeps the roles of a deleted one"

    async def removal_of(self, shown: Assignment) -> Removal:
        registry = await self._session.registry()
        self._removed_by = unassign_command(shown.id)
        if self._principal is not None and is_derived(shown, registry.id, self._principal.object_id):
            return self.to_remove()
        if shown.scope.lower() != registry.id.lower():
            return self.to_keep(f"it comes from {place_of(shown)}")
        return self.to_keep("it was assigned outside of pullkey")

    async def remove(self) -> str:
        session = self._session
        registry = await session.registry()
        # Only its id is needed, so what was read before is enough: the next answer may be of a lagging
        # replica.
        principal = self._principal or await session.principal_now()
        if principal is None:
            return ""
        self._removed_by, taken = "", []
        for role in derived_names(registry.id, principal.object_id):
            self._at = self._of_role(registry.id, principal.object_id, role)
            if await self._remove(self._at):
                taken.append(ROLE_NAMES[role])
        if not taken:
            return ""
        return f"removed {' and '.join(taken)} on {registry.name} from {session.target.app_label}"

    def script(self) -> Script:
        of = (
            '--assignee-object-id "$PRINCIPAL_ID" --assignee-principal-type ServicePrincipal --role '
            '"$ROLE" --scope "$SCOPE" --output none '
            f'--description "Pulls images for Akka. {MARK}\'s runbook."'
        )
        return Script(
            do=f"find_identity\ngrant() {{ az role assignment create {of}; }}\npatiently grant",
            check='az role assignment list --assignee "$PRINCIPAL_ID" --scope "$SCOPE" '
            '--include-inherited --query "[].roleDefinitionId" --output tsv | grep "$ROLE"',
            undo='if find_identity; then az role assignment delete --assignee "$PRINCIPAL_ID" --role '
            '"$ROLE" --scope "$SCOPE"; fi',
            typed='az role assignment create --assignee-object-id "$PRINCIPAL_ID" '
            "--assignee-principal-type ServicePrincipal --role "
            f'{shlex.quote(ROLE_NAMES[self._session.role])} --scope "$SCOPE" --output none '
            f'--description "Pulls images for Akka. {MARK}, by hand."',
            why="A registry in ABAC mode does not honour AcrPull; there the role is Container Registry "
            "Repository Reader.",
        )
