"""What became of one target of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.errors import ExitCode, LeftOver, PullkeyError
from bootstrap.fleet.look import Planned
from bootstrap.fleet.registries import Entry


@dataclass
class Ended:
    """What became of one target.

    Attributes:
        result: `done`, `unchanged`, `postponed`, `drift`, `failed`, `refused`, `interrupted` or `not begun`; `drift` where
            it needs something that is not this command's to do, `postponed` where there is no place for its key yet.
    """

    planned: Planned
    result: str = "unchanged"
    exit_code: ExitCode = ExitCode.DONE
    changed: bool = False
    key_id: str = ""
    proven: str = ""
    detail: str = ""
    seconds: float = 0.0
    error: PullkeyError | None = None
    notices: Sequence[str] = ()
    undone: Sequence[str] = ()
    left_over: Sequence[LeftOver] = ()
    failed_at: str = ""

    @property
    def entry(self) -> Entry:
        return self.planned.entry

    @property
    def failed(self) -> bool:
        """Whether it is not as it was to be; what is left over beside it is another matter."""
        return self.result not in ("done", "unchanged", "unneeded", "postponed", "drift")
