"""Random decisions: latencies, which replica answers, and the faults. All follow from one seed."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """A fault of one call."""

    NONE = "none"
    DROPPED = "dropped"
    """The request never arrives, and there is no answer."""
    LOST = "lost"
    """It is carried out, and there is no answer."""
    FAILED = "failed"
    """A server error; nothing was done."""
    FAILED_LATE = "failed late"
    """A server error; the request was carried out."""
    BUSY = "busy"
    """A rate limit, with Retry-After."""


_OF_READS = (Fault.DROPPED, Fault.FAILED, Fault.BUSY)
_OF_CHANGES = (Fault.DROPPED, Fault.LOST, Fault.LOST, Fault.FAILED, Fault.FAILED_LATE, Fault.BUSY)


@dataclass(frozen=True)
class Drawn:
    """One fault, with the number by which the shrinker excludes it; 0 for none."""

    fault: Fault
    number: int = 0


class Chance:
    """The random decisions of one simulation.

    Args:
        seed: of all of them.
        rate: the fraction of calls that fail.
        without: the numbers of faults that are excluded, although they were drawn.
        latency: the maximum duration of a request, and of an answer, in seconds.
    """

    def __init__(self, seed: int, *, rate: float, without: Collection[int], latency: float) -> None:
        self.random = random.Random(seed)  # noqa: S311  - repeatable on purpose
        self.rate = rate
        self.faults = 0
        """The number of faults drawn, excluded ones included."""
        self._without = frozenset(without)
        self._latency = latency

    def latency(self) -> float:
        """Draw the duration of a request or an answer, in seconds."""
        return 0.02 + self.random.random() * self._latency

    def fault(self, *, changes: bool) -> Drawn:
        """Draw the fault of the next call.

        Args:
            changes: whether it changes anything.
        """
        if self.random.random() >= self.rate:
            return Drawn(Fault.NONE)
        self.faults += 1
        fault = self.random.choice(_OF_CHANGES if changes else _OF_READS)
        return Drawn(Fault.NONE if self.faults in self._without else fault, self.faults)

    def happens(self, rate: float) -> bool:
        """Draw whether an event of this rate happens; it counts as a fault."""
        if rate <= 0 or self.random.random() >= rate:
            return False
        self.faults += 1
        return self.faults not in self._without

    def hexadecimal(self, digits: int) -> str:
        """Draw an id."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"
