"""The time limit of a run, and how long each of its calls may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.model import clock

# A call that completes or undoes an earlier change may take this long after the deadline.
_AFTER_SECONDS = 5.0
# All other calls together may take this long after the deadline, to get the answer to a call just sent.
_LAST_MOMENT_SECONDS = 1.0
_LEAST_CALL_SECONDS = 0.5


@dataclass
class Turn:
    """When a run, or a target's share of it, must end, and whether it is completing or undoing changes."""

    end: float
    settles: bool = False


class Deadline:
    """The time limit of a run."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._turn = Turn(clock.monotonic() + seconds)

    def _now(self) -> Turn:
        return self._turn

    @property
    def left(self) -> float:
        return max(0.0, self._now().end - clock.monotonic())

    def begin(self) -> None:
        """Give the current task time of its own, where each task has some (`TurnDeadline`); else do nothing.

        A call that several tasks share then depends on the time of none of them.
        """

    def extend(self, seconds: float) -> None:
        """Extend the deadline by time that was waited on purpose, such as the overlap of a rotation."""
        self._now().end += seconds

    @property
    def passed(self) -> bool:
        return self.left <= 0

    def settle(self) -> None:
        """Allow each call a few seconds after the deadline: from now on calls complete or undo changes."""
        self._now().settles = True

    def clip(self, seconds: float) -> float:
        """The time limit of one call: `seconds`, or what is left of the run if that is less.

        Calls that are in progress when the deadline passes share one more second; see also `settle`.
        """
        turn = self._now()
        left = turn.end - clock.monotonic()
        if turn.settles and left <= 0:
            return min(seconds, _AFTER_SECONDS)
        return min(seconds, max(left, min(left, 0) + _LAST_MOMENT_SECONDS, _LEAST_CALL_SECONDS))


Tell = Callable[[str], None]
"""Shows one line of progress to the user."""


def silent(_line: str) -> None:
    """A `Tell` that shows nothing: a line whose text is costly need not be made for it."""
