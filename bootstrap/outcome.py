"""What is asked of a run for one target, and what becomes of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bootstrap.errors import ExitCode, LeftOver, Problem, PullkeyError
from bootstrap.recovery import Unfinished
from bootstrap.steps import Sighting, State


@dataclass(frozen=True)
class AsPlanned:
    """What a plan has shown: the steps that are to be done, and the e-mail of Akka's record (None: there is none)."""

    steps: frozenset[str]
    email: str | None


@dataclass(frozen=True)
class Wishes:
    """What the person asked for, beyond the target."""

    secret_name: str
    replace: bool = False
    anyway: bool = False
    wait: bool = True
    dry_run: bool = False
    yes: bool = False
    command: str = ""
    grace: dt.timedelta | None = None
    """A rotation: how long the key that Akka held is left. None: no rotation."""
    overlap: dt.timedelta = dt.timedelta()
    """A rotation: how long both keys are good once Akka shows the new one everywhere."""
    as_planned: AsPlanned | None = None
    """Nothing else is done than this; less is, where others have done some of it meanwhile."""
    name_strays: bool = True
    """Whether to look for keys that lost runs have left; of many targets it is enough to look once."""


@dataclass
class StepResult:
    """What became of one step."""

    name: str
    title: str
    seen: Sighting
    result: str = field(init=False)
    detail: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.result = "kept" if self.seen.state is State.DONE else "planned"


@dataclass
class Outcome:
    """What became of a run; everything that the person and `--output json` are told."""

    result: str = "unchanged"
    exit_code: ExitCode = ExitCode.DONE
    changed: bool = False
    begun: bool = False
    """Whether the first step that changes something was begun; what a lost run had left may have been removed before."""
    proven: str = ""
    unproven: str = ""
    """What was seen in place of a pull that works: that the registry accepts the credential, or not even that."""
    public: str = ""
    """How it shows that the registry allows anonymous pulls; "" where that is not so, or was not asked."""
    who: str = ""
    steps: dict[str, StepResult] = field(default_factory=dict)
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
