"""The content of a cloud, and what each of its replicas knows of it.

A change is in effect at once, reaches one replica at once and the others one after another, and any of them
answers a read: an account that was just created may be shown, not shown, and shown again. Recorded of Google
(GoogleCloudPlatform/k8s-config-connector, an account just created: GET 200, 404, 200, 404, POST 409, GET
404), and reported of Microsoft Graph.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
REPLICAS = 3


@dataclass(frozen=True)
class _Version(Generic[T]):
    value: T | None
    known: tuple[float, ...]
    """The time from which each replica shows it."""


class Replicated(Generic[T]):
    """Objects by name.

    Args:
        now: the time in seconds.
        chance: which replica is late, and which one answers.
        lag: seconds until the last replica knows of a change, at most.
    """

    def __init__(self, now: Callable[[], float], chance: random.Random, lag: float) -> None:
        self._now = now
        self._chance = chance
        self.lag = lag
        self._versions: dict[str, list[_Version[T]]] = {}

    def write(self, name: str, value: T | None, *, everywhere: bool = False) -> None:
        """Change an object, or delete it with None.

        Args:
            name: its name.
            value: its new value.
            everywhere: whether all replicas know of it at once.
        """
        now = self._now()
        known = [now] * REPLICAS
        if self.lag and not everywhere:
            home = self._chance.randrange(REPLICAS)
            known = [
                now + (0 if one == home else self._chance.random() * self.lag) for one in range(REPLICAS)
            ]
        versions = self._versions.setdefault(name, [])
        if versions and max(versions[-1].known) <= now:
            del versions[:-1]
        versions.append(_Version(value, tuple(known)))

    def truth(self, name: str) -> T | None:
        """The object's current value."""
        versions = self._versions.get(name)
        return versions[-1].value if versions else None

    def truths(self) -> Iterator[T]:
        """The current values of all objects."""
        for versions in self._versions.values():
            if (value := versions[-1].value) is not None:
                yield value

    def replica(self) -> int:
        """Draw the replica that answers the next read."""
        return self._chance.randrange(REPLICAS) if self.lag else 0

    def read(self, name: str, replica: int) -> T | None:
        """The object as a replica shows it."""
        now = self._now()
        for version in reversed(self._versions.get(name, ())):
            if version.known[replica] <= now:
                return version.value
        return None

    def read_all(self, replica: int) -> list[T]:
        """All objects that a replica shows, in the order in which they were created."""
        return [value for name in self._versions if (value := self.read(name, replica)) is not None]
