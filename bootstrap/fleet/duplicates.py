"""Targets that have one Akka secret, which shows only once Akka has named project and owner.

`registries` refuses those that the file alone shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootstrap.akka.scope import AkkaScope
from bootstrap.fleet import messages
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.planner import Planned


def block_duplicates(plan: Sequence[Planned], scope: Callable[[Entry], AkkaScope]) -> None:
    """Block all targets of one Akka secret: each would overwrite the other's credential.

    Args:
        plan: of the targets.
        scope: returns a target's Akka project, with the names that Akka shows as far as they were read.
    """
    sharing: dict[str, list[Planned]] = {}
    for one in plan:
        if place := scope(one.entry).place_everywhere(one.entry.secret_name):
            sharing.setdefault(place, []).append(one)
    for same in sharing.values():
        for one in same if len(same) > 1 else ():
            lines = [other.entry.place.line for other in same if other is not one]
            one.block(messages.same_secret(one.entry.secret_name, scope(one.entry).label, lines))
