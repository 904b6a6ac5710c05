"""Decides which new keys fit under the key limit of a shared identity; the rest are postponed or blocked.

A cloud's limit counts every key of an identity, including replaced and disabled ones. A rotation is postponed
only where room becomes free: a replaced key is deleted once its grace period is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Iterable, Sequence

from bootstrap.fleet import messages
from bootstrap.fleet.planner import Action, Planned
from bootstrap.model import clock
from bootstrap.model.key_facts import KeyLimit
from bootstrap.plugin.step import EngineStep, StepRole

_LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)


def fit_under_limits(plan: Sequence[Planned]) -> None:
    """Postpone or block each target that needs a key for which there is no room."""
    for one in plan:
        if one.limit_problem is not None and one.keys is None:
            one.block(one.limit_problem)
    for sharing in _sharing(plan).values():
        limit = sharing[0].entry.target.key_limit
        if limit is not None:
            _fit(sharing, limit)


def _sharing(plan: Iterable[Planned]) -> dict[str, list[Planned]]:
    """The targets whose identity's keys were counted, by identity."""
    found: dict[str, list[Planned]] = {}
    for one in plan:
        if one.keys is not None and one.action is not Action.REMOVE:
            found.setdefault(one.entry.target.shared_identity_key, []).append(one)
    return found


def _fit(sharing: Sequence[Planned], limit: KeyLimit) -> None:
    there: set[str] = set().union(*(one.keys or () for one in sharing))
    going = {one.replaced for one in sharing if _clears_anyway(one)} & there
    going |= set().union(*(one.lost for one in sharing if one.action.changes)) & there
    free = limit.at_most - len(there) + len(going)
    # When each replaced key is deleted, whichever target replaced it.
    comes = [one.replaced_until or clock.now() for one in sharing if one.replaced in there - going]
    comes += [
        clock.now()
        for one in sharing
        if (one.listed_replaced & there) - {other.replaced for other in sharing}
    ]
    without = []
    makers = sorted(
        (one for one in sharing if one.action.changes and StepRole.KEY in one.steps), key=_urgency
    )
    for one in makers:
        if EngineStep.CLEAR not in one.steps or _clears_anyway(one):
            if free < 1:
                without.append(one)
                continue
            free -= not _gives_back(one)
        if not _gives_back(one) and EngineStep.RETIRE in one.steps:
            comes.append(clock.now() + one.entry.keep_old)
    for one in without:
        _leave_out(one, limit, len(there), min(comes, default=None))
    for one in makers:
        one.slot_comes = bool(comes)


def _urgency(one: Planned) -> tuple[bool, dt.datetime, dt.datetime, int]:
    """Sort key: targets that cannot pull now first, then by expiry, then by age of the key."""
    rotates = one.action is Action.ROTATE
    return (
        rotates,
        one.expires or _LATEST if rotates else _LATEST,
        one.created or _LATEST if rotates else _LATEST,
        one.entry.number,
    )


def _clears_anyway(one: Planned) -> bool:
    """Whether the key that its current one replaced is deleted even if it gets no new key."""
    if EngineStep.CLEAR not in one.steps or not one.action.changes:
        return False
    return StepRole.KEY not in one.steps or (
        one.replaced_until is not None and one.replaced_until <= clock.now()
    )


def _gives_back(one: Planned) -> bool:
    """Whether the key that is replaced is deleted in the same run."""
    link = one.held.link if one.held else None
    return (
        EngineStep.RETIRE in one.steps
        and not one.entry.keep_old
        and link is not None
        and link.key_id in (one.keys or ())
    )


def _leave_out(one: Planned, limit: KeyLimit, there: int, comes: dt.datetime | None) -> None:
    """Postpone a rotation, unless its key expires before there is room; block anything else."""
    what = messages.no_slot(limit, there)
    waits = one.action is Action.ROTATE and comes is not None
    if waits and (one.expires is None or comes is None or one.expires > comes):
        one.reasons = [
            *one.reasons,
            f"{what}. A slot becomes free when a replaced key's grace period is over",
        ]
        one.postponed = True
        if _clears_anyway(one):
            one.steps = {EngineStep.CLEAR: one.steps[EngineStep.CLEAR]}
        else:
            one.action, one.steps = Action.POSTPONED, {}
        return
    ends = (
        f"; its key expires on {one.expires:%Y-%m-%d %H:%M} UTC, before a slot becomes free"
        if waits and one.expires
        else ""
    )
    one.block(one.limit_problem or messages.no_slot_problem(f"{what}{ends}", limit))


class KeySlots:
    """Assigns free key slots to the targets in progress, and takes back those that become free.

    Args:
        plan: the result of `fit_under_limits`.
    """

    def __init__(self, plan: Sequence[Planned]) -> None:
        self._of: dict[str, _Slots] = {}
        for who, sharing in _sharing(plan).items():
            limit = sharing[0].entry.target.key_limit
            if limit is not None:
                there: set[str] = set().union(*(one.keys or () for one in sharing))
                coming = sum(_frees(one) > 0 and not _takes(one) for one in sharing)
                self._of[who] = _Slots(limit.at_most - len(there), coming)

    @contextlib.asynccontextmanager
    async def slot(self, one: Planned) -> AsyncIterator[_Slot]:
        """Wait for a key slot where a new key needs one."""
        slots = self._of.get(one.entry.target.shared_identity_key)
        if slots is None or not one.action.changes:
            yield _Slot(True)
            return
        slot = _Slot(await slots.take(frees=_frees(one) > 0) if _takes(one) else True)
        try:
            yield slot
        finally:
            if slot.assigned:
                back = _frees(one) if slot.changed else int(_takes(one))
                await slots.give(back=back, frees=_frees(one) > 0)


def _takes(one: Planned) -> bool:
    """Whether its new key needs a slot that its own run does not free first."""
    return StepRole.KEY in one.steps and not _deleted_first(one)


def _deleted_first(one: Planned) -> int:
    """How many keys its run deletes before it creates one."""
    return (EngineStep.CLEAR in one.steps) + (len(one.lost) if EngineStep.LOST in one.steps else 0)


def _frees(one: Planned) -> int:
    """How many slots its run frees, beyond the one that it takes or fills itself."""
    first = _deleted_first(one)
    if StepRole.KEY not in one.steps:
        return first
    return max(first - 1, 0) + _gives_back(one)


class _Slot:
    """Whether a slot was assigned; `changed` is set once the target's work is done."""

    def __init__(self, assigned: bool) -> None:
        self.assigned = assigned
        self.changed = False


class _Slots:
    def __init__(self, free: int, coming: int) -> None:
        self._free = free
        self._coming = coming  # targets in progress or queued that free a slot and wait for none
        self._change = asyncio.Condition()

    async def take(self, *, frees: bool) -> bool:
        """Take a slot; False where none is free or about to become free."""
        async with self._change:
            await self._change.wait_for(lambda: self._free > 0 or not self._coming)
            if self._free <= 0:
                return False
            self._free -= 1
            self._coming += frees
            return True

    async def give(self, *, back: int, frees: bool) -> None:
        async with self._change:
            self._free += back
            self._coming -= frees
            self._change.notify_all()
