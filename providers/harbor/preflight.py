"""The checks before a robot account is created: server, projects, permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.model.errors import Problem, PullkeyError, problem_of
from bootstrap.plugin.step import StepRole
from providers.harbor import messages, messages_login
from providers.harbor.api import Harbor
from providers.harbor.errors import HarborApiError
from providers.harbor.objects import Project, ServerInfo
from providers.harbor.robot import PERMISSIONS
from providers.harbor.target import HarborTarget


class HarborPreflight:
    """The checks of one target with one login. Changes nothing."""

    def __init__(self, harbor: Harbor, target: HarborTarget) -> None:
        self._harbor = harbor
        self._target = target
        self.public = ""
        """Why anyone may pull, once the projects were read; else ""."""

    async def problems(self) -> list[Problem]:
        """List everything that would prevent the creation, except permissions."""
        try:
            info = await self._harbor.info()
            if problems := self._of_server(info):
                return problems
            projects, problems = await self._projects()
            if problems:
                return problems
            self._note_public(projects)
            if self._target.level == "system" and not (
                self._harbor.login.is_admin or self._harbor.login.is_robot
            ):
                return [messages.admin_needed(self._target)]
            return await self._of_list()
        except HarborApiError as error:
            return [
                problem_of(
                    messages_login.server_unreadable(self._target.host, error),
                    step=StepRole.KEY,
                )
            ]
        except PullkeyError as error:
            return [problem_of(error, step=StepRole.KEY)]

    def _of_server(self, info: ServerInfo) -> list[Problem]:
        if info.is_too_old:
            return [
                problem_of(messages_login.server_too_old(self._target.host, info.version), step=StepRole.KEY)
            ]
        return [messages_login.read_only(self._target.host)] if info.read_only else []

    async def _projects(self) -> tuple[list[Project], list[Problem]]:
        found, problems = list[Project](), list[Problem]()
        for name in self._target.projects:
            try:
                found.append(await self._harbor.project(name))
            except HarborApiError as error:
                by_robot = self._harbor.login.is_robot
                problems.append(messages.project_not_shown(self._target, name, error, by_robot=by_robot))
        return found, problems

    def _note_public(self, projects: Sequence[Project]) -> None:
        if projects and all(one.public for one in projects):
            self.public = messages.project_public(self._target)

    async def _of_list(self) -> list[Problem]:
        """Whether the login may list robot accounts, which is needed to find one whose creation got no
        answer.
        """
        if not self._target.projects and self._target.level == "project":
            return []
        if await self.missing_permissions(PERMISSIONS):
            return []  # reported as such
        try:
            await self._harbor.robots(self._target.level, self._target.projects)
        except HarborApiError as error:
            return [messages.robots_unreadable(self._target, error)]
        return []

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str]:
        """The permissions that the login lacks on the project, each with the project.

        On the system they need no check: its administrators have all of them.
        """
        if self._target.level == "system" or not self._target.projects:
            return {}
        name = self._target.projects[0]
        held = await self._harbor.permissions(name)
        return {one: f"the project {name}" for one in permissions if one not in held}
