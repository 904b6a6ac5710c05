"""One Harbor target, open: its one step, and the facts that the checks share with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import Problem, PullkeyError, Refused
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import missing_permission
from bootstrap.plugin.registry import Confidential
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Notice, PreflightFindings, is_pending
from providers.harbor import messages, scripts
from providers.harbor.api import Harbor
from providers.harbor.errors import HarborApiError
from providers.harbor.image_choice import ImageChoice
from providers.harbor.preflight import HarborPreflight
from providers.harbor.robot import PERMISSIONS, RobotAccount
from providers.harbor.target import HarborTarget

_ROLE = "the role Project Admin"


class HarborSession(Session):
    """See `bootstrap.plugin.session.Session`."""

    retire_permissions = ("robot:delete",)

    def __init__(self, target: HarborTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.harbor = Harbor(context, target.host, target.user, target.login, login_for=target.login_for)
        self._preflight = HarborPreflight(self.harbor, target)
        self._image = ImageChoice(self.harbor, target)
        self._robot = RobotAccount(self, target, self.harbor)
        self.key, self.steps = self._robot, [self._robot]

    # -- as `bootstrap.plugin.session.Session` ---------------------------------------------------------------

    async def connect(self) -> str:
        user, host = self.target.user, self.target.host
        if not await self.harbor.may_look():
            return f"{user} at {host}, not logged in" if user else f"no user at {host}"
        await self.harbor.log_in()
        return f"{user} at {host}"

    def redact(self, text: str) -> str:
        secrets = Confidential()
        if self.harbor.login.secret is not None:
            secrets.add_login(self.target.user, self.harbor.login.secret)
        if self.credential is not None:
            secrets.add_login(self.credential.username, self.credential.password)
        return secrets.clean(text)

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return self.target.server

    async def other_place(self, held: HeldCredential) -> str:
        """`my.app` and `my-app` have one name in Akka, and so have `a,b-c` and `a-b,c`. The projects of a
        robot account of the system are read by its id; where that is not possible, it is another place.
        """
        try:
            found = HarborTarget.held(held, {})
        except PullkeyError:
            return ""
        if not found.projects and held.link is not None:
            try:
                found = replace(found, projects=await self._robot.projects_of(held.link))
            except (HarborApiError, PullkeyError):
                return messages.of_projects_not_shown(found.host, held.link.key_id)
        return found.label if self.target.is_apart_from(found.projects) else ""

    async def unconfirmed(self, held: HeldCredential) -> str:
        """The projects of a robot account of the system are not in its record."""
        if self.target.level != "system" or not self.target.projects or await self.harbor.may_look():
            return ""
        return messages.projects_not_known(self.target)

    async def identity(self) -> str:
        return self.target.label

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        if not await self.harbor.may_look():
            return {}  # checked after the prompt
        try:
            return await self._preflight.missing_permissions(permissions)
        except (HarborApiError, PullkeyError):
            return {}  # the preflight reports what prevents it

    def role_with(self, permission: str) -> str:
        return _ROLE if permission in PERMISSIONS else ""

    async def probe(self) -> Probe:
        return await self._image.probe()

    async def image_reader(self) -> Credential | None:
        """The login: it reads the images that it may see, in OIDC mode with the CLI secret."""
        password = self.harbor.login.secret
        if password is None:
            return None
        return Credential(self.target.server, self.target.user, password, KeyRef("", "", ""))

    async def preflight(self) -> PreflightFindings:
        findings = PreflightFindings()
        if await is_pending(self._robot) and await self.harbor.may_look():
            findings.problems += await self._preflight.problems()
            findings.public = self._preflight.public
            if why := (await self._image.choice()).why:
                findings.notices.append(Notice(why))
        return findings

    async def prompt_secrets(self) -> None:
        """Prompt for the login that creates the robot account, and check it before any change.

        Raises:
            UsageProblem: there is no terminal.
            Refused: Harbor does not accept the login, or not for this.
        """
        if await self.harbor.may_look():
            return  # checked already
        await self.harbor.log_in()
        problems = await self._preflight.problems() or await self._missing()
        if problems:
            raise Refused(problems)
        if why := (await self._image.choice()).why:
            self.context.tell(why)

    async def _missing(self) -> list[Problem]:
        found = await self.missing_permissions(PERMISSIONS) or {}
        who = await self.connect()
        return [
            missing_permission(one, on, self._robot.name, self._robot.title, who, self.role_with(one))
            for one, on in found.items()
        ]

    async def diagnose(self, attempt: PullAttempt) -> str:
        if attempt.verdict is Verdict.REJECTED and "PROJECTPOLICYVIOLATION" in attempt.detail:
            return messages.policy_refuses(await self._project_of_image())
        if (
            attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT)
            or not await self.harbor.may_look()
        ):
            return ""
        held = self.credential or await self.context.held_credential()
        if held is None or held.link is None:
            return ""
        try:
            shown = await self._robot.read(held.link.key_id)
        except (HarborApiError, PullkeyError):
            return ""
        if shown is None:
            return messages.SHOWN_DELETED
        if shown.disabled:
            return messages.SHOWN_DISABLED
        if shown.expired:
            return messages.SHOWN_EXPIRED
        if shown.name != held.username:
            return messages.shown_with_other_name(shown.name)
        project = await self._project_of_image()
        if project and not shown.pulls(project):
            return messages.shown_without_project(project)
        return messages.shown_valid(self.target.host)

    async def _project_of_image(self) -> str:
        return (await self.probe()).repository.partition("/")[0]

    # -- scripts ---------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        return scripts.variables(self.target)

    def script_preamble(self) -> str:
        return scripts.preamble(self.target)

    @property
    def script_credential(self) -> Mapping[str, str]:
        return scripts.credential(self.target)
