"""The interface of progress displays for work on many targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bootstrap.fleet.entry import Entry
from bootstrap.model.deadline import Tell

if TYPE_CHECKING:
    from bootstrap.fleet.planner import Planned
    from bootstrap.fleet.target_result import TargetResult


class FleetReporter(Protocol):
    """Receives the events of the work on a file."""

    def begin(self, what: str, count: int) -> None:
        """`count` targets are about to be read or changed."""

    def at_work(self, entry: Entry, doing: str) -> None:
        """Work on a target has started, or its activity has changed."""

    def seen(self, planned: Planned) -> None:
        """A target was planned."""

    def ended(self, result: TargetResult) -> None:
        """A target's work has ended."""

    def notice(self, text: str) -> None:
        """A note for the user."""

    def interrupted(self, text: str) -> None:
        """A signal arrived; `text` says what happens now."""

    @property
    def trace(self) -> Tell:
        """Shows one API call, for `--verbose`; else it is `silent`."""

    def tick(self) -> None:
        """A second or so has passed."""

    def close(self) -> None:
        """There are no more events."""
