"""What a run tells, as it goes on. How that looks is `display`'s business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bootstrap.errors import LeftOver, Problem
from bootstrap.steps import Removal, Sighting


class Reporter(Protocol):
    """Takes the events of one run, in order."""

    def connected(self, label: str, who: str) -> None:
        """The preflight has begun, for this target and as this person."""

    def planned(self, rows: Sequence[tuple[str, str, Sighting]]) -> None:
        """The steps: name, title, and what was seen of each."""

    def removals(self, removals: Sequence[Removal]) -> None:
        """What offboarding will do with each thing."""

    def notice(self, text: str) -> None:
        """Something to know."""

    def problems(self, problems: Sequence[Problem]) -> None:
        """What must be mended first."""

    def begin(self, name: str, title: str) -> None:
        """A step has begun."""

    def waiting(self, text: str) -> None:
        """What is waited for, and why."""

    def finish(self, name: str, detail: str, seconds: float) -> None:
        """A step is done."""

    def fail(self, name: str, text: str) -> None:
        """A step has failed."""

    def undone(self, text: str) -> None:
        """Something this run (or a lost one) had made is gone."""

    def left_over(self, items: Sequence[LeftOver]) -> None:
        """What could not be undone."""

    def trace(self, text: str) -> None:
        """One call of an API, for `--verbose`."""

    def confirm(self, question: str) -> bool:
        """Ask before the first change."""

    def close(self) -> None:
        """Nothing more comes."""
