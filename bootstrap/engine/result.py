"""The result of an operation on one target, for the summary and `--output json`."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bootstrap.engine.unfinished import Unfinished
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import ExitCode, LeftOver, Problem, PullkeyError
from bootstrap.plugin.step import Disposition, Removal, State, StepStatus

if TYPE_CHECKING:
    from bootstrap.plugin.session import Session


@dataclass
class StepResult:
    """The result of one step."""

    name: str
    title: str
    seen: StepStatus
    result: str = field(init=False)
    detail: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.result = "kept" if self.seen.state is State.DONE else "planned"


@dataclass
class RemovalResult:
    """One object that an offboarding removes or keeps, and the outcome.

    Args:
        name: the step that creates such an object; `reference` or `secret` for Akka's.
        act: removes it and returns what was done; None if it is kept.
        result: `removed`, `failed` or `left over`; "" if nothing was done.
    """

    name: str
    removal: Removal
    act: Callable[[], Awaitable[str]] | None = None
    result: str = ""
    detail: str = ""

    @property
    def to_remove(self) -> bool:
        """Whether the object is to be removed."""
        return self.removal.disposition is Disposition.REMOVE and self.act is not None


@dataclass
class Result:
    """The result of an onboarding, rotation, verification or offboarding.

    Attributes:
        result: `unchanged`, `planned`, `done`, `unneeded`, `verified`, `drift`, `refused`, `interrupted` or
            `failed`.
        steps: by name; empty for an offboarding.
        removals: of an offboarding.
    """

    result: str = "unchanged"
    exit_code: ExitCode = ExitCode.DONE
    changed: bool = False
    begun: bool = False
    """Whether the first step that changes something was started. The left-overs of a lost run may have been
    removed before.
    """
    verified: str = ""
    not_verified: str = ""
    """What was seen instead of a working pull, such as a login that the registry accepts."""
    public: str = ""
    """How the registry shows that it allows anonymous pulls; "" if it does not, or was not checked."""
    unconfirmed: str = ""
    """What is not known of Akka's record (`Session.unconfirmed`) where nothing was to be done."""
    who: str = ""
    steps: dict[str, StepResult] = field(default_factory=dict)
    removals: list[RemovalResult] = field(default_factory=list)
    problems: Sequence[Problem] = ()
    notices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """The notices that warn that more is granted, or for longer, than is needed."""
    undone: list[str] = field(default_factory=list)
    left_over: list[LeftOver] = field(default_factory=list)
    error: PullkeyError | None = None
    unfinished: Unfinished = field(default_factory=Unfinished)
    """An earlier run that did not end or has left something over, as seen by a read-only command."""
    overwritten: HeldCredential | None = None
    """A record whose resources are still to be removed, by `RunOptions.defer_removal`."""
    credential: Mapping[str, str | None] = field(default_factory=dict)

    async def note_login(self, session: Session) -> None:
        """Note who is logged in now. What the preflight saw may have been a login without its secret, which
        is asked for when a call needs it; an error is reported by that call.
        """
        with contextlib.suppress(Exception):  # an SDK can raise anything
            self.who = await session.connect()
