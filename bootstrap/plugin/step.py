"""Steps: what a provider does for a target, how each is checked and undone, and its commands by hand.

A provider turns a target into a list of steps. All commands of pullkey work on that list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bootstrap.model.errors import LeftOver, Problem, PullkeyError
from bootstrap.model.tense import done, thing
from bootstrap.model.text import one_line

Intent = Mapping[str, Any]
"""What a step is about to create, or has created: JSON without secrets, from which another process can find
the object.
"""


class StepRole(StrEnum):
    """What a step is for. It is the step's `name`, and so in the journal and in `--output json`.

    A session has one step of the role `KEY`. It may have one each of the others, and steps of no role, which
    have names of their own.
    """

    IDENTITY = "identity"  # creates who pulls
    GRANT = "grant"  # lets the identity pull
    KEY = "key"  # creates the secret that Akka is given, or takes over the user's


class EngineStep(StrEnum):
    """The name of a step that is pullkey's own, beside those of the provider."""

    LOST = "lost"  # deletes the keys of runs that were killed on other machines
    CLEAR = "clear"  # deletes an earlier replaced key
    HANDSHAKE = "handshake"  # verifies that the key pulls
    HANDOFF = "handoff"  # registers the key in Akka
    RETIRE = "retire"  # disables or deletes the replaced key


class State(StrEnum):
    """Whether a step still has to be done."""

    DONE = "done"
    MISSING = "missing"
    UNSEEN = "unseen"  # the login may not read it


@dataclass(frozen=True)
class StepStatus:
    """The state of a step, and the reason in a few words."""

    state: State
    detail: str = ""


class Disposition(StrEnum):
    """What offboarding does with an object."""

    REMOVE = "remove"
    KEEP = "keep"
    GONE = "gone"
    UNSEEN = "unseen"  # it cannot be read, so it is kept


@dataclass(frozen=True)
class Removal:
    """What offboarding will do with one resource of a credential.

    Args:
        disposition: whether it is deleted or kept.
        what: its name for display: `service account akka-docker-reader@...`.
        why: why it is kept or was already deleted, in a few words.
        command: the command that deletes it by hand, if it is kept and pullkey created it.
    """

    disposition: Disposition
    what: str
    why: str = ""
    command: str = ""


@dataclass(frozen=True)
class Done:
    """The result of doing a step.

    Args:
        detail: details that the title does not have, in a few words.
        made: the data that the undo needs; None if nothing had to be created.
        left_over: what could not be removed, if that should not fail the run.
        left_known: the data that removing it later needs, if the step has created something beside it.
        unneeded: another run did it first, so this one did nothing.
        instead: what was done if it differs from the title: a sentence without full stop.
    """

    detail: str
    made: Intent | None = None
    left_over: LeftOver | None = None
    unneeded: bool = False
    instead: str = ""
    left_known: Intent = field(default_factory=dict)

    def sentence(self, title: str) -> str:
        """The sentence that reports a step with this title as done."""
        if self.instead:
            return self.instead
        begin = thing(title) if self.unneeded else done(title)
        return f"{begin}: {self.detail}" if self.detail else begin


@dataclass(frozen=True)
class Script:
    """The commands of a step, to run by hand: bash with the variables of `Session.script_variables`.

    Args:
        do: the commands.
        check: one command that fails until the step is done.
        undo: the commands that undo it.
        why: what to know before running it.
        repeat: whether `do` is one command to repeat until the cloud has caught up.
        typed: the commands that a plan prints, if they are shorter than `do`. They run as printed, with the
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
        """The commands that a plan prints."""
        return self.typed or self.do


class Step(ABC):
    """One step towards the target. Subclasses are small and implement it for one cloud."""

    name: str
    """Its `StepRole`, or, for a step without a role, a short and stable word. Part of the journal and of
    `--output json`.
    """
    after: tuple[str, ...] = ()
    """The names of the steps that must be done before this one. Steps without an order between them run
    concurrently.
    """
    permissions: tuple[str, ...] = ()
    """The permissions that the step needs, by the cloud's names."""
    look_permissions: tuple[str, ...] = ()
    """Those that `look` needs: every command for the target does."""
    undo_permissions: tuple[str, ...] = ()
    """Those that only `undo` needs. Without them a run continues, with a notice."""
    removal_permissions: tuple[str, ...] = ()
    """Those that `removal` and `remove` need; for the key, `Keys.delete` and `Keys.used_by_others`."""
    quiet: bool = False
    """Whether to show the step only if there is something to do."""
    changes: bool = True
    """Whether the step changes anything, so that it is recorded in the journal and the audit log."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the step does, in one line that begins with a verb of `bootstrap.model.tense`."""

    @property
    def offboarded(self) -> str:
        """The object in a list of removals, including what is deleted with it."""
        return thing(self.title)

    @abstractmethod
    async def look(self) -> StepStatus:
        """Check whether the step is already done. Read-only.

        Existence is not enough: the object must also be usable.
        """

    def warning(self) -> str:
        """A warning that the step grants more, or for longer, than a puller needs, with the narrower command;
        "" if it does not.
        """
        return ""

    def intent(self) -> Intent:
        """What the step is about to create, to find it if the answer is lost. Written to disk before `do`."""
        return {}

    @abstractmethod
    async def do(self) -> Done:
        """Do the step, with retries for the cloud's own delays.

        Raises:
            StepFailed: it failed, and nothing was created.
            OutcomeUnknown: the object may have been created.
        """

    async def undo(self, intent: Intent) -> str:
        """Remove what `do` created, given its `intent()` merged with `Done.made`.

        A key may be left to be deleted with the identity that this run created. If the identity is kept after
        all, `undo` is called again with `identity_stays` in the intent.

        Return what was undone, in a few words; "" if there was nothing to undo or it was already deleted.

        Raises:
            StillThere: it could not be removed.
        """
        del intent
        return ""

    async def finish_lost(self, intent: Intent) -> None:
        """Finish what a run that was killed in `do` may have left half done, where the object is kept for
        this run, which finds it and does not `do` the step again.

        Args:
            intent: that of the lost run.

        Raises:
            PullkeyError, ApiError: it could not be finished; this run ends before its first change.
        """
        del intent

    async def disowns(self, intent: Intent) -> str:
        """What an intent from a journal names that does not belong to this target, in a few words; else "".

        A journal decides what is deleted, so it is trusted only as far as this target's own identity is
        concerned. An object that was deleted, so that its owner cannot be checked, is left to `undo`.

        Raises:
            PullkeyError: it cannot be checked.
        """
        return ""

    async def removal(self) -> Removal | None:
        """What offboarding does with the object of this step, given what the cloud shows now. Read-only.

        `REMOVE` only if pullkey certainly created it. Whether others still use the identity is checked
        separately (`Keys.used_by_others`); if so, neither grant nor identity is deleted. None: the step has
        no object.

        Raises:
            PullkeyError: it cannot be read.
        """
        return None

    async def remove(self) -> str:
        """Delete the object, whichever run created it. Called only if `removal` returned `REMOVE`.

        Return what was removed, in a few words; "" if it was already deleted.

        Raises:
            StillThere: it could not be removed.
        """
        return ""

    @abstractmethod
    def script(self) -> Script:
        """The commands of the step, from the cloud's documentation. Needs no connection."""


async def is_pending(step: Step) -> bool:
    """Whether a step is still to be done; also if that cannot be read, which its own `look` reports."""
    try:
        return (await step.look()).state is not State.DONE
    except PullkeyError:
        return True


def other_than(intent: Intent, **own: str) -> str:
    """The first value of an intent that differs from this target's own: "account NAME"; "" if none does."""
    for name, value in own.items():
        if name in intent and intent[name] != value:
            return f"{name.replace('_', ' ')} {one_line(str(intent[name]))}"
    return ""


class StillThere(Exception):
    """An object could not be removed.

    Args:
        what: the object.
        command: the command that removes it.
    """

    def __init__(self, what: str, command: str) -> None:
        super().__init__(what)
        self.what = what
        self.command = command


class UsedByOthers(Exception):
    """An identity or a grant was not undone: a key that another run has created meanwhile needs it.

    Args:
        key_id: of that key.
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id)
        self.key_id = key_id


@dataclass(frozen=True)
class Notice:
    """Information to show before the first change. It does not stop the run."""

    text: str
    warning: bool = False
    """Whether it warns that more is granted, or for longer, than is needed."""


@dataclass
class PreflightFindings:
    """The findings of a preflight."""

    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    public: str = ""
    """Why anyone may pull, so that Akka needs no credential; "" if that is not so, or not known."""

    def add(self, other: PreflightFindings) -> None:
        self.problems += other.problems
        self.notices += other.notices
        self.public = self.public or other.public
