"""The `akka` command, as far as registry credentials need it.

The CLI is closed source; its generated reference is what is known. Each thing that the reference leaves open
sits behind one small function here: `parse_credentials`, `_password_argument`, `AkkaCli.remove_credentials`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bootstrap.akka.process import OUTPUT_LIMIT, PrintedTooMuch, TookTooLong, run_group
from bootstrap.akka.refusals import ChangeRefused, is_refusal
from bootstrap.akka.scope import AkkaScope
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import OutcomeUnknown, Problem, ProblemKind, StepFailed, UsageProblem
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.secret import Secret
from bootstrap.model.text import one_line
from bootstrap.plugin.retry import read_twice

if TYPE_CHECKING:
    from bootstrap.akka.services import PullFailure, Service
from bootstrap.akka.output import (
    _SHOWN,
    PrintsWithoutEnd,
    Unreadable,
    merge_regions,
    parse_credentials,
    parse_projects,
)

_CALL_SECONDS = 60


_SEARCHED = 1 << 16


# Each pattern takes time in proportion to the length of what it is given: none begins in the middle of what
# it would take.
_VERSION = re.compile(r"(?<!\d)\d++\.\d++\.\d++")


_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]++")


# Release notes: CLI 3.0.4 "Changed Docker credentials commands"; before it a credential was known by a UUID.
_NAMED_SECRETS = (3, 0, 4)


# What a call is made again for.
_PASSING = (
    "code = Unavailable",
    "code = DeadlineExceeded",
    "code = ResourceExhausted",
    "code = Internal",
    "code = Aborted",
)


_PAUSES = (0.5, 2.0)


_ID = re.compile(r"^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")


_ASKED = 2  # times to remove what Akka says is not there, and lists


_INSTALL = "https://doc.akka.io/operations/cli/installation.html"


@dataclass(frozen=True)
class Answer:
    """What the CLI printed, and how it ended. It has no argv: one of them carries a password."""

    code: int
    out: str
    err: str
    again: bool = False
    """Whether it answers a call that was made before, and got no answer, or one that may pass."""

    @property
    def passes(self) -> bool:
        """Whether it is a failure that may pass by itself."""
        return self.code != 0 and any(reason in self.complaint for reason in _PASSING)

    @property
    def complaint(self) -> str:
        """The CLI's own words on what went wrong, in one line."""
        return one_line(self.err.strip() or self.out.strip() or f"exit code {self.code}", 400)


@dataclass
class AkkaCli:
    """Runs `akka`, one direct child a call, no shell.

    Args:
        scope: the project.
        deadline: of the run.
        trace: takes one line per call, without its arguments.
        program: the executable; `PULLKEY_AKKA_CLI`, else `akka` on the path.
        lock: the descriptor of a lock that a command which changes something holds too, as long as it runs.
    """

    scope: AkkaScope
    deadline: Deadline
    trace: Callable[[str], None]
    program: str = field(default_factory=lambda: os.environ.get("PULLKEY_AKKA_CLI") or "akka")
    lock: Callable[[], int | None] = lambda: None
    _project: Answer | None = field(default=None, init=False, repr=False)
    """What Akka has said of the project: whether it is seen, its name and owner."""
    _login: Answer | None = field(default=None, init=False, repr=False)
    """What the CLI has said of who is logged in."""

    # -- reading ---------------------------------------------------------------------------------------------

    async def preflight(self, *, of_project: bool = True) -> list[Problem]:
        """Whether the CLI is there, logged in, and sees the project, where one is meant."""
        if shutil.which(self.program) is None:
            return [
                Problem(
                    ProblemKind.SETUP,
                    f"The Akka CLI is not installed: {self.program!r} is not on the path",
                    f"Install it ({_INSTALL}) and log in with: akka auth login",
                    code=Code.AKKA_CLI_MISSING,
                )
            ]
        version, login, seen = await asyncio.gather(
            self.version(),
            self._asked_login(),
            self._asked_project(),
        )
        if version is not None and tuple(map(int, version.split("."))) < _NAMED_SECRETS:
            return [
                Problem(
                    ProblemKind.SETUP,
                    f"The Akka CLI {version} is too old: it cannot name a credential",
                    f"Install 3.0.4 or newer: {_INSTALL}",
                    code=Code.AKKA_CLI_OLD,
                )
            ]
        if login.code != 0:
            return [
                Problem(
                    ProblemKind.SETUP,
                    f"The Akka CLI is not logged in ({login.complaint})",
                    "Run: akka auth login (in CI: set AKKA_TOKEN)",
                    code=Code.AKKA_LOGIN_MISSING,
                )
            ]
        return [await self._no_project(seen)] if of_project and seen.code != 0 else []

    async def _no_project(self, seen: Answer) -> Problem:
        """The one answer of every command to a project that Akka does not show, with the nearest that it
        does show.
        """
        named = "/".join(filter(None, (self.scope.owner, self.scope.project)))
        if not is_absence(seen.complaint):
            what = f"Akka project {named}" if named else "the Akka CLI's current project"
            return Problem(
                ProblemKind.SETUP,
                f"Akka cannot show {what}: {seen.complaint}",
                "Run it again in a while; see `akka projects list`",
                code=Code.AKKA_FAILED,
            )
        names: list[str] = []
        with contextlib.suppress(StepFailed, UsageProblem):
            names = [
                f"{one.owner}/{one.project}" if self.scope.owner else one.project
                for one in await self.projects()
            ]
        user = _email_in(self._login)
        what = (
            f"There is no Akka project {named}" if named else "The Akka CLI's current project does not exist"
        )
        fix = (
            f"{nearest_or_all(named, names)} Name it with --akka-project (and --akka-owner); see `akka "
            "projects list`"
        )
        return Problem(
            ProblemKind.SETUP,
            f"{what} that {user or 'this login'} can see",
            fix.strip(),
            code=Code.AKKA_PROJECT_NOT_FOUND,
        )

    async def version(self) -> str | None:
        """The CLI's version, or None if it does not say."""
        answer = await self._read(["version"])
        found = _VERSION.search(answer.out + answer.err)
        return found[0] if answer.code == 0 and found else None

    async def login(self) -> str:
        """The e-mail of who is logged in; "" if the CLI does not tell. What it prints is not documented."""
        return _email_in(await self._asked_login())

    async def _asked_login(self) -> Answer:
        if self._login is None or self._login.code != 0:
            self._login = await self._read(["auth", "current-login"])
        return self._login

    async def credentials(self) -> list[HeldCredential]:
        """What Akka has for this project, in the region of the scope, or else as all the regions show it.

        Raises:
            StepFailed: the CLI did not list them, or in no form that is known.
        """
        scope = [*self.scope.arguments(), *([] if self.scope.region else ["--all-regions"])]
        answer = await self._read(["docker", "list-credentials", *scope, "-o", "json"])
        if answer.code == 0:
            with contextlib.suppress(Unreadable):
                return merge_regions(parse_credentials(answer.out))
        # Before 3.0.4 there was no JSON output for it.
        answer = await self._read(["docker", "list-credentials", *scope])
        if answer.code != 0:
            raise StepFailed(
                f"akka docker list-credentials failed: {answer.complaint}", code=Code.AKKA_FAILED
            )
        # How an empty list looks is not published: silence in both forms, at exit code 0, is taken for one.
        return merge_regions(parse_credentials(answer.out)) if answer.out.strip() else []

    async def credentials_with(self, names: Collection[str]) -> list[HeldCredential]:
        """As `credentials`; where one of the names is not listed, the list is read again, since one list may
        lag.

        Raises:
            StepFailed: the CLI did not list them.
        """
        return await self._credentials_with(lambda held: {one.name for one in held}.issuperset(names))

    async def credentials_with_any(self, is_wanted: Callable[[HeldCredential], bool]) -> list[HeldCredential]:
        """The same, where none that is wanted is listed.

        Raises:
            StepFailed: the CLI did not list them.
        """
        return await self._credentials_with(lambda held: any(map(is_wanted, held)))

    async def _credentials_with(
        self, expected: Callable[[Sequence[HeldCredential]], bool]
    ) -> list[HeldCredential]:
        shown: list[HeldCredential] = []

        async def as_expected() -> bool | None:
            nonlocal shown
            shown = await self.credentials()
            return expected(shown) or None

        await read_twice(as_expected)
        return shown

    async def projects(self) -> list[AkkaScope]:
        """The projects that this login sees, each as the scope in which to ask about it.

        Raises:
            StepFailed: the CLI did not list them.
        """
        answer = await self._read(["projects", "list", "-o", "json"])
        if answer.code != 0:
            raise StepFailed(f"akka projects list failed: {answer.complaint}", code=Code.AKKA_FAILED)
        return parse_projects(answer.out, self.scope.context)

    async def exported_services(self) -> list[Service]:
        """The services of the project, with their images.

        Raises:
            StepFailed: the CLI shows none of them in a form that is known.
        """
        from bootstrap.akka.services import parse_export, parse_services

        answer = await self._read(["projects", "export", *self.scope.arguments(with_region=False)])
        if answer.code == 0 and (found := parse_export(answer.out)):
            return found
        # Older CLIs cannot export; and what an export looks like is documented for one version.
        listed = await self._read(["services", "list", *self.scope.arguments(), "-o", "json"])
        if listed.code != 0:
            raise StepFailed(
                f"Akka does not show the services of {self.scope.label} ({listed.complaint})",
                code=Code.AKKA_FAILED,
            )
        return [one for one in parse_services(listed.out) if one.image]

    async def services(self) -> list[Service]:
        """The services of the project, with what Akka calls their state.

        Raises:
            StepFailed: the CLI did not list them.
        """
        from bootstrap.akka.services import parse_services

        answer = await self._read(["services", "list", *self.scope.arguments(), "-o", "json"])
        if answer.code != 0:
            raise StepFailed(f"akka services list failed: {answer.complaint}", code=Code.AKKA_FAILED)
        return parse_services(answer.out)

    async def service(self, name: str) -> tuple[Service | None, list[PullFailure]]:
        """One service, and which of its containers have no image; None if there is none of that name.

        Raises:
            StepFailed: the CLI did not show it.
        """
        from bootstrap.akka.services import parse_service

        answer = await self._read(["services", "get", name, *self.scope.arguments(), "-o", "json"])
        if answer.code != 0:
            if is_absence(answer.complaint):
                return None, []
            raise StepFailed(f"akka services get failed: {answer.complaint}", code=Code.AKKA_FAILED)
        return parse_service(answer.out)

    async def _asked_project(self) -> Answer:
        if self._project is None or self._project.code != 0:
            self._project = await self._read(
                ["projects", "get", *self.scope.arguments(with_region=False), "-o", "json"]
            )
        return self._project

    async def project_name(self) -> str:
        """The project's name, asked where the CLI's configuration decides; "" if it does not tell."""
        if self.scope.project:
            return self.scope.project
        return _project_in(await self._asked_project()).project

    @property
    def resolved(self) -> AkkaScope:
        """The scope, with project, owner and user as far as Akka was asked for them; asks nobody."""
        found = _project_in(self._project)
        return replace(
            self.scope,
            current="" if self.scope.project else found.project,
            current_owner="" if self.scope.owner else found.owner,
            user=_email_in(self._login),
            shown_owner=found.owner,
            shown_project=found.project,
        )

    async def resolve(self) -> AkkaScope:
        """The same, once Akka was asked. The answers are those of the preflight, which asks no second
        time.
        """
        if shutil.which(self.program) is not None:
            with contextlib.suppress(StepFailed):
                await asyncio.gather(self._asked_project(), self._asked_login())
        return self.resolved

    async def scope_by_name(self) -> AkkaScope:
        """The scope, with the names of project and owner where they are needed to find a journal and its
        locks.

        A name that was typed is one; the CLI's current project and what was typed as an id are asked for.
        """
        typed = (self.scope.project, self.scope.owner)
        if (not self.scope.project or any(map(_ID.match, typed))) and shutil.which(self.program) is not None:
            with contextlib.suppress(StepFailed):
                await self._asked_project()
        return self.resolved

    def elsewhere(self, scope: AkkaScope) -> AkkaCli:
        """The same CLI for another project."""
        return AkkaCli(scope, self.deadline, self.trace, self.program)

    def anew(self) -> AkkaCli:
        """This project's CLI, which shares no listing that was made before."""
        return self

    async def credential(self, secret_name: str) -> HeldCredential | None:
        """The one of this name, or None."""
        return next((held for held in await self.credentials() if held.name == secret_name), None)

    # -- changing --------------------------------------------------------------------------------------------

    async def add_credentials(self, secret_name: str, credential: Credential) -> None:
        """`akka docker add-credentials`: makes or replaces the secret, and adds it to the project.

        Raises:
            ChangeRefused: the CLI said no, and has written nothing.
            StepFailed: it ended with an error. It may have written the secret, the project's configuration,
                or both.
            OutcomeUnknown: it did not end in time.
        """
        arguments = [
            "docker",
            "add-credentials",
            f"--secret-name={secret_name}",
            f"--docker-server={credential.server}",
            f"--docker-username={credential.username}",
            f"--docker-email={credential.email}",
            *self.scope.arguments(),
        ]
        answer = await self._change(arguments, password=credential.password)
        if answer.code != 0:
            # An earlier try, whose answer was lost, may have written all the same.
            refused = not answer.again and is_refusal(answer.complaint)
            failed = f"akka docker add-credentials failed: {answer.complaint}"
            raise ChangeRefused(failed) if refused else StepFailed(failed, code=Code.AKKA_FAILED)

    async def remove_credentials(self, secret_name: str) -> bool:
        """Remove the project's reference, and then the secret itself. Already gone is success.

        Returns whether there was either of them.

        Raises:
            StepFailed: the CLI did not remove them.
        """
        reference = await self.remove_reference(secret_name)
        return await self.remove_secret(secret_name) or reference

    async def remove_reference(self, secret_name: str) -> bool:
        """Remove it from the project's registry configuration; the secret stays. Already gone is success.

        Returns whether there was one.

        Raises:
            StepFailed: the CLI did not remove it.
        """
        for _ in range(_ASKED):
            try:
                if await self._remove_reference(secret_name):
                    return True
            except StepFailed:
                # It may have been done all the same: look, before somebody is told that it was not.
                if await read_twice(lambda: self.credential(secret_name)) is not None:
                    raise
                return True
            if await self.credential(secret_name) is None:
                return False
        raise StepFailed(
            f"akka docker remove-credentials says that there is no {secret_name}, and "
            "list-credentials lists it",
            code=Code.AKKA_OUTPUT,
        )

    async def _remove_reference(self, secret_name: str) -> bool:
        """False if Akka says that there was none."""
        scope = self.scope.arguments()
        answer = await self._change(["docker", "remove-credentials", secret_name, *scope])
        if answer.code != 0 and "unknown command" in answer.complaint:
            # The guide still says `delete-credentials`; CLIs before 3.0.4 know only that.
            answer = await self._change(["docker", "delete-credentials", secret_name, *scope])
        return _removed(answer, "akka docker remove-credentials")

    async def remove_secret(self, secret_name: str) -> bool:
        """Delete the secret itself. Already gone is success. Returns whether there was one.

        Raises:
            StepFailed: the CLI did not delete it.
        """
        for _ in range(_ASKED):
            answer = await self._change(self._removal(secret_name))
            if _removed(answer, "akka secrets delete"):
                return True
            if not await self.lists_secret(secret_name):
                return False
        raise StepFailed(
            f"akka secrets delete says that there is no {secret_name}, and akka secrets list lists it",
            code=Code.AKKA_OUTPUT,
        )

    def secret_removal(self, secret_name: str) -> str:
        """The command that deletes a secret by hand."""
        return shlex.join(["akka", *self._removal(secret_name)])

    def _removal(self, secret_name: str) -> list[str]:
        return ["secrets", "delete", secret_name, *self.scope.arguments()]

    async def lists_secret(self, secret_name: str) -> bool:
        """Whether `akka secrets list` names one, in whatever form it prints; False where it does not say."""
        answer = await self._read(["secrets", "list", *self.scope.arguments()])
        return answer.code == 0 and secret_name in re.split(r"[^A-Za-z0-9.-]+", answer.out)

    # -- running ---------------------------------------------------------------------------------------------

    async def _read(self, arguments: Sequence[str]) -> Answer:
        answer = await self._run(arguments)
        for pause in _PAUSES:
            if not answer.passes or self.deadline.left <= pause:
                break
            await asyncio.sleep(pause)
            answer = await self._run(arguments)
        return answer

    async def _change(self, arguments: Sequence[str], *, password: Secret | None = None) -> Answer:
        """Run a command that changes something, and again where its answer was lost or Akka is busy.

        All of them come to the same however often they are done: to register is to create or replace, and
        what is gone already is removed.

        Raises:
            OutcomeUnknown: it did not end in time.
        """
        again = False
        for pause in (*_PAUSES, None):
            try:
                answer = await self._run(arguments, password=password, changes=True)
            except PrintsWithoutEnd:
                raise
            except OutcomeUnknown:
                if pause is None or self.deadline.left <= pause:
                    raise
            else:
                if not answer.passes or pause is None or self.deadline.left <= pause:
                    return replace(answer, again=again)
            again = True
            await asyncio.sleep(pause)
        raise AssertionError("the last try either returns or raises")

    async def _run(
        self, arguments: Sequence[str], *, password: Secret | None = None, changes: bool = False
    ) -> Answer:
        """Run the CLI once. The password, if any, is added at the last moment and to nothing that could be
        printed.
        """
        # If this process is killed the CLI goes on, and may register a key later than the next run would
        # look.
        lock = self.lock() if changes else None
        flags = [f"--timeout={_CALL_SECONDS}s", "--disable-prompt"]
        if self.scope.context:
            flags.append(f"--context={self.scope.context}")
        told = f"akka {' '.join(arguments[:2])}"
        begin = clock.monotonic()
        seconds = self.deadline.clip(_CALL_SECONDS + 10.0)
        try:
            ended = await run_group(
                [self.program, *arguments, *flags],
                password=None if password is None else _password_argument(password),
                env={**os.environ, "AKKA_DISABLE_PROMPTS": "true"},
                seconds=seconds,
                lock=lock,
            )
        except FileNotFoundError:
            raise UsageProblem(
                f"The Akka CLI is not installed: {self.program!r} is not on the path",
                fix=f"Install it: {_INSTALL}",
                code=Code.AKKA_CLI_MISSING,
            ) from None
        except (OSError, ValueError) as error:
            # The text of this error can hold the arguments.
            raise StepFailed(
                f"{told} could not be started ({type(error).__name__})", code=Code.AKKA_FAILED
            ) from None
        except TookTooLong:
            raise OutcomeUnknown(
                f"{told} did not end within {seconds:.0f} s and was stopped", code=Code.AKKA_TIMEOUT
            ) from None
        except PrintedTooMuch:
            raise PrintsWithoutEnd(
                f"{told} printed more than {OUTPUT_LIMIT >> 20} MiB and was stopped",
                fix="See what it prints; `akka` may be another program than the Akka CLI.",
                code=Code.AKKA_OUTPUT,
            ) from None
        self.trace(f"{told} exit {ended.code} {(clock.monotonic() - begin) * 1000:.0f} ms")
        out, err = (stream.decode(errors="replace") for stream in (ended.out, ended.err))
        if password is not None:
            # Before anything is joined: a piece of the password would not be recognised.
            out, err = _redacted(out, password), _redacted(err, password)
        return Answer(ended.code, out, err)


def _email_in(answer: Answer | None) -> str:
    """The e-mail that `akka auth current-login` prints, whose form is not documented."""
    found = _EMAIL.search(answer.out) if answer is not None and answer.code == 0 else None
    return found[0] if found else ""


def _project_in(answer: Answer | None) -> AkkaScope:
    """The project that `akka projects get` shows; an empty scope where it cannot be read."""
    try:
        document = json.loads(answer.out) if answer is not None and answer.code == 0 else None
    except ValueError:
        document = None
    found = parse_projects(json.dumps([document])) if isinstance(document, dict) else []
    return found[0] if found else AkkaScope()


def _redacted(text: str, password: Secret) -> str:
    """The beginning of what the CLI printed, without the password; more than that nobody is shown."""
    found = password.redact(text[:_SEARCHED])
    # At the cut a piece may stand that is too short to be recognised.
    return found if len(text) <= _SEARCHED else found[:-_SHOWN]


def _password_argument(password: Secret) -> tuple[str, Secret]:
    """The only documented way to hand a password over; one argument, so that one beginning with `-` is no
    flag.
    """
    return "--docker-password=", password


def is_absence(complaint: str) -> bool:
    """Whether the CLI says that there is nothing of a name. Its words are not documented."""
    return any(word in complaint.lower() for word in ("not found", "does not exist", "no such", "notfound"))


def _removed(answer: Answer, told: str) -> bool:
    """False if Akka says that there was nothing to remove.

    Raises:
        StepFailed: it was not removed.
    """
    if answer.code == 0:
        return True
    if not is_absence(answer.complaint):
        raise StepFailed(f"{told} failed: {answer.complaint}", code=Code.AKKA_FAILED)
    return answer.again  # an earlier try, whose answer was lost, has removed it
