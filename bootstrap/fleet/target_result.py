"""The result of one target of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootstrap.engine.result import Result
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.planner import Planned
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError


@dataclass(kw_only=True)
class TargetResult(Result):
    """The result of one target: that of its operation, or why none was started.

    Attributes:
        result: that of its operation, or `postponed` (no room for its key yet), `drift` (it needs something
            that this command does not do) or `not begun`.
        seconds: how long it took.
    """

    planned: Planned
    key_id: str = ""
    detail: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, planned: Planned, result: Result, /, **more: Any) -> TargetResult:
        """The result of its operation; `more` takes precedence."""
        error = result.error or error_of_problems(result)
        # A removal keeps a reference to its session, and there may be thousands.
        return cls(planned=planned, **{**vars(result), "error": error, "removals": [], **more})

    @property
    def entry(self) -> Entry:
        return self.planned.entry

    @property
    def failed(self) -> bool:
        """Whether the target is not in its desired state; left-overs do not count."""
        return self.result not in ("done", "unchanged", "unneeded", "postponed", "drift")

    @property
    def failed_at(self) -> str:
        """The step that failed."""
        return next((name for name, one in self.steps.items() if one.result == "failed"), "")


def error_of_problems(found: Result | Planned) -> PullkeyError | None:
    """The problems of a target as one error; None where there are none."""
    problems = found.problems
    if not problems:
        return None
    code = problems[0].code if len(problems) == 1 else Code.PREFLIGHT_FAILED
    fix = next((one.fix for one in problems if one.fix), "")
    return PullkeyError("; ".join(one.what for one in problems), fix=fix, code=code)
