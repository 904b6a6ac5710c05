"""The `akka` command, as far as registry credentials need it.

The CLI is closed source; its generated reference is what is known. Each thing that the reference leaves open sits
behind one small function here: `parse_credentials`, `_password_argument`, `AkkaCli.remove_credentials`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.credential import Credential
from bootstrap.errors import OutcomeUnknown, Problem, ProblemKind, StepFailed, UsageProblem
from bootstrap.provider import HeldCredential
from bootstrap.secret import Secret
from bootstrap.waiting import Deadline
from bootstrap.words import one_line

_CALL_SECONDS = 60
_SHOWN = 2_000
_VERSION = re.compile(r"\d+\.\d+\.\d+")
# Release notes: CLI 3.0.4 "Changed Docker credentials commands"; before it a credential was known by a UUID.
_NAMED_SECRETS = (3, 0, 4)
# What a call is made again for.
_PASSING = (
    "code = Unavailable", "code = DeadlineExceeded", "code = ResourceExhausted", "code = Internal", "code = Aborted",
)  # fmt: skip
_PAUSES = (0.5, 2.0)
_ASKED = 2  # times to remove what Akka says is not there, and lists
_INSTALL = "https://doc.akka.io/operations/cli/installation.html"


@dataclass(frozen=True)
class AkkaScope:
    """Which Akka project, and how the CLI reaches it; empty means the CLI's own configuration."""

    project: str = ""
    owner: str = ""
    region: str = ""
    context: str = ""

    @property
    def label(self) -> str:
        return self.project or "the CLI's current project"

    def place(self, secret_name: str) -> str:
        """Which Akka secret this is, for the journal."""
        where = "/".join(filter(None, (self.owner, self.project, self.region)))
        return f"Akka's {secret_name} of {where or 'the current project'}"

    def arguments(self, *, with_region: bool = True) -> list[str]:
        """The flags of the documented commands; values are joined so that none can be taken for a flag."""
        pairs = [("--project", self.project), ("--owner", self.owner)]
        if with_region:
            pairs.append(("--region", self.region))
        return [f"{flag}={value}" for flag, value in pairs if value]


@dataclass(frozen=True)
class Answer:
    """What the CLI printed, and how it ended. It has no argv: one of them carries a password."""

    code: int
    out: str
    err: str

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

    # -- reading -------------------------------------------------------------------------------------------------

    async def preflight(self) -> list[Problem]:
        """Whether the CLI is there, logged in, and sees the project."""
        if shutil.which(self.program) is None:
            return [Problem(ProblemKind.SETUP, f"The Akka CLI is not installed: {self.program!r} is not on the path", f"Install it ({_INSTALL}) and log in with: akka auth login")]  # fmt: skip
        project = [*self.scope.arguments(with_region=False)]
        version, login, seen = await asyncio.gather(
            self.version(),
            self._read(["auth", "current-login"]),
            self._read(["projects", "get", *project, "-o", "json"]),
        )
        if version is not None and tuple(map(int, version.split("."))) < _NAMED_SECRETS:
            return [Problem(ProblemKind.SETUP, f"The Akka CLI {version} is too old: it cannot name a credential", f"Install 3.0.4 or newer: {_INSTALL}")]  # fmt: skip
        if login.code != 0:
            return [Problem(ProblemKind.SETUP, f"The Akka CLI is not logged in ({login.complaint})", "Run: akka auth login (in CI: set AKKA_TOKEN)")]  # fmt: skip
        if seen.code != 0:
            return [Problem(ProblemKind.SETUP, f"Akka does not show {self.scope.label} ({seen.complaint})", "See `akka projects list`, and name the project with --akka-project (and --akka-owner)")]  # fmt: skip
        return []

    async def version(self) -> str | None:
        """The CLI's version, or None if it does not say."""
        answer = await self._read(["version"])
        found = _VERSION.search(answer.out + answer.err)
        return found[0] if answer.code == 0 and found else None

    async def login(self) -> str:
        """The e-mail of who is logged in; "" if the CLI does not tell. What it prints is not documented."""
        answer = await self._read(["auth", "current-login"])
        found = re.search(r"[\w.+-]+@[\w.-]+", answer.out)
        return found[0] if answer.code == 0 and found else ""

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
            raise StepFailed(f"akka docker list-credentials failed: {answer.complaint}")
        return merge_regions(parse_credentials(answer.out))

    async def projects(self) -> list[AkkaScope]:
        """The projects that this login sees, each as the scope in which to ask about it.

        Raises:
            StepFailed: the CLI did not list them.
        """
        answer = await self._read(["projects", "list", "-o", "json"])
        if answer.code != 0:
            raise StepFailed(f"akka projects list failed: {answer.complaint}")
        return parse_projects(answer.out, self.scope.context)

    async def project_name(self) -> str:
        """The project's name, asked where the CLI's configuration decides; "" if it does not tell."""
        if self.scope.project:
            return self.scope.project
        answer = await self._read(["projects", "get", *self.scope.arguments(with_region=False), "-o", "json"])
        try:
            document = json.loads(answer.out) if answer.code == 0 else {}
        except ValueError:
            return ""
        found = parse_projects(json.dumps([document])) if isinstance(document, dict) else []
        return found[0].project if found else ""

    def elsewhere(self, scope: AkkaScope) -> AkkaCli:
        """The same CLI for another project."""
        return AkkaCli(scope, self.deadline, self.trace, self.program)

    async def credential(self, secret_name: str) -> HeldCredential | None:
        """The one of this name, or None."""
        return next((held for held in await self.credentials() if held.name == secret_name), None)

    # -- changing ------------------------------------------------------------------------------------------------

    async def add_credentials(self, secret_name: str, credential: Credential) -> None:
        """`akka docker add-credentials`: makes or replaces the secret, and adds it to the project.

        Raises:
            StepFailed: the CLI said no. It may have written the secret and not the project's configuration.
            OutcomeUnknown: it did not end in time.
        """
        arguments = [
            "docker", "add-credentials",
            f"--secret-name={secret_name}",
            f"--docker-server={credential.server}",
            f"--docker-username={credential.username}",
            f"--docker-email={credential.email}",
            *self.scope.arguments(),
        ]  # fmt: skip
        answer = await self._change(arguments, password=credential.password)
        if answer.code != 0:
            raise StepFailed(f"akka docker add-credentials failed: {answer.complaint}")

    async def remove_credentials(self, secret_name: str) -> None:
        """Remove the project's reference, and then the secret itself. Already gone is success.

        Raises:
            StepFailed: the CLI did not remove them.
        """
        await self.remove_reference(secret_name)
        await self.remove_secret(secret_name)

    async def remove_reference(self, secret_name: str) -> None:
        """Remove it from the project's registry configuration; the secret stays. Already gone is success.

        Raises:
            StepFailed: the CLI did not remove it.
        """
        for _ in range(_ASKED):
            try:
                if await self._remove_reference(secret_name):
                    return
            except StepFailed:
                # It may have been done all the same: look, before somebody is told that it was not.
                if await self.credential(secret_name) is not None:
                    raise
                return
            if await self.credential(secret_name) is None:
                return
        raise StepFailed(f"akka docker remove-credentials says that there is no {secret_name}, and list-credentials lists it")  # fmt: skip

    async def _remove_reference(self, secret_name: str) -> bool:
        """False if Akka says that there was none."""
        scope = self.scope.arguments()
        answer = await self._change(["docker", "remove-credentials", secret_name, *scope])
        if answer.code != 0 and "unknown command" in answer.complaint:
            # The guide still says `delete-credentials`; CLIs before 3.0.4 know only that.
            answer = await self._change(["docker", "delete-credentials", secret_name, *scope])
        return _removed(answer, "akka docker remove-credentials")

    async def remove_secret(self, secret_name: str) -> None:
        """Delete the secret itself. Already gone is success.

        Raises:
            StepFailed: the CLI did not delete it.
        """
        for _ in range(_ASKED):
            answer = await self._change(self._removal(secret_name))
            if _removed(answer, "akka secrets delete") or not await self.lists_secret(secret_name):
                return
        raise StepFailed(f"akka secrets delete says that there is no {secret_name}, and akka secrets list lists it")  # fmt: skip

    def secret_removal(self, secret_name: str) -> str:
        """The command that deletes a secret by hand."""
        return shlex.join(["akka", *self._removal(secret_name)])

    def _removal(self, secret_name: str) -> list[str]:
        return ["secrets", "delete", secret_name, *self.scope.arguments()]

    async def lists_secret(self, secret_name: str) -> bool:
        """Whether `akka secrets list` names one, in whatever form it prints; False where it does not say."""
        answer = await self._read(["secrets", "list", *self.scope.arguments()])
        return answer.code == 0 and secret_name in re.split(r"[^A-Za-z0-9.-]+", answer.out)

    # -- running -------------------------------------------------------------------------------------------------

    async def _read(self, arguments: Sequence[str]) -> Answer:
        answer = await self._run(arguments)
        for pause in _PAUSES:
            if not answer.passes:
                break
            await asyncio.sleep(min(pause, self.deadline.left))
            answer = await self._run(arguments)
        return answer

    async def _change(self, arguments: Sequence[str], *, password: Secret | None = None) -> Answer:
        """Run a command that changes something, and again where its answer was lost or Akka is busy.

        All of them come to the same however often they are done: to register is to create or replace, and what is
        gone already is removed.

        Raises:
            OutcomeUnknown: it did not end in time.
        """
        for pause in _PAUSES:
            try:
                answer = await self._run(arguments, password=password, changes=True)
            except OutcomeUnknown:
                if self.deadline.passed:
                    raise
            else:
                if not answer.passes:
                    return answer
            await asyncio.sleep(min(pause, self.deadline.left))
        return await self._run(arguments, password=password, changes=True)

    async def _run(
        self, arguments: Sequence[str], *, password: Secret | None = None, changes: bool = False
    ) -> Answer:
        """Run the CLI once. The password, if any, is added at the last moment and to nothing that could be printed."""
        # If this process is killed the CLI goes on, and may register a key later than the next run would look.
        lock = self.lock() if changes else None
        flags = [f"--timeout={_CALL_SECONDS}s", "--disable-prompt"]
        if self.scope.context:
            flags.append(f"--context={self.scope.context}")
        told = f"akka {' '.join(arguments[:2])}"
        begin = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                self.program,
                *arguments,
                *flags,
                *([] if password is None else [_password_argument(password)]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "AKKA_DISABLE_PROMPTS": "true"},
                # A Ctrl-C in the terminal must not cut a registration in half.
                start_new_session=True,
                pass_fds=() if lock is None else (lock,),
            )
        except FileNotFoundError:
            raise UsageProblem(
                f"The Akka CLI is not installed: {self.program!r} is not on the path",
                mend=f"Install it: {_INSTALL}",
            ) from None
        except (OSError, ValueError) as error:
            # The text of this error can hold the arguments.
            raise StepFailed(f"{told} could not be started ({type(error).__name__})") from None
        try:
            seconds = self.deadline.within(_CALL_SECONDS + 10.0)
            out, err = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            raise OutcomeUnknown(f"{told} did not end within {seconds:.0f} s and was stopped") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self.trace(f"{told} exit {process.returncode} {(time.monotonic() - begin) * 1000:.0f} ms")
        said = [stream.decode(errors="replace") for stream in (out, err)]
        if password is not None:
            # Before anything is cut or joined: a piece of the password would not be recognised.
            said = [password.redact(text) for text in said]
        return Answer(process.returncode or 0, *said)


def _password_argument(password: Secret) -> str:
    """The only documented way to hand a password over; one argument, so that one beginning with `-` is no flag."""
    return f"--docker-password={password.reveal()}"


def _removed(answer: Answer, told: str) -> bool:
    """False if Akka says that there was nothing to remove.

    Raises:
        StepFailed: it was not removed.
    """
    if answer.code == 0:
        return True
    gone = ("not found", "does not exist", "no such", "notfound")
    if not any(word in answer.complaint.lower() for word in gone):
        raise StepFailed(f"{told} failed: {answer.complaint}")
    return False


def parse_credentials(text: str) -> list[HeldCredential]:
    """Read `akka docker list-credentials`, JSON or text: one row a credential, or one a credential and region.

    No sample of the current CLI's JSON is published, so any list of objects with the known keys is taken, in any
    case; the text form is what the guide shows, whose columns are not aligned.

    Raises:
        Unreadable: it is neither, so that what Akka has is not known: it may be anything.
    """
    found, document = _json_in(text)
    if not found:
        return _parse_table(text)
    rows = _rows_of(document)
    if rows is None:
        raise Unreadable
    credentials = [_from_json(row) for row in rows]
    if not all(held.name for held in credentials):
        raise Unreadable
    return credentials


def parse_projects(text: str, context: str = "") -> list[AkkaScope]:
    """Read `akka projects list -o json`, of which no sample of the current CLI is published either."""
    found = []
    for row in _rows_of(_json_in(text)[1]) or []:
        lower = _lower(row)
        name = _text(lower, "friendly_name", "friendlyname") or _text(lower, "name").rsplit("/", 1)[-1]
        owner = lower.get("owner")
        of = _text(_lower(owner), "friendly_name", "friendlyname", "id") if isinstance(owner, dict) else ""
        if name:
            found.append(AkkaScope(project=name, owner=of, context=context))
    return found


def merge_regions(rows: Sequence[HeldCredential]) -> list[HeldCredential]:
    """One row a credential, as its first region shows it; `behind` names the regions that show something else.

    The platform's API calls a copy Synced, NotSynced, Failed or Conflict.
    """
    by_name: dict[str, list[HeldCredential]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    merged = []
    for first, *others in by_name.values():
        same = (first.server, first.username, first.email, first.status.upper())
        behind = [
            row.region or "another region"
            for row in (first, *others)
            if (row.server, row.username, row.email, row.status.upper()) != same
            or row.sync.upper() not in ("", "OK", "SYNCED")
        ]
        merged.append(replace(first, behind=", ".join(behind)))
    return merged


class Unreadable(StepFailed):
    """What the CLI has printed is of no form that is known."""

    def __init__(self) -> None:
        super().__init__(
            "akka docker list-credentials prints what pullkey cannot read",
            mend="See what it prints; an update of the Akka CLI, or of pullkey, may be due.",
        )


def _json_in(text: str) -> tuple[bool, Any]:
    """Whether there is JSON, and the first of it: the CLI may print a notice of its own before and after."""
    decoder = json.JSONDecoder()
    for begin in re.finditer(r"^\s*(?=[\[{]|null\s*$)", text, re.MULTILINE):
        with contextlib.suppress(ValueError):
            return True, decoder.raw_decode(text, begin.end())[0]
    return False, None


def _rows_of(document: Any) -> list[dict[str, Any]] | None:
    """The objects of a list, or of the one list in an object; none of null; None if it is something else."""
    if isinstance(document, dict) and document:
        lists = [value for value in document.values() if isinstance(value, list | None)]
        if not lists:
            return None
        document = lists[0]
    if not isinstance(document, list):
        return None if document else []
    return document if all(isinstance(row, dict) for row in document) else None


def _lower(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in row.items()}


def _text(lower: Mapping[str, Any], *names: str) -> str:
    found = next((lower[name] for name in names if lower.get(name) is not None), "")
    return _harmless(str(found)) if isinstance(found, str | int) else ""


def _harmless(text: str) -> str:
    """What somebody has registered may hold what moves a terminal's cursor, and is shown: only what can be printed."""
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return text[:_SHOWN]


def _from_json(row: Mapping[str, Any]) -> HeldCredential:
    lower = _lower(row)
    return HeldCredential(
        name=_text(lower, "name", "secretname", "secret_name", "secret").rsplit("/", 1)[-1],
        server=_text(lower, "server", "dockerserver", "docker_server"),
        username=_text(lower, "username", "user", "dockerusername", "docker_username"),
        email=_text(lower, "email", "dockeremail", "docker_email"),
        status=_text(lower, "status", "state"),
        region=_text(lower, "region"),
        sync=_text(lower, "sync", "syncstatus", "sync_status"),
    )


def _parse_table(text: str) -> list[HeldCredential]:
    """Rows by what a column can hold, not by where it stands: user and e-mail may be blank."""
    lines = [_harmless(line.expandtabs(1)) for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if line.strip()]
    heads = [
        number for number, line in enumerate(lines) if line.split()[0] in ("NAME", "ID") and "SERVER" in line
    ]
    if not heads:
        # Nobody has documented what is printed where there are none.
        if not lines or (len(lines) == 1 and lines[0].lower().startswith("no ")):
            return []
        raise Unreadable
    columns = lines[heads[0]].split()
    rows = lines[heads[0] + 1 :]
    found = []
    for line in rows:
        name, *words = line.split()
        status = words.pop(0) if "STATUS" in columns and words else ""
        sync = words.pop() if "SYNC" in columns and words else ""
        region = words.pop() if "REGION" in columns and words else ""
        server = words.pop(0) if words else ""
        email = next((word for word in words if "@" in word), "")
        username = next((word for word in words if word != email), "")
        found.append(HeldCredential(name, server, username, email, status, region=region, sync=sync))
    return found
