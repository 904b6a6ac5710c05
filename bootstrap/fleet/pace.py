"""How long a run takes at least, by the clouds' documented quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bootstrap.fleet.planner import Action, Planned
from bootstrap.plugin.quota import ALWAYS, REMOVAL, Charge, Quota


@dataclass(frozen=True)
class Pace:
    """The quota that limits a plan most.

    Attributes:
        calls: how many calls the plan takes of it.
        place: whose quota it is.
        seconds: how long these calls take.
    """

    quota: Quota
    place: str
    calls: int
    seconds: float


def pace_of(plan: Sequence[Planned]) -> Pace | None:
    """The pace of a plan; None if it changes nothing, or if no quota of its clouds is documented."""
    calls: Counter[tuple[Quota, str]] = Counter()
    counted = set()
    for one in plan:
        if not one.action.changes:
            continue
        steps = _steps(one)
        for charge in _charges(one):
            key = charge.quota, charge.place
            calls[key] += sum(charge.each.get(step, 0) for step in steps)
            for step in steps:
                once = *key, charge.shared_by, step
                if once not in counted:
                    counted.add(once)
                    calls[key] += charge.shared.get(step, 0)
    found = [
        Pace(quota, place, count, max(0.0, count - quota.at_once) / quota.per_second)
        for (quota, place), count in calls.items()
        if count
    ]
    return max(found, key=lambda one: (one.seconds, one.calls / one.quota.per_second), default=None)


def _steps(one: Planned) -> Iterable[str]:
    return [ALWAYS, REMOVAL] if one.action is Action.REMOVE else [ALWAYS, *one.steps]


def _charges(one: Planned) -> Iterator[Charge]:
    yield from getattr(one.entry.target, "charges", ())
