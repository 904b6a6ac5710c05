"""The vocabulary of a provider: steps, what is seen of them, and the commands a person would type.

A provider turns a target into a list of steps; every command of pullkey reads that one list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bootstrap.model.errors import LeftOver, Problem
from bootstrap.model.tense import done, thing
from bootstrap.model.text import one_line

Intent = Mapping[str, Any]
"""What a step is about to make, or has made: JSON, no secret, enough to find it again from another
process.
"""


class State(StrEnum):
    """Whether a step still has to be done."""

    DONE = "done"
    MISSING = "missing"
    UNSEEN = "unseen"  # this person may not look


@dataclass(frozen=True)
class StepStatus:
    """What was seen of a step: its state, and the reason in a few words."""

    state: State
    detail: str = ""


class Disposition(StrEnum):
    """What offboarding does with what a step once made."""

    REMOVE = "remove"
    KEEP = "keep"
    GONE = "gone"
    UNSEEN = "unseen"  # this person may not look, so it stays


@dataclass(frozen=True)
class Removal:
    """What offboarding will do with one thing that stands behind a credential.

    Args:
        fate: whether it goes.
        what: what it is, as a person would name it: `service account akka-docker-reader@...`.
        why: why it stays or is gone, in a few words.
        command: what removes it by hand, where it stays and is of ours.
    """

    fate: Disposition
    what: str
    why: str = ""
    command: str = ""


@dataclass(frozen=True)
class Done:
    """What doing a step has come to.

    Args:
        detail: what the title does not say of it, in a few words.
        made: what the undo needs to know of it; None when nothing had to be made after all.
        left_over: what it could not remove, where that must not fail the run.
        unneeded: another run was quicker, so this one did nothing.
        instead: what was done in place of what the title says; a whole sentence without its full stop.
    """

    detail: str
    made: Intent | None = None
    left_over: LeftOver | None = None
    unneeded: bool = False
    instead: str = ""

    def sentence(self, title: str) -> str:
        """What was done by a step of this title."""
        if self.instead:
            return self.instead
        begin = thing(title) if self.unneeded else done(title)
        return f"{begin}: {self.detail}" if self.detail else begin


@dataclass(frozen=True)
class Script:
    """The step as a person would do it: bash that uses the variables of `Session.script_variables`.

    Args:
        do: the commands.
        check: one command that fails until it is done.
        undo: the commands that take it back.
        why: what a person should know before.
        repeat: `do` is one command that may fail until the cloud has caught up.
        typed: the commands that a plan prints, where `do` is more than that. They run as they stand, with the
            variables of `Session.script_variables` and `script_lookups` and of the steps before them
            (`bootstrap.output.commands`).
    """

    do: str
    check: str = ""
    undo: str = ""
    why: str = ""
    repeat: bool = False
    typed: str = ""

    @property
    def shown(self) -> str:
        """What a plan shows of it."""
        return self.typed or self.do


class Step(ABC):
    """One thing to be done. Subclasses are small and know one cloud's way of doing it."""

    name: str
    """Short and stable: it stands in the journal and in `--output json`."""
    after: tuple[str, ...] = ()
    """The steps that must be done before this one; those without an order among them go side by side."""
    permissions: tuple[str, ...] = ()
    """The cloud's own names of what the person must be allowed, to do this step."""
    quiet: bool = False
    """Nothing is told of it while there is nothing to do."""
    changes: bool = True
    """Whether doing it changes anything, so that it stands in the journal and in the audit trail."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it does, in one line, beginning with one of the verbs of `bootstrap.model.tense`."""

    @abstractmethod
    async def look(self) -> StepStatus:
        """See whether it is already done; changes nothing.

        Done is never judged by existence alone: what is there must also be of use.
        """

    def warning(self) -> str:
        """That it grants more, or for longer, than a puller needs, with the narrower command; "" where it
        does not.
        """
        return ""

    def intent(self) -> Intent:
        """What is about to be made, so that it can be found if the answer is lost; on disk before `do` is
        called.
        """
        return {}

    @abstractmethod
    async def do(self) -> Done:
        """Do it, as often as it takes for the cloud's own delays.

        Raises:
            StepFailed: it cannot be done. Nothing was made.
            OutcomeUnknown: it may have been made.
        """

    async def undo(self, intent: Intent) -> str:
        """Remove what `do` made, given its `intent()` merged with what it said it `made`.

        A key may be left to go with the identity that this run made; if that is to stay after all, it is
        asked again, with `identity_stays`.

        What is already gone counts as removed. Returns what was undone, in a few words, or "" for nothing.

        Raises:
            StillThere: it could not be removed.
        """
        del intent
        return ""

    async def disowns(self, intent: Intent) -> str:
        """What an intent from a journal names that is not this target's, in a few words; "" where it names
        nothing else.

        A journal decides what is deleted, so it is believed in what this target's own identity is concerned,
        and in nothing else. What is gone, and so cannot be seen to be this target's, is left to `undo`.

        Raises:
            PullkeyError: it cannot be seen.
        """
        return ""

    async def removal(self) -> Removal | None:
        """What offboarding is to do with what this step makes, by what the cloud shows now; changes nothing.

        `REMOVE` only for what is surely ours; whether others still use the identity is asked apart
        (`Keys.used_by_others`), and then neither grant nor identity goes. None: the step leaves nothing
        behind.

        Raises:
            PullkeyError: it cannot be seen.
        """
        return None

    async def remove(self) -> str:
        """Delete it, whichever run created it; called only if `removal` returned `REMOVE`. Already deleted
        counts as done.

        Returns what was removed, in a few words, or "" for nothing.

        Raises:
            StillThere: it could not be removed.
        """
        return ""

    @abstractmethod
    def script(self) -> Script:
        """The documented command; needs no connection to the cloud."""


def other_than(intent: Intent, **own: str) -> str:
    """The first value of an intent that is another one than this target's own: "account NAME"; "" if there
    is none.
    """
    for name, value in own.items():
        if name in intent and intent[name] != value:
            return f"{name.replace('_', ' ')} {one_line(str(intent[name]))}"
    return ""


class StillThere(Exception):
    """Something that was made could not be removed.

    Args:
        what: what is still there.
        command: the one command that removes it.
    """

    def __init__(self, what: str, command: str) -> None:
        super().__init__(what)
        self.what = what
        self.command = command


@dataclass(frozen=True)
class Notice:
    """Something that the person should know before the first change, and that stops nothing."""

    text: str
    warning: bool = False
    """Whether it says that more is granted, or for longer, than is needed."""


@dataclass
class PreflightFindings:
    """What a preflight found."""

    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    public: str = ""
    """Why anybody may pull, so that Akka needs no credential; "" where that is not so, or not known."""

    def add(self, other: PreflightFindings) -> None:
        self.problems += other.problems
        self.notices += other.notices
        self.public = self.public or other.public
