"""The moment by which a run must have ended, and how long one call may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.model import clock

# How long a call may take after the deadline that completes or undoes what was changed before.
_AFTER_SECONDS = 5.0


# How long all other calls may take after it together: what was begun in the last moment may still be
# answered.
_LAST_MOMENT_SECONDS = 1.0


_LEAST_CALL_SECONDS = 0.5


@dataclass
class Turn:
    """When a run, or the turn of a target, must have ended; and whether it settles what it has changed."""

    end: float
    settles: bool = False


class Deadline:
    """The moment by which a run must have ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._turn = Turn(clock.monotonic() + seconds)

    def _now(self) -> Turn:
        return self._turn

    @property
    def left(self) -> float:
        return max(0.0, self._now().end - clock.monotonic())

    def extend(self, seconds: float) -> None:
        """Leave out of account what was waited for on purpose, such as the overlap of a rotation."""
        self._now().end += seconds

    @property
    def passed(self) -> bool:
        return self.left <= 0

    def settle(self) -> None:
        """From now on calls complete or undo what was changed: each has a little time of its own after the
        deadline.
        """
        self._now().settles = True

    def clip(self, seconds: float) -> float:
        """How long one call may take that is given `seconds` at most: no longer than is left of the run.

        All that is still under way when the deadline comes shares one second more; see also `settle`.
        """
        turn = self._now()
        left = turn.end - clock.monotonic()
        if turn.settles and left <= 0:
            return min(seconds, _AFTER_SECONDS)
        return min(seconds, max(left, min(left, 0) + _LAST_MOMENT_SECONDS, _LEAST_CALL_SECONDS))


Tell = Callable[[str], None]


"""Takes one line for the person who waits."""
