"""Harbor's step: the robot account, which is identity, grant and key in one.

Each has a user name of its own, so a rotation creates another account beside the one that Akka holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.text import one_line
from bootstrap.plugin.cache import AsyncOnceByKey
from bootstrap.plugin.errors import ApiError, as_sentence
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Intent, Script, State, StepStatus, StillThere, other_than
from providers.harbor import messages, scripts
from providers.harbor.api import Harbor
from providers.harbor.errors import HarborApiError, busy
from providers.harbor.names import NAME_MARK, key_id_of, parts_of
from providers.harbor.objects import NewRobot, Robot
from providers.harbor.target import LINKS, HarborTarget

_DESCRIPTION = "Pulls images for Akka. Created by pullkey."
PERMISSIONS = ("robot:create", "robot:delete", "robot:list", "robot:read")


class RobotAccount(KeyResource[Robot, NewRobot]):
    """The robot account that a run creates, and all that pullkey created for the same project.

    Its name contains the run's id, so that it is found if the answer to its creation is lost; the database
    refuses a second one of that name (goharbor/harbor, make/migrations/postgresql/0004_1.8.0_schema.up.sql).
    """

    after = ()
    word = "robot account"
    permissions = PERMISSIONS
    asks_two_places = True
    undo_pauses = (1.0, 1.0, 1.0)
    most_creations = 4

    def __init__(self, session: Session, target: HarborTarget, harbor: Harbor) -> None:
        super().__init__(session)
        self._target = target
        self._harbor = harbor
        self._projects = target.projects
        self._recorded_name = ""
        self._of_records = AsyncOnceByKey(lambda _: True)

    @property
    def can_disable(self) -> bool:  # type: ignore[override]
        """Robot accounts may create and delete others, and never change one (src/common/rbac/const.go,
        `NolimitProvider`).
        """
        return not self._harbor.login.is_robot

    @property
    def title(self) -> str:
        of = "" if self._target.level == "project" else " of the system"
        return f"Create a robot account{of} that may pull from {self._target.named}"

    @property
    def _name(self) -> str:
        return f"{NAME_MARK}{self._of.context.run_id}"

    def intent(self) -> Intent:
        target = self._target
        return {
            "host": target.host,
            "level": target.level,
            "robot": self._name,
            "projects": [*self._projects],
        }

    async def disowns(self, intent: Intent) -> str:
        target = self._target
        if other := other_than(intent, host=target.host, level=target.level):
            return other
        run_id = str(intent.get("robot", "")).removeprefix(NAME_MARK)
        key_id = str(intent.get("key_id") or "")
        if key_id and run_id and parts_of(key_id) is not None and not key_id.endswith(f"-{run_id}"):
            return f"the robot account {one_line(key_id)!a}"
        return ""

    # -- which key a record of Akka's names ------------------------------------------------------------------

    async def key_of(self, record: HeldCredential) -> KeyRef | None:
        """`a,b-c` and `a-b,c` have one name in Akka, and the record of a robot account of the system does not
        contain its projects: the account is read by its id.
        """
        link = await super().key_of(record)
        if link is None or self._target.level != "system" or not self._target.projects:
            return link
        try:
            projects = await self.projects_of(link)
        except (HarborApiError, PullkeyError):
            return link
        return None if self._target.is_apart_from(projects) else link

    async def projects_of(self, link: KeyRef) -> tuple[str, ...]:
        """The projects from which the robot account of a record pulls; () if it was deleted, and without a
        login.

        Raises:
            HarborApiError, PullkeyError: it is not shown to this login, or not now.
        """
        parts = parts_of(link.key_id)
        if parts is None or not await self._harbor.may_look():
            return ()
        found = await self._of_records.of(link.key_id, lambda: self._harbor.robot(parts[0]))()
        return found.projects if found is not None and found.key_id == link.key_id else ()

    def owns(self, link: KeyRef) -> bool:
        # Akka may have cut a long e-mail, at the end of its domain.
        target = self._target
        return link.name == LINKS[target.level] and target.domain.startswith(link.domain)

    async def is_username(self, username: str, link: KeyRef) -> bool:
        """Compare the end of the name, which is the key's own; the server can change what precedes it."""
        parts = parts_of(link.key_id)
        if parts is None:
            return False
        own = f"{NAME_MARK}{parts[1]}"
        if self._target.level == "system":
            return username.endswith(own)
        projects = self._target.projects
        return username.endswith(tuple(f"{one}+{own}" for one in projects) or f"+{own}")

    def example_ref(self) -> KeyRef:
        return self._ref(key_id_of(17, self._of.context.run_id))

    def _ref(self, key_id: str) -> KeyRef:
        return KeyRef(LINKS[self._target.level], key_id, self._target.domain)

    async def recorded(self, key_id: str) -> Robot | None:
        with as_sentence(f"show {self.named(key_id)}"):
            found = await self.read(key_id)
        self._recorded_name = found.name if found else ""
        return found

    # -- the calls -------------------------------------------------------------------------------------------

    async def read(self, key_id: str) -> Robot | None:
        parts = parts_of(key_id)
        if parts is None:
            return None
        found = await self._harbor.robot(parts[0])
        if found is None:
            return next((one for one in await self._listed() if one.key_id == key_id), None)
        return found if found.key_id == key_id else None

    async def _listed(self) -> list[Robot]:
        """The robot accounts that pullkey created; empty if the list is not shown, which is read only in
        addition to a read by id.
        """
        try:
            return await self._ours()
        except HarborApiError as error:
            if error.missing or error.forbidden:
                return []
            raise

    async def _ours(self) -> list[Robot]:
        if self._target.level == "project" and not self._projects:
            return []
        return [one for one in await self._harbor.robots(self._target.level, self._projects) if one.run_id]

    def facts_of(self, shown: Robot) -> KeyFacts:
        return KeyFacts(shown.key_id, shown.created, shown.expires, disabled=shown.disabled)

    def unusable_reason(self, shown: Robot) -> str:
        if reason := super().unusable_reason(shown):
            return reason
        missing = [name for name in self._target.projects if not shown.pulls(name)]
        return f"may not pull from {', '.join(missing)}" if missing else ""

    async def why_unchecked(self) -> str:
        return "" if await self._harbor.may_look() else "not checked at Harbor without a login"

    async def look_now(self) -> StepStatus:
        found = await super().look_now()
        held = await self._of.context.held_credential()
        if found.state is not State.DONE or held is None or not self._recorded_name:
            return found
        if held.username in ("", self._recorded_name):
            return found
        key_id = held.link.key_id if held.link is not None else ""
        return StepStatus(State.MISSING, messages.renamed(key_id, self._recorded_name, held.username))

    async def prepare(self) -> None:
        if not self._projects:
            self._projects = await self._as_held()

    async def _as_held(self) -> tuple[str, ...]:
        """The projects of the robot account that Akka holds, for its replacement."""
        held = await self._of.context.held_credential()
        link = held.link if held is not None else None
        found = await self.recorded(link.key_id) if link is not None and self.owns(link) else None
        if found is None or not found.projects:
            raise messages.replaced_scope_unknown(self._target.host)
        return found.projects

    async def before_creation(self) -> None:
        if self.attempt.unanswered:
            # A request without an answer may have been carried out only now.
            await self.delete_lost(self.intent())

    async def create(self) -> NewRobot:
        target = self._target
        return await self._harbor.create(self._name, target.level, self._projects, target.days, _DESCRIPTION)

    def id_of(self, answer: NewRobot) -> str:
        return answer.robot.key_id

    async def credential_of(self, answer: NewRobot) -> Credential:
        return Credential(
            server=self._target.server,
            username=answer.robot.name,
            password=answer.secret,
            link=self._ref(answer.robot.key_id),
            expires=answer.robot.expires,
        )

    async def send_deletion(self, key_id: str) -> None:
        """Delete it by its number, after checking that the number is still this account's."""
        parts = parts_of(key_id)
        found = await self._harbor.robot(parts[0]) if parts is not None else None
        if found is None or found.key_id != key_id:
            raise HarborApiError(404, f"there is no {self.named(key_id)}", "NOT_FOUND")
        await self._harbor.delete(found.number)

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        found = await self.read(key_id)
        if found is None:
            raise HarborApiError(404, f"there is no {self.named(key_id)}", "NOT_FOUND")
        await self._harbor.switch(found, on=on)

    async def of_run(self, intent: Intent) -> Sequence[str]:
        run_id = str(intent["robot"]).removeprefix(NAME_MARK)
        if not self._projects:
            self._projects = tuple(map(str, intent.get("projects", ())))
        return [one.key_id for one in await self._ours() if one.run_id == run_id]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        if not await self._harbor.may_look():
            return []
        with as_sentence(f"list the robot accounts of {self._target.label}"):
            return [self.facts_of(one) for one in await self._ours() if not one.expired]

    # -- errors and texts ------------------------------------------------------------------------------------

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    def creation_delay(self, error: Exception) -> Delay | None:
        if isinstance(error, HarborApiError) and error.exists and self.attempt.unanswered:
            return Delay(messages.LATE_ANSWER)
        return busy(error)

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        return messages.creation_refused(self._target, error, by_robot=self._harbor.login.is_robot)

    def named(self, key_id: str) -> str:
        return f"robot account {key_id}"

    def shown_as(self, key_id: str) -> str:
        return self.named(key_id) if key_id else f"the robot accounts of {self._target.label}"

    def created_as(self, answer: NewRobot) -> str:
        found = answer.robot
        until = f"expires {found.expires:%Y-%m-%d}" if found.expires else "does not expire"
        return f"{found.name}, {until}"

    def held_as(self, key_id: str) -> str:
        return self.named(key_id)

    def still_there(self, intent: Intent, why: str) -> StillThere:
        return messages.robot_still_there(self._target, intent, why, self.delete_command)

    def delete_command(self, key_id: str) -> str:
        return scripts.delete_command(self._target, key_id)

    def script(self) -> Script:
        return scripts.creation(self._target)
