"""What shows how work on many targets goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bootstrap.fleet.registries import Entry

if TYPE_CHECKING:
    from bootstrap.fleet.planner import Planned
    from bootstrap.fleet.target_result import TargetResult


class Board(Protocol):
    """Takes the events of a whole file's work."""

    def begin(self, what: str, count: int) -> None:
        """`count` targets are looked at or changed now."""

    def at_work(self, entry: Entry, doing: str) -> None:
        """A target's turn has begun, or it does something else now."""

    def seen(self, planned: Planned) -> None:
        """It is known what is to be done for a target."""

    def ended(self, result: TargetResult) -> None:
        """A target's work has ended."""

    def notice(self, text: str) -> None:
        """Something to know."""

    def interrupted(self, text: str) -> None:
        """A signal came; what happens now."""

    def trace(self, text: str) -> None:
        """One call of an API, for `--verbose`."""

    def tick(self) -> None:
        """A second or so has passed."""

    def close(self) -> None:
        """Nothing more comes."""
