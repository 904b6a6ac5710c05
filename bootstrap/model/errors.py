"""What can go wrong, as a person is told it.

Every error is one sentence that says what is wrong and where, and (mostly) one that says what to do: `fix`.
The exit codes are those of the README.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, cast

from bootstrap.model.codes import Code
from bootstrap.model.text import sentence, without_logins


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
    """How a command for several targets ends.

    What is left over comes first: an administrator must see it, and running the command again does not hide
    it. The code of the preflight is only that of the whole where every target ended in it: nothing was
    changed then.
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
    """The base of all errors that end a command with a sentence instead of a traceback.

    Args:
        what: what is wrong, and where.
        fix: what to do about it, if anything is known.
        code: the situation, where a more specific one is known than that of the class.
    """

    exit_code: ExitCode = ExitCode.FAILED
    code: Code = Code.STEP_FAILED

    def __init__(self, what: str, *, fix: str = "", code: Code | None = None) -> None:
        # It may quote what was typed, or is set in the environment.
        what = without_logins(what)
        super().__init__(what)
        self.what = what
        self.fix = without_logins(fix)
        if code is not None:
            self.code = code


class UsageProblem(PullkeyError):
    """Something that was typed, or stands in a file or variable, cannot be used. Nothing was changed."""

    code = Code.BAD_VALUE
    exit_code = ExitCode.USAGE


class StepFailed(PullkeyError):
    """A step could not be done, for a reason that trying again will not remove."""


class KeyLimitReached(StepFailed):
    """The identity has as many keys as its cloud allows it."""

    code = Code.KEY_LIMIT


class KeyGone(StepFailed):
    """A key that was to be changed is deleted already, as the cloud itself has answered."""

    code = Code.KEY_DELETED


class OutcomeUnknown(StepFailed):
    """A call that changes something got no answer: it may or may not have been done."""

    code = Code.OUTCOME_UNKNOWN


class NotShown(PullkeyError):
    """The cloud does not show something, and nothing shows that it is gone."""

    code = Code.CLOUD_LAG


class Interrupted(PullkeyError):
    """The person, or whoever stops processes, wanted it to end."""

    code = Code.INTERRUPTED
    exit_code = ExitCode.INTERRUPTED


class Declined(PullkeyError):
    """The user was asked before the first change, and did not answer yes."""

    code = Code.CANCELLED
    exit_code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("Cancelled", fix="No changes were made")


class ProblemKind(StrEnum):
    """Who must act on a problem, and how."""

    RIGHT = "right"  # the person lacks a permission; somebody else can do the step
    POLICY = "policy"  # a policy forbids it
    LIMIT = "limit"  # a limit of the cloud is reached
    SETUP = "setup"  # something else must be made, named or switched on first
    QUESTION = "question"  # more than one thing could be meant


_CODES = {
    ProblemKind.RIGHT: Code.MISSING_PERMISSION,
    ProblemKind.POLICY: Code.POLICY,
    ProblemKind.LIMIT: Code.LIMIT,
    ProblemKind.SETUP: Code.SETUP,
    ProblemKind.QUESTION: Code.QUESTION,
}
_THAT_OF_THE_KIND = cast("Code", None)  # a problem that is made without a code has one all the same


@dataclass(frozen=True)
class Problem:
    """Something that the preflight found, which must be fixed before anything is changed.

    Args:
        code: the situation; without one, that of the kind.
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
    """An error that was met while looking, as a problem with the same text and code."""
    return Problem(ProblemKind.SETUP, error.what, error.fix, step=step, code=error.code)


def first_line(error: PullkeyError | Problem) -> str:
    """What is wrong, with the code by which `pullkey explain` knows it."""
    return f"{sentence(error.what)} [{error.code}]"


def advice(error: PullkeyError) -> str:
    """What to do about an error, as a sentence; where nothing specific is known, where its code is
    explained.
    """
    if error.fix:
        return sentence(error.fix)
    plain = error.exit_code in (ExitCode.USAGE, ExitCode.INTERRUPTED)
    return "" if plain else f"See: pullkey explain {error.code}"


class Refused(PullkeyError):
    """The preflight found problems. Nothing was changed."""

    code = Code.PREFLIGHT_FAILED
    exit_code = ExitCode.REFUSED

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} thing{'s' * (len(problems) != 1)} must be fixed first")
        self.problems = tuple(problems)


@dataclass(frozen=True)
class LeftOver:
    """Something that is still there and should not be, with the one command that removes it."""

    what: str
    command: str
    code: ClassVar[Code] = Code.LEFT_OVER

    def __str__(self) -> str:
        return f"left over: {self.what}{f'; remove it with: {self.command}' if self.command else ''}"


def fix_fields(fix: str | None) -> dict[str, Any]:
    """What to do about a problem; `mend` is the older name of `fix`."""
    return {"fix": fix, "mend": fix}
