"""What the clouds do between a change and the moment that every replica knows of it.

Graph's reads lag its writes, and a fresh client secret is refused by some replicas and taken by others. Here a lagging
read sees nothing until `--propagation` has passed, and a check alternates between a replica that knows and one that
does not, beginning with the latter, so that a test's outcome does not depend on chance.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from bootstrap.sandbox.host import Sandbox, Sort


@dataclass
class Lifetime:
    """When a thing of that sort was made and removed, and how often it was checked while replicas disagreed."""

    created: dt.datetime
    removed: dt.datetime | None = None
    sort: Sort = "identity"
    checks: int = 0

    @property
    def exists(self) -> bool:
        """Whether the thing is there for the replica that took the last write."""
        return self.removed is None


class Replicas:
    """The replicas of one sandbox's Azure."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def seen(self, lifetime: Lifetime) -> bool:
        """Whether a lagging read shows the thing."""
        if not self._sandbox.visible(lifetime.created, lifetime.sort):
            return False
        return lifetime.removed is None or not self._sandbox.visible(lifetime.removed, lifetime.sort)

    def honoured(self, lifetime: Lifetime) -> bool:
        """Whether the replica that is asked this time lets the thing count."""
        if self._sandbox.visible(lifetime.removed or lifetime.created, lifetime.sort):
            return lifetime.exists
        lifetime.checks += 1
        knows = lifetime.checks % 2 == 0
        return knows == lifetime.exists
