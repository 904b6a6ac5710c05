"""Replicas of a cloud's data, of which some do not yet know of a change.

Two kinds of consistency:

* `strict`: a change counts once `--propagation` has passed, on all replicas at the same moment, and what is
  read shows it at once. Right for a test that wants one thing to be late and all else to hold still.
* `real`: each change reaches the replicas one after another within `--propagation` (`REAL_LAG` unless given),
  and each question is answered by one of them: an account that was just created is there, is not, is there
  again, until all know of it. Recorded so of Google (GoogleCloudPlatform/k8s-config-connector, an account
  just created: GET 200, 404, 200, 404, POST 409, GET 404), and reported of Microsoft Graph. What was deleted
  is likewise still shown for a while.

Chance decides which replica answers, by a seed and by what is asked of: the same run asks the same replicas
again.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Collection
from typing import Literal

Consistency = Literal["strict", "real"]
CONSISTENCIES: tuple[Consistency, ...] = ("strict", "real")
Sort = Literal["identity", "grant", "key", "other"]
"""What a change is of, as far as clouds take their time over it."""
REAL_LAG = 1.5
"""Seconds until the last replica knows of a change; the clouds' own minute or two would teach a test
nothing more.
"""


class Replicas:
    """The replicas of one sandbox.

    Args:
        now: the sandbox's clock.
        consistency: see the module's text.
        lag: seconds until a change is known everywhere.
        spreading: the sorts of change that take that long; all if empty.
        seed: of the dice.
    """

    def __init__(
        self,
        now: Callable[[], dt.datetime],
        *,
        consistency: Consistency = "strict",
        lag: float = 0.0,
        spreading: Collection[Sort] = (),
        seed: int = 0,
    ) -> None:
        self._now = now
        self.consistency: Consistency = consistency
        self._lag = lag or (REAL_LAG if consistency == "real" else 0.0)
        self._spreading = spreading
        self._seed = seed
        self._draws: dict[tuple[str, ...], int] = {}
        self._needed: dict[tuple[str, str, dt.datetime], float] = {}

    def knows(self, since: dt.datetime, sort: Sort = "other", subject: str = "") -> bool:
        """Whether a change made at `since` counts for the replica that decides this time.

        Args:
            since: when the change was made.
            sort: what it is of.
            subject: the name of what was changed. Each has dice of its own, so that other calls do not
                decide.
        """
        if self._spreading and sort not in self._spreading:
            return True
        age = (self._now() - since).total_seconds()
        if age >= self._lag:
            return True
        if self.consistency == "strict":
            return False
        change = (sort, subject, since)
        if change not in self._needed:
            self._needed[change] = self._lag * (0.4 + 0.6 * self.chance(sort, subject, "needed"))
        return age >= self._needed[change] or self.chance(sort, subject) < 0.5

    def shows(self, since: dt.datetime, sort: Sort = "other", subject: str = "") -> bool:
        """Whether the replica that answers a read shows a change made at `since`; at once where they are
        strict.
        """
        return self.consistency == "strict" or self.knows(since, sort, subject)

    def chance(self, *about: str) -> float:
        """The next number from 0 to 1 of the dice for something."""
        drawn = self._draws.get(about, 0)
        self._draws[about] = drawn + 1
        return random.Random(f"{self._seed}/{about}/{drawn}").random()  # noqa: S311  - repeatable on purpose
