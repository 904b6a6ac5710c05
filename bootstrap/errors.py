"""What can go wrong, as a person is told it.

Every error is one sentence that says what is wrong and where, and (mostly) one that says what to do: `mend`.
The exit codes are those of the README.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum


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


class PullkeyError(Exception):
    """The base of all errors that end a command with a sentence instead of a traceback.

    Args:
        what: what is wrong, and where.
        mend: what to do about it, if anything is known.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


class UsageProblem(PullkeyError):
    """Something that was typed, or stands in a file or variable, cannot be used. Nothing was changed."""

    exit_code = ExitCode.USAGE


class StepFailed(PullkeyError):
    """A step could not be done, for a reason that trying again will not remove."""


class OutcomeUnknown(StepFailed):
    """A call that changes something got no answer: it may or may not have been done."""


class Interrupted(PullkeyError):
    """The person, or whoever stops processes, wanted it to end."""

    exit_code = ExitCode.INTERRUPTED


class Declined(PullkeyError):
    """The person was asked before the first change, and did not say yes."""

    exit_code = ExitCode.REFUSED


class ProblemKind(StrEnum):
    """Who must act on a problem, and how."""

    RIGHT = "right"  # the person lacks a permission; somebody else can do the step
    POLICY = "policy"  # a policy forbids it
    LIMIT = "limit"  # a limit of the cloud is reached
    SETUP = "setup"  # something else must be made, named or switched on first
    QUESTION = "question"  # more than one thing could be meant


@dataclass(frozen=True)
class Problem:
    """Something that the preflight found, which must be mended before anything is changed."""

    kind: ProblemKind
    what: str
    mend: str = ""
    step: str = ""
    permission: str = ""


class Refused(PullkeyError):
    """The preflight found problems. Nothing was changed."""

    exit_code = ExitCode.REFUSED

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} thing{'s' * (len(problems) != 1)} must be mended first")
        self.problems = tuple(problems)


@dataclass(frozen=True)
class LeftOver:
    """Something that is still there and should not be, with the one command that removes it."""

    what: str
    command: str
