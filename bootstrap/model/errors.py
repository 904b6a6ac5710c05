"""The errors that users see, and the exit codes.

An error has one sentence that says what is wrong and where (`what`), and usually one that says what to do
(`fix`). The README documents the exit codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, cast

from bootstrap.model.codes import Code
from bootstrap.model.text import count_of, sentence, without_logins


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    SOME_FAILED = 4
    DRIFT = 5
    LEFT_OVER = 6
    INTERRUPTED = 130


def exit_code_of_many(codes: Sequence[ExitCode]) -> ExitCode:
    """The exit code of a command for several targets.

    LEFT_OVER wins over all others: someone must clean up. REFUSED, which says that nothing was changed, is
    returned only if the preflight failed for every target.
    """
    found = set(codes) - {ExitCode.DONE}
    for first in (ExitCode.LEFT_OVER, ExitCode.INTERRUPTED):
        if first in found:
            return first
    if not found:
        return ExitCode.DONE
    if len(codes) == 1 or found == {ExitCode.DRIFT}:
        return found.pop()
    if set(codes) <= {ExitCode.USAGE, ExitCode.REFUSED}:
        return ExitCode.REFUSED if ExitCode.REFUSED in found else ExitCode.USAGE
    return ExitCode.SOME_FAILED


class PullkeyError(Exception):
    """Base class of the errors that end a command with a message instead of a traceback.

    Args:
        what: what is wrong, and where.
        fix: what to do about it; "" if unknown.
        code: a more specific code than the class's own.
    """

    exit_code: ExitCode = ExitCode.FAILED
    code: Code = Code.STEP_FAILED

    def __init__(self, what: str, *, fix: str = "", code: Code | None = None) -> None:
        # It may quote user input or an environment variable.
        what = without_logins(what)
        super().__init__(what)
        self.what = what
        self.fix = without_logins(fix)
        if code is not None:
            self.code = code


class UsageProblem(PullkeyError):
    """An invalid option, file entry or environment variable. Nothing was changed."""

    code = Code.BAD_VALUE
    exit_code = ExitCode.USAGE


class StepFailed(PullkeyError):
    """A step failed for a reason that a retry will not remove."""


class KeyLimitReached(StepFailed):
    """The identity has as many keys as the cloud allows."""

    code = Code.KEY_LIMIT


class ProviderFault(StepFailed):
    """A provider does what its contract excludes."""

    code = Code.PROVIDER_CONTRACT


class KeyGone(StepFailed):
    """The cloud answered that the key to change has already been deleted."""

    code = Code.KEY_DELETED


class OutcomeUnknown(StepFailed):
    """A call that changes something got no answer, so it may or may not have taken effect."""

    code = Code.OUTCOME_UNKNOWN


class NotShown(PullkeyError):
    """The cloud does not show an object, but nothing confirms that it was deleted."""

    code = Code.CLOUD_LAG


class Interrupted(PullkeyError):
    """The run was stopped by Ctrl-C or a signal."""

    code = Code.INTERRUPTED
    exit_code = ExitCode.INTERRUPTED


class Declined(PullkeyError):
    """The user did not answer yes at the prompt before the first change."""

    code = Code.CANCELLED
    exit_code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("Cancelled", fix="No changes were made")


class ProblemKind(StrEnum):
    """What kind of action a problem needs."""

    RIGHT = "right"  # a permission is missing; someone else can do the step
    POLICY = "policy"  # a policy forbids it
    LIMIT = "limit"  # a limit of the cloud is reached
    SETUP = "setup"  # something must be created, named or enabled first
    QUESTION = "question"  # the input is ambiguous


_CODES = {
    ProblemKind.RIGHT: Code.MISSING_PERMISSION,
    ProblemKind.POLICY: Code.POLICY,
    ProblemKind.LIMIT: Code.LIMIT,
    ProblemKind.SETUP: Code.SETUP,
    ProblemKind.QUESTION: Code.QUESTION,
}
_THAT_OF_THE_KIND = cast("Code", None)  # a problem that is created without a code gets its kind's


@dataclass(frozen=True)
class Problem:
    """A finding of the preflight that must be fixed before anything is changed.

    Args:
        code: the situation; defaults to the code of the kind.
    """

    kind: ProblemKind
    what: str
    fix: str = ""
    step: str = ""
    permission: str = ""
    code: Code = _THAT_OF_THE_KIND

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", self.code or _CODES[self.kind])
        object.__setattr__(self, "what", without_logins(self.what))
        object.__setattr__(self, "fix", without_logins(self.fix))


def problem_of(error: PullkeyError, *, step: str = "") -> Problem:
    """Convert an error of a read-only check to a problem with the same text and code."""
    return Problem(ProblemKind.SETUP, error.what, error.fix, step=step, code=error.code)


def first_line(error: PullkeyError | Problem) -> str:
    """What is wrong, followed by the code for `pullkey explain`."""
    return f"{sentence(error.what)} [{error.code}]"


def advice(error: PullkeyError) -> str:
    """What to do about an error, as a sentence; without a specific fix, a pointer to `pullkey explain`."""
    if error.fix:
        return sentence(error.fix)
    plain = error.exit_code in (ExitCode.USAGE, ExitCode.INTERRUPTED)
    return "" if plain else f"See: pullkey explain {error.code}"


class Refused(PullkeyError):
    """The preflight found problems. Nothing was changed."""

    code = Code.PREFLIGHT_FAILED
    exit_code = ExitCode.REFUSED

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{count_of(len(problems), 'thing')} must be fixed first")
        self.problems = tuple(problems)


@dataclass(frozen=True)
class LeftOver:
    """An object that should have been removed but still exists, with the command that removes it."""

    what: str
    command: str
    code: ClassVar[Code] = Code.LEFT_OVER

    def __str__(self) -> str:
        return f"left over: {self.what}{f'; remove it with: {self.command}' if self.command else ''}"


def fix_fields(fix: str | None) -> dict[str, Any]:
    """The JSON fields for the fix of a problem; `mend` is the older name of `fix`."""
    return {"fix": fix, "mend": fix}


_warned: set[str] = set()
_show_warning: list[Callable[[str], object]] = []


def begin_warnings(show: Callable[[str], object]) -> None:
    """Begin a command, whose warnings `show` prints."""
    _warned.clear()
    _show_warning[:] = [show]


def warn_once(about: str, text: str) -> None:
    """Warn about something, unless this command has done so."""
    if about not in _warned:
        _warned.add(about)
        for show in _show_warning:
            show(text)
