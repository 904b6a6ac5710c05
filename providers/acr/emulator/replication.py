"""Azure's replication lag between a change and the time when all replicas have it.

Graph's reads lag its writes, and some replicas refuse a new client secret that others accept. With `strict`
consistency (`bootstrap.sandbox.replicas`), a lagging read shows nothing until `--propagation` has passed, and
checks of a secret alternate between a replica that does not have it (first) and one that has, so that tests
are deterministic. With `real` consistency, each read has its own replica, and Resource Manager lags too.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from bootstrap.sandbox.host import Sandbox, Sort

DELETED_ITEMS_KEPT = dt.timedelta(days=30)


@dataclass
class Lifetime:
    """When an object was created and removed, and how often it was checked while replicas differed.

    `subject` is the object's name, which determines the choice of `real` replicas. `purged` is when it was
    removed from the deleted items too, `restored` when it was last restored from them.
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
        """Whether the object exists for the replica that took the last write."""
        return self.removed is None

    @property
    def began(self) -> dt.datetime:
        """When it was created or last restored."""
        return self.restored or self.created


class Replicas:
    """The replicas of one sandbox's Azure."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def real(self) -> bool:
        return self._sandbox.replicas.consistency == "real"

    def knows(self, since: dt.datetime, lifetime: Lifetime) -> bool:
        """Whether the replica that answers this time has a change of the object."""
        return self._sandbox.visible(since, lifetime.sort, lifetime.subject)

    def seen(self, lifetime: Lifetime) -> bool:
        """Whether a lagging list shows the object."""
        if not self.knows(lifetime.began, lifetime):
            return False
        return lifetime.removed is None or not self.knows(lifetime.removed, lifetime)

    def found(self, lifetime: Lifetime) -> bool:
        """Whether a lagging read of the object shows it; `real` replicas may also show a deleted object."""
        return (self.real or lifetime.exists) and self.seen(lifetime)

    def shown(self, lifetime: Lifetime) -> bool:
        """Whether a read shows an object that lags only with `real` consistency."""
        if not self.shows(lifetime.began, lifetime.sort, lifetime.subject):
            return False
        removed = lifetime.removed
        return removed is None or not self.shows(removed, lifetime.sort, lifetime.subject)

    def shows(self, since: dt.datetime, sort: Sort, subject: str) -> bool:
        """Whether a read shows a change that lags only with `real` consistency."""
        return self._sandbox.shows(since, sort, subject)

    def in_deleted_items(self, lifetime: Lifetime) -> bool:
        """Whether the deleted items, read from a replica, show the object."""
        removed, purged = lifetime.removed, lifetime.purged
        if removed is None or self._sandbox.now() - removed >= DELETED_ITEMS_KEPT:
            return False
        if not self.knows(removed, lifetime):
            return False
        return purged is None or not self.knows(purged, lifetime)

    def honoured(self, lifetime: Lifetime) -> bool:
        """Whether the replica that answers this time accepts the object (a secret, a role)."""
        knows = self.knows(lifetime.removed or lifetime.began, lifetime)
        if knows or self.real:
            return knows == lifetime.exists
        lifetime.checks += 1
        knows = lifetime.checks % 2 == 0
        return knows == lifetime.exists
