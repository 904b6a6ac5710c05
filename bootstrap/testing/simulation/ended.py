"""The outcome of a command of the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bootstrap.engine.result import Result
from bootstrap.model.change import Change
from bootstrap.model.errors import LeftOver


@dataclass
class CommandResult:
    """The outcome of a command.

    Attributes:
        result: as the run reports it; "killed" if it could not report anything.
        says: each change that it reports, as in the audit trail.
    """

    result: str = "killed"
    exit_code: int = 137
    error: BaseException | None = None
    left_over: list[LeftOver] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    says: list[Change] = field(default_factory=list)
    key_id: str = ""
    seconds: float = 0.0

    def of(self, result: Result, *, notices: Sequence[str]) -> None:
        """Take what an operation has reported.

        Args:
            result: its result.
            notices: what is shown besides.
        """
        self.result, self.exit_code, self.error = result.result, result.exit_code, result.error
        self.left_over = list(result.left_over)
        self.notices = [*notices, *(f"{one.what} {one.fix}" for one in result.problems)]

    @property
    def succeeded(self) -> bool:
        """Whether it reports success."""
        return self.exit_code == 0 and self.result in ("done", "unchanged")

    @property
    def registered(self) -> bool:
        """Whether it reports that it registered a key."""
        return any(one.step == "handoff" and one.outcome == "done" for one in self.says)

    def names(self, what: str) -> bool:
        """Whether it names something."""
        texts = [*(f"{one.what} {one.command}" for one in self.left_over), *self.notices]
        texts += [f"{self.error} {getattr(self.error, 'fix', '')}"] if self.error is not None else []
        return any(what in text for text in texts)
