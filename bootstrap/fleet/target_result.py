"""What became of one target of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootstrap.engine.result import Result
from bootstrap.fleet.planner import Planned
from bootstrap.fleet.registries import Entry
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError


@dataclass(kw_only=True)
class TargetResult(Result):
    """What became of one target: the result of its operation, or why none was begun.

    Attributes:
        result: as that of its operation; besides `postponed`, where there is no place for its key yet,
            `drift`, where it needs something that is not this command's to do, and `not begun`.
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
        # What removes a thing holds on to its session, and there may be thousands.
        return cls(planned=planned, **{**vars(result), "error": error, "removals": [], **more})

    @property
    def entry(self) -> Entry:
        return self.planned.entry

    @property
    def failed(self) -> bool:
        """Whether it is not as it was to be; what is left over beside it is another matter."""
        return self.result not in ("done", "unchanged", "unneeded", "postponed", "drift")

    @property
    def failed_at(self) -> str:
        """The step that failed."""
        return next((name for name, one in self.steps.items() if one.result == "failed"), "")


def error_of_problems(found: Result | Planned) -> PullkeyError | None:
    """All that refuses a target, as one error."""
    problems = found.problems
    if not problems:
        return None
    code = problems[0].code if len(problems) == 1 else Code.PREFLIGHT_FAILED
    fix = next((one.fix for one in problems if one.fix), "")
    return PullkeyError("; ".join(one.what for one in problems), fix=fix, code=code)
