"""What happens by chance: latencies, which replica answers, and the faults. All of it from one seed."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What may go wrong with one call."""

    NONE = "none"
    DROPPED = "dropped"
    """The request never arrives, and there is no answer."""
    LOST = "lost"
    """It is carried out, and there is no answer."""
    FAILED = "failed"
    """A server error, and nothing was done."""
    FAILED_LATE = "failed late"
    """A server error, and it was done."""
    BUSY = "busy"
    """A rate limit, with Retry-After."""


_OF_READS = (Fault.DROPPED, Fault.FAILED, Fault.BUSY)
_OF_CHANGES = (Fault.DROPPED, Fault.LOST, Fault.LOST, Fault.FAILED, Fault.FAILED_LATE, Fault.BUSY)


@dataclass(frozen=True)
class Drawn:
    """One fault, with the number by which the shrinker leaves it out; 0 for none."""

    fault: Fault
    number: int = 0


class Chance:
    """The dice of one simulation.

    Args:
        seed: of all of it.
        rate: the part of the calls that go wrong.
        without: the numbers of faults that do not happen, though the dice say so.
        latency: the longest that a call takes on its way, and back, in seconds.
    """

    def __init__(self, seed: int, *, rate: float, without: Collection[int], latency: float) -> None:
        self.random = random.Random(seed)  # noqa: S311  - repeatable on purpose
        self.rate = rate
        self.faults = 0
        """How many there have been, those left out included."""
        self._without = frozenset(without)
        self._latency = latency

    def latency(self) -> float:
        """How long a request or an answer takes."""
        return 0.02 + self.random.random() * self._latency

    def fault(self, *, changes: bool) -> Drawn:
        """What goes wrong with the next call.

        Args:
            changes: whether it changes anything.
        """
        if self.random.random() >= self.rate:
            return Drawn(Fault.NONE)
        self.faults += 1
        fault = self.random.choice(_OF_CHANGES if changes else _OF_READS)
        return Drawn(Fault.NONE if self.faults in self._without else fault, self.faults)

    def happens(self, rate: float) -> bool:
        """Whether something happens that does so at this rate; it counts as a fault."""
        if rate <= 0 or self.random.random() >= rate:
            return False
        self.faults += 1
        return self.faults not in self._without

    def hexadecimal(self, digits: int) -> str:
        """An id."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"
