"""What the clouds do between a change and the moment that every replica knows of it.

Graph's reads lag its writes, and a fresh client secret is refused by some replicas and taken by others. With
strict replicas (`bootstrap.sandbox.replicas`) a lagging read sees nothing until `--propagation` has passed,
and a check alternates between a replica that knows and one that does not, beginning with the latter, so that
a test's outcome does not depend on chance. With real ones each read has a replica of its own, and Resource
Manager's lag too.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from bootstrap.sandbox.host import Sandbox, Sort

DELETED_ITEMS_KEPT = dt.timedelta(days=30)


@dataclass
class Lifetime:
    """When a thing of that sort was made and removed, and how often it was checked while replicas disagreed.

    `subject` is the name of the thing, by which real replicas are chosen. `purged` is when it was removed
    from the deleted items too, and `restored` when it was last brought back from them.
    """

    created: dt.datetime
    removed: dt.datetime | None = None
    restored: dt.datetime | None = None
    purged: dt.datetime | None = None
    sort: Sort = "identity"
    subject: str = ""
    checks: int = 0

    @property
    def exists(self) -> bool:
        """Whether the thing is there for the replica that took the last write."""
        return self.removed is None

    @property
    def began(self) -> dt.datetime:
        """Since when it is there, this time."""
        return self.restored or self.created


class Replicas:
    """The replicas of one sandbox's Azure."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def real(self) -> bool:
        return self._sandbox.replicas.consistency == "real"

    def knows(self, since: dt.datetime, lifetime: Lifetime) -> bool:
        """Whether a change of the thing counts for the replica that is asked this time."""
        return self._sandbox.visible(since, lifetime.sort, lifetime.subject)

    def seen(self, lifetime: Lifetime) -> bool:
        """Whether a lagging list shows the thing."""
        if not self.knows(lifetime.began, lifetime):
            return False
        return lifetime.removed is None or not self.knows(lifetime.removed, lifetime)

    def found(self, lifetime: Lifetime) -> bool:
        """Whether a lagging read of this one thing shows it; real ones go on showing what was deleted,
        too.
        """
        return (self.real or lifetime.exists) and self.seen(lifetime)

    def shown(self, lifetime: Lifetime) -> bool:
        """Whether a read shows the thing that lags real replicas only."""
        if not self.shows(lifetime.began, lifetime.sort, lifetime.subject):
            return False
        removed = lifetime.removed
        return removed is None or not self.shows(removed, lifetime.sort, lifetime.subject)

    def shows(self, since: dt.datetime, sort: Sort, subject: str) -> bool:
        """Whether a read shows a change that lags real replicas only."""
        return self._sandbox.shows(since, sort, subject)

    def in_deleted_items(self, lifetime: Lifetime) -> bool:
        """Whether the deleted items show the thing; they too are read from a replica."""
        removed, purged = lifetime.removed, lifetime.purged
        if removed is None or self._sandbox.now() - removed >= DELETED_ITEMS_KEPT:
            return False
        if not self.knows(removed, lifetime):
            return False
        return purged is None or not self.knows(purged, lifetime)

    def honoured(self, lifetime: Lifetime) -> bool:
        """Whether the replica that is asked this time lets the thing count."""
        knows = self.knows(lifetime.removed or lifetime.began, lifetime)
        if knows or self.real:
            return knows == lifetime.exists
        lifetime.checks += 1
        knows = lifetime.checks % 2 == 0
        return knows == lifetime.exists
