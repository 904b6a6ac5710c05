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
        targets: the result for each target, by the name of its secret.
        registered: the names of the secrets for which it reports that it registered a key.
        key_ids: the keys that it reports as registered.
    """

    result: str = "killed"
    exit_code: int = 137
    error: BaseException | None = None
    left_over: list[LeftOver] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    says: list[Change] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)
    registered: set[str] = field(default_factory=set)
    key_ids: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def of(self, secret_name: str, result: Result, *, notices: Sequence[str]) -> None:
        """Take what an operation has reported for one target.

        Args:
            secret_name: that of the target.
            result: its result.
            notices: what is shown besides.
        """
        self.targets[secret_name] = self.result = result.result
        self.exit_code = result.exit_code
        self.left_over += result.left_over
        self.notices += [*notices, *(f"{one.what} {one.fix}" for one in result.problems)]
        if result.error is not None:
            self.error = result.error
            self.notices += [f"{result.error} {result.error.fix}"]

    @property
    def succeeded(self) -> bool:
        """Whether it reports success."""
        return self.exit_code == 0 and {*self.targets.values()} <= {"done", "unchanged"}

    def names(self, what: str) -> bool:
        """Whether it names something."""
        texts = [*(f"{one.what} {one.command}" for one in self.left_over), *self.notices]
        texts += [f"{self.error} {getattr(self.error, 'fix', '')}"] if self.error is not None else []
        return any(what in text for text in texts)
