"""Run commands of the Akka CLI, with retries, a time limit and the password removed from what it prints."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from bootstrap.akka import messages
from bootstrap.akka.output import MAX_FIELD_CHARACTERS, OutputTooLong, is_transient_text
from bootstrap.akka.process import PrintedTooMuch, TookTooLong, run_group
from bootstrap.akka.scope import AkkaScope
from bootstrap.model import clock
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import OutcomeUnknown, PullkeyError
from bootstrap.model.secret import Secret
from bootstrap.model.text import one_line

BeforeRetry = Callable[[], Awaitable[None]]
"""Checks that a command may be sent again; raises an error if not."""
_CALL_SECONDS = 60
_SEARCHED_CHARACTERS = 1 << 16
_SHOWN_CHARACTERS = 400
_ERROR = re.compile(r"^[^\S\n]*+Error: ", re.MULTILINE)
# Colours and the like (ECMA-48, 5.4); a wrapper may force them.
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*+[ -/]*+[@-~]")
_PAUSES = (0.5, 2.0)  # seconds before each retry


@dataclass(frozen=True)
class CliAnswer:
    """The exit code and output of one command. Its arguments are not kept: one may be a password."""

    code: int
    out: str
    err: str
    retried: bool = False
    """Whether an earlier try of the same command got no answer, or failed with a transient error."""

    @property
    def transient(self) -> bool:
        """Whether it is a failure that a retry may remove."""
        return self.code != 0 and is_transient_text(self.error)

    @property
    def error(self) -> str:
        """The CLI's own description of the failure, in one line: without notices before it, if it begins as
        Cobra's errors do.
        """
        for text in (self.err, self.out):
            if found := _ERROR.search(text):
                return one_line(text[found.start() :], len(text))
        return one_line(self.err.strip() or self.out.strip(), _SEARCHED_CHARACTERS)

    @property
    def error_text(self) -> str:
        """The beginning of `error`, to be shown."""
        return self.error[:_SHOWN_CHARACTERS] or f"exit code {self.code}"


@dataclass
class AkkaRunner:
    """Runs `akka`: one child process per call, without a shell.

    Args:
        scope: the project.
        deadline: of the run.
        trace: writes one line per call, without its arguments.
        program: the executable; by default `PULLKEY_AKKA_CLI`, else `akka` on the path.
        lock: returns the descriptor of a lock that a command which changes something inherits and holds while
            it runs.
    """

    scope: AkkaScope
    deadline: Deadline
    trace: Callable[[str], None]
    program: str = field(default_factory=lambda: os.environ.get("PULLKEY_AKKA_CLI") or "akka")
    lock: Callable[[], int | None] = lambda: None

    async def _read(self, arguments: Sequence[str]) -> CliAnswer:
        """Run a read-only command, with retries after transient errors."""
        answer = await self._run(arguments)
        for pause in _PAUSES:
            if not answer.transient or self.deadline.left <= pause:
                break
            await asyncio.sleep(pause)
            answer = await self._run(arguments)
        return answer

    async def _change(
        self,
        arguments: Sequence[str],
        *,
        password: Secret | None = None,
        before_retry: BeforeRetry | None = None,
    ) -> CliAnswer:
        """Run a command that changes something, with retries after a lost answer or a transient error.

        All of these commands are idempotent: registering creates or replaces, and removing what was already
        removed changes nothing. But a lost answer takes a minute, in which others may have changed what it
        was sent for.

        Args:
            arguments: of the CLI.
            password: the registry's, if it takes one.
            before_retry: checks that it may be sent again; raises an error if not.

        Raises:
            OutcomeUnknown: the command did not end in time.
        """
        retried = False
        for pause in (*_PAUSES, None):
            try:
                answer = await self._run(arguments, password=password, changes=True)
            except OutputTooLong:
                raise
            except OutcomeUnknown:
                if pause is None or self.deadline.left <= pause:
                    raise
            else:
                if not answer.transient or pause is None or self.deadline.left <= pause:
                    return replace(answer, retried=retried)
            retried = True
            await asyncio.sleep(pause)
            if before_retry is not None:
                await before_retry()
        raise AssertionError("the last try either returns or raises")

    async def _run(
        self, arguments: Sequence[str], *, password: Secret | None = None, changes: bool = False
    ) -> CliAnswer:
        """Run the CLI once. The password is added as late as possible, to nothing that could be printed."""
        # If this process is killed, the CLI continues and may register a key later. The lock makes the next
        # run wait for it.
        lock = self.lock() if changes else None
        flags = [f"--timeout={_CALL_SECONDS}s", "--disable-prompt"]
        if self.scope.context:
            flags.append(f"--context={self.scope.context}")
        command = f"akka {' '.join(arguments[:2])}"
        begin = clock.monotonic()
        seconds = self.deadline.clip(_CALL_SECONDS + 10.0)
        try:
            ended = await run_group(
                [self.program, *arguments, *flags],
                password=None if password is None else _password_argument(password),
                env={**os.environ, "AKKA_DISABLE_PROMPTS": "true", "NO_COLOR": "1"},
                seconds=seconds,
                lock=lock,
            )
        except FileNotFoundError:
            raise messages.cli_not_found(self.program) from None
        except (OSError, ValueError) as error:
            raise messages.not_started(command, error) from None
        except TookTooLong:
            raise messages.timed_out(command, seconds) from None
        except PrintedTooMuch:
            raise messages.output_too_long(command) from None
        self.trace(f"{command} exit {ended.code} {(clock.monotonic() - begin) * 1000:.0f} ms")
        out, err = (
            _CONTROL_SEQUENCE.sub("", stream.decode(errors="replace")) for stream in (ended.out, ended.err)
        )
        if password is not None:
            # Before the lines are joined or cut: a piece of the password would not be recognised.
            out, err = _redacted(out, password), _redacted(err, password)
        return CliAnswer(ended.code, out, err)


def is_transient(error: PullkeyError) -> bool:
    """Whether a command failed, even after its retries, for a reason that will pass."""
    if isinstance(error, OutcomeUnknown):
        return not isinstance(error, OutputTooLong)
    return is_transient_text(error.what)


def _redacted(text: str, password: Secret) -> str:
    """Remove the password from the beginning of the CLI's output; the rest is dropped."""
    found = password.redact(text[:_SEARCHED_CHARACTERS])
    # The cut may leave a piece that is too short to be recognised.
    return found if len(text) <= _SEARCHED_CHARACTERS else found[:-MAX_FIELD_CHARACTERS]


def _password_argument(password: Secret) -> tuple[str, Secret]:
    """The only documented way to pass a password. Joined, so that a leading `-` does not make it a flag."""
    return "--docker-password=", password
