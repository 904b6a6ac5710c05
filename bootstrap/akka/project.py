"""The CLI's login, and the project that a command is about."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field, replace

from bootstrap.akka import messages
from bootstrap.akka.output import is_absence, json_in, parse_projects
from bootstrap.akka.runner import AkkaRunner, CliAnswer
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.errors import Problem, PullkeyError, StepFailed, UsageProblem

# Possessive patterns that start at a boundary take time linear in the length of the text.
_VERSION = re.compile(r"(?<!\d)\d++\.\d++\.\d++")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]++")
_ID = re.compile(r"^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")
# Release notes: CLI 3.0.4 "Changed Docker credentials commands"; before it a credential was known by a UUID.
_NAMED_SECRETS = (3, 0, 4)


@dataclass
class ProjectLookup(AkkaRunner):
    """Reads the CLI's version and login, and the project's names. Successful answers are kept."""

    _project: CliAnswer | None = field(default=None, init=False, repr=False)
    """The answer of `akka projects get`."""
    _login: CliAnswer | None = field(default=None, init=False, repr=False)
    """The answer of `akka auth current-login`."""

    async def preflight(self, *, of_project: bool = True) -> list[Problem]:
        """Check that the CLI is installed and logged in and, with `of_project`, that it sees the project."""
        if shutil.which(self.program) is None:
            return [messages.cli_missing(self.program)]
        version, login, project = await asyncio.gather(
            self.version(),
            self._login_answer(),
            self._project_answer(),
        )
        if version is not None and tuple(map(int, version.split("."))) < _NAMED_SECRETS:
            return [messages.cli_too_old(version)]
        if login.code != 0:
            return [messages.not_logged_in(login.error_text, os.environ.get("PULLKEY_AKKA_TOKEN_FILE", ""))]
        return [await self._project_problem(project)] if of_project and project.code != 0 else []

    async def _project_problem(self, answer: CliAnswer) -> Problem:
        """The problem of a project that Akka does not show, with similar names of projects that it shows."""
        if not is_absence(answer.error_text):
            return messages.project_not_shown(self.scope, answer.error_text)
        names: list[str] = []
        with contextlib.suppress(StepFailed, UsageProblem):
            names = [
                f"{one.owner}/{one.project}" if self.scope.owner else one.project
                for one in await self.projects()
            ]
        return messages.project_not_found(self.scope, _email_in(self._login), names)

    async def version(self) -> str | None:
        """The CLI's version; None if it cannot be read."""
        answer = await self._read(["version"])
        found = _VERSION.search(answer.out + answer.err)
        return found[0] if answer.code == 0 and found else None

    async def login(self) -> str:
        """The e-mail of the logged-in user; "" if it cannot be read. The output's form is not documented."""
        return _email_in(await self._login_answer())

    async def _login_answer(self) -> CliAnswer:
        if self._login is None or self._login.code != 0:
            self._login = await self._read(["auth", "current-login"])
        return self._login

    async def _project_answer(self) -> CliAnswer:
        if self._project is None or self._project.code != 0:
            self._project = await self._read(
                ["projects", "get", *self.scope.arguments(with_region=False), "-o", "json"]
            )
        return self._project

    async def projects(self) -> list[AkkaScope]:
        """The projects that the login can see, each as a scope.

        Raises:
            StepFailed: the CLI did not list them, or in an unknown form.
        """
        answer = await self._read(["projects", "list", "-o", "json"])
        if answer.code != 0:
            raise messages.command_failed("akka projects list", answer.error_text)
        return parse_projects(answer.out, self.scope.context)

    async def project_name(self) -> str:
        """The project's name, read from the CLI if it was not typed; "" if it cannot be read."""
        if self.scope.project:
            return self.scope.project
        return _project_in(await self._project_answer()).project

    async def shown(self) -> AkkaScope:
        """`resolved`, once the project has been read; as it was typed if Akka does not show it."""
        with contextlib.suppress(PullkeyError):
            await self._project_answer()
        return self.resolved

    @property
    def resolved(self) -> AkkaScope:
        """The scope with project, owner and user, as far as they have been read. Makes no call."""
        found = _project_in(self._project)
        return replace(
            self.scope,
            current="" if self.scope.project else found.project,
            current_owner="" if self.scope.owner else found.owner,
            user=_email_in(self._login),
            shown_owner=found.owner,
            shown_project=found.project,
        )

    async def place(self, secret_name: str) -> str:
        """The identification of an Akka secret on every machine; "" if Akka does not show the names in it."""
        if shutil.which(self.program) is not None:
            with contextlib.suppress(StepFailed):
                await self._project_answer()
        return self.resolved.place_everywhere(secret_name)

    async def resolve(self) -> AkkaScope:
        """Read project and login, unless the preflight has read them, and return `resolved`."""
        if shutil.which(self.program) is not None:
            with contextlib.suppress(StepFailed):
                await asyncio.gather(self._project_answer(), self._login_answer())
        return self.resolved

    async def scope_by_name(self) -> AkkaScope:
        """The scope with the names that identify a journal and its locks.

        The CLI is called only for its current project, and for a project or owner that was typed as an id.
        """
        typed = (self.scope.project, self.scope.owner)
        if (not self.scope.project or any(map(_ID.match, typed))) and shutil.which(self.program) is not None:
            with contextlib.suppress(StepFailed):
                await self._project_answer()
        return self.resolved


def _email_in(answer: CliAnswer | None) -> str:
    """The e-mail in the output of `akka auth current-login`, whose form is not documented."""
    found = _EMAIL.search(answer.out) if answer is not None and answer.code == 0 else None
    return found[0] if found else ""


def _project_in(answer: CliAnswer | None) -> AkkaScope:
    """The project in the output of `akka projects get`; an empty scope if it cannot be parsed."""
    # A notice may precede it.
    document = json_in(answer.out)[1] if answer is not None and answer.code == 0 else None
    found = parse_projects(json.dumps([document])) if isinstance(document, dict) else []
    return found[0] if found else AkkaScope()
