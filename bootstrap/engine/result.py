"""What became of an operation on one target: all that the user and `--output json` are shown of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bootstrap.engine.unfinished import Unfinished
from bootstrap.model.errors import ExitCode, LeftOver, Problem, PullkeyError
from bootstrap.plugin.step import Disposition, Removal, State, StepStatus


@dataclass
class StepResult:
    """What became of one step."""

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
    """One thing that an offboarding removes or keeps, and what became of it.

    Args:
        name: the step that creates such a thing, or `reference` or `secret` of Akka's.
        act: removes it, and says what it did; None where it is kept whatever its fate.
        result: `removed`, `failed` or `left over`; "" where nothing was done.
    """

    name: str
    removal: Removal
    act: Callable[[], Awaitable[str]] | None = None
    result: str = ""
    detail: str = ""

    @property
    def goes(self) -> bool:
        return self.removal.fate is Disposition.REMOVE and self.act is not None


@dataclass
class Result:
    """What became of an onboarding, a rotation, a verification or an offboarding.

    Attributes:
        result: `unchanged`, `planned`, `done`, `unneeded`, `verified`, `drift`, `refused`, `interrupted` or
            `failed`.
        steps: of all but an offboarding, by name.
        removals: of an offboarding.
    """

    result: str = "unchanged"
    exit_code: ExitCode = ExitCode.DONE
    changed: bool = False
    begun: bool = False
    """Whether the first step that changes something was begun; what a lost run had left may have been
    removed before.
    """
    verified: str = ""
    not_verified: str = ""
    """What was seen in place of a pull that works: that the registry accepts the credential, or not even
    that.
    """
    public: str = ""
    """How it shows that the registry allows anonymous pulls; "" where that is not so, or was not asked."""
    who: str = ""
    steps: dict[str, StepResult] = field(default_factory=dict)
    removals: list[RemovalResult] = field(default_factory=list)
    problems: Sequence[Problem] = ()
    notices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Those of the notices that say that more is granted, or for longer, than is needed."""
    undone: list[str] = field(default_factory=list)
    left_over: list[LeftOver] = field(default_factory=list)
    error: PullkeyError | None = None
    unfinished: Unfinished = field(default_factory=Unfinished)
    """What an earlier run has not ended or has left over, and this one has only looked at."""
    credential: Mapping[str, str | None] = field(default_factory=dict)
