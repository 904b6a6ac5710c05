"""The lagging replicas of a cloud's data.

There are two kinds of consistency:

* `strict`: a change takes effect after `--propagation`, on all replicas at the same moment, and reads show it
  immediately. For tests in which a single thing is late.
* `real`: a change reaches the replicas one after another within `--propagation` (default `REAL_LAG`), and
each
  call is answered by one of them: an account that was just created is shown, not shown, and shown again,
  until all replicas have it. A deleted object is still shown for a while. Recorded at Google
  (GoogleCloudPlatform/k8s-config-connector, an account just created: GET 200, 404, 200, 404, POST 409, GET
  404), and reported for Microsoft Graph.

Random numbers, from a seed and the object's name, decide which replica answers, so that runs are repeatable.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Collection
from typing import Literal

Consistency = Literal["strict", "real"]
CONSISTENCIES: tuple[Consistency, ...] = ("strict", "real")
Sort = Literal["identity", "grant", "key", "other"]
"""The kind of object that a change is about; clouds' delays depend on it."""
REAL_LAG = 1.5
"""Seconds until the last replica has a change. The clouds' own minute or two would not test more."""


class Replicas:
    """The replicas of one sandbox.

    Args:
        now: the sandbox's clock.
        consistency: see the module's docstring.
        lag: seconds until all replicas have a change.
        spreading: the sorts of change that lag; all if empty.
        seed: of the random numbers.

    Attributes:
        asked: how often an emulator has asked what of a change is in effect or shown.
    """

    asked = 0

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
        """Whether the replica that answers this time has a change made at `since`.

        Args:
            since: when the change was made.
            sort: the kind of object.
            subject: the object's name. Each object has its own random numbers, so that calls about others do
                not matter.
        """
        self.asked += 1
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
        """Whether a read shows a change made at `since`; immediately if the consistency is `strict`."""
        return self.consistency == "strict" or self.knows(since, sort, subject)

    def chance(self, *about: str) -> float:
        """The next random number from 0 to 1 in the sequence of a subject."""
        drawn = self._draws.get(about, 0)
        self._draws[about] = drawn + 1
        return random.Random(f"{self._seed}/{about}/{drawn}").random()  # noqa: S311  - repeatable on purpose
