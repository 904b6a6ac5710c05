"""Applies a plan to many targets in parallel; one that fails does not stop the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bootstrap.akka.records import keys_of
from bootstrap.engine.locate import already_read
from bootstrap.engine.messages import cloud_resources_of_replaced, resources_of_replaced
from bootstrap.engine.messages_removal import resources_not_found
from bootstrap.engine.offboard import remove_overwritten
from bootstrap.engine.operation import Operation
from bootstrap.engine.removal_entry import being_removed
from bootstrap.engine.removal_planner import OVERWRITTEN
from bootstrap.engine.unrecorded_keys import unrecorded_keys
from bootstrap.fleet import messages
from bootstrap.fleet.duplicates import block_duplicates
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.key_room import KeySlots, fit_under_limits
from bootstrap.fleet.planner import Action, Planned, Planner
from bootstrap.fleet.progress import FleetReporter
from bootstrap.fleet.registries import of_one_identity
from bootstrap.fleet.scheduler import Failure, Scheduler
from bootstrap.fleet.target_result import TargetResult, error_of_problems
from bootstrap.fleet.workspace import Workspace
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import ExitCode, KeyLimitReached, LeftOver, ProblemKind, PullkeyError
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import StepRole

_RECENT_SECONDS = 300.0


@dataclass
class Executor:
    """Plans and applies the targets of a file.

    Attributes:
        changing: whether anything may have been changed by now.
    """

    workspace: Workspace
    scheduler: Scheduler
    planner: Planner
    reporter: FleetReporter
    changing: bool = field(default=False, init=False)
    _at_work: dict[int, Operation] = field(default_factory=dict, init=False)
    _slots: KeySlots = field(default_factory=lambda: KeySlots([]), init=False)
    _stopped: bool = field(default=False, init=False)

    # -- as `bootstrap.cli.signals.Interruptible` ------------------------------------------------------------

    then = "rolling back each target at work, unless Akka has its new key by then"

    def interrupt(self) -> None:
        """Start no further target, and end those in progress in order."""
        self._stopped = True
        for work in self._at_work.values():
            work.interrupt()

    def unfinished(self) -> list[str]:
        return [what for work in self._at_work.values() for what in work.unfinished()]

    @property
    def stopped(self) -> bool:
        return self._stopped

    # -- looking ---------------------------------------------------------------------------------------------

    async def plan(
        self, entries: Sequence[Entry], chosen: Callable[[Sequence[Planned]], None] = lambda _: None
    ) -> list[Planned]:
        """What each target needs, in the order of the file.

        Args:
            entries: the targets.
            chosen: removes what this command does not do, before the room for keys is assigned.
        """
        self.reporter.begin("looking", len(entries))

        async def one(entry: Entry) -> Planned:
            async with self.scheduler.reading(entry):
                self.reporter.at_work(entry, "looking")
                planned = await self.planner.at(entry)
            self.reporter.seen(planned)
            return planned

        with self.workspace.pool.reading():
            plan = await each(entries, one)
        block_duplicates(plan, self.workspace.scope)
        chosen(plan)
        fit_under_limits(plan)
        _note_shared_removals(plan)
        _note_little_room(plan)
        return plan

    # -- doing -----------------------------------------------------------------------------------------------

    async def do(self, plan: Sequence[Planned]) -> list[TargetResult]:
        """Apply a plan. Removals come last, so that none deletes what another target has just found."""
        self.changing = True
        if all(_is_recent(one.seen) for one in plan):
            self.workspace.shared.invalidate_state()
        else:
            # The user took time to confirm, so the state is read again.
            self.workspace.shared.invalidate()
        going = [one for one in plan if one.action.changes]
        self.reporter.begin("changing", len(going))
        self._slots = KeySlots(plan)
        ended = {one.entry.number: _result_without_work(one) for one in plan if not one.action.changes}
        changed = await each([one for one in going if one.action is not Action.REMOVE], self._apply)
        ended |= {one.entry.number: one for one in changed}
        await self._remove_overwritten(list(ended.values()))
        removed = await each([one for one in going if one.action is Action.REMOVE], self._remove)
        ended |= {one.entry.number: one for one in removed}
        await self._report_unrecorded_keys(list(ended.values()))
        return [ended[one.entry.number] for one in plan]

    async def _apply(self, planned: Planned) -> TargetResult:
        async with self._slots.slot(planned) as slot:
            if not slot.assigned:
                return self._report(_no_slot(planned))
            result = await self._apply_in_turn(planned)
            slot.changed = result.changed and not result.failed
            return result

    async def _apply_in_turn(self, planned: Planned) -> TargetResult:
        entry = planned.entry
        async with self.scheduler.changing(entry, planned.steps) as turn:
            if turn.failure is not None and not self._stopped:
                error = messages.not_tried(turn.failure.what, entry.name)
                return self._report(
                    TargetResult(planned=planned, result="failed", exit_code=ExitCode.FAILED, error=error)
                )
            result = await self._timed(planned, lambda: self._run(planned, turn.pause))
            turn.exists = not result.failed
            if (
                result.failed
                and result.failed_at in (StepRole.IDENTITY, StepRole.GRANT)
                and result.error is not None
            ):
                waited = result.seconds >= self.scheduler.seconds / 2
                turn.failed = Failure(result.failed_at, f"{entry.name}: {result.error.what}", waited)
            if result.failed:
                # What it created was undone, so the next target reads the state again.
                self.workspace.shared.invalidate()
        return self._report(result)

    async def _run(self, planned: Planned, pause: Callable[[float], Awaitable[None]]) -> TargetResult:
        entry = planned.entry
        target = self.workspace.open_target(entry)
        target.context.sleep = pause
        target.context.new_key = planned.action is Action.ROTATE and StepRole.KEY in planned.steps
        held = already_read(planned.held) if _is_recent(planned.seen) else None
        run = self.workspace.run(entry, target, dry_run=False, as_planned=planned.as_planned, held=held)
        self._at_work[entry.number] = run
        outcome = await run.execute()
        full = isinstance(outcome.error, KeyLimitReached) or (
            bool(outcome.problems) and all(one.kind is ProblemKind.LIMIT for one in outcome.problems)
        )
        if full and planned.action is Action.ROTATE and planned.slot_comes and not outcome.left_over:
            # Others have created keys since this was planned, or a list still shows a deleted one.
            return _no_slot(planned)
        waits = planned.postponed and outcome.result in ("done", "unchanged")
        done = [f"{name}: {one.detail}" for name, one in outcome.steps.items() if one.result == "done"]
        return TargetResult.of(
            planned,
            outcome,
            result="postponed" if waits else outcome.result,
            key_id=str(outcome.credential.get("key_id") or ""),
            detail="; ".join([*(planned.reasons if waits else []), *done]),
        )

    async def _remove(self, planned: Planned) -> TargetResult:
        async with self.scheduler.removing(planned.entry):
            result = await self._timed(planned, lambda: self._offboard(planned))
        return self._report(result)

    async def _offboard(self, planned: Planned) -> TargetResult:
        entry = planned.entry
        held = await self.workspace.held_confirmed(entry)
        if held is None:
            # Akka's reference is removed first; the journal says what is still to be removed.
            lost = self.workspace.journal(entry).left_behind()
            held = being_removed(lost)
            if held is None and lost is not None:
                return await self._clear_up(planned)
        if held is None:
            left, unseen = await self.planner.remains(entry)
            code = ExitCode.LEFT_OVER if left else ExitCode.DONE
            detail = "; ".join(["it was already deleted", *unseen])
            return TargetResult(planned=planned, detail=detail, left_over=left, exit_code=code)
        if held.email != planned.email:
            raise messages.record_changed_since_plan(entry.secret_name)
        located = await self.planner.locate(entry, held)
        if located.session is None or located.context is None:
            raise located.error or resources_not_found()
        if self._stopped:
            # `interrupt` reaches only those at work.
            await located.session.close()
            return _not_begun(planned)
        self.workspace.record(entry, located.context)
        options = self.workspace.offboard_options(dry_run=False)
        work = self.workspace.offboarding(entry, located, options)
        self._at_work[entry.number] = work
        outcome = await work.execute()
        removed = [one.detail for one in outcome.removals if one.result == "removed" and one.detail]
        # What it cleaned up first is in the audit trail.
        return TargetResult.of(planned, outcome, key_id=planned.key_id, detail="; ".join(removed), undone=[])

    async def _clear_up(self, planned: Planned) -> TargetResult:
        """Undo what a run has created that has not registered it."""
        entry = planned.entry
        run = self.workspace.run(entry, self.workspace.open_target(entry), dry_run=False, clear_up_only=True)
        self._at_work[entry.number] = run
        return TargetResult.of(planned, await run.execute())

    async def _remove_overwritten(self, ended: Sequence[TargetResult]) -> None:
        """Remove what records used that were overwritten: one target of an identity at a time, so that the
        last deletes it.
        """
        identities: dict[str, list[tuple[TargetResult, HeldCredential]]] = {}
        for one in ended:
            if (held := one.overwritten) is not None and held.link is not None:
                identities.setdefault(held.link.name, []).append((one, held))
                shared: set[str] = self.workspace.shared.get(OVERWRITTEN, set)
                shared |= keys_of([held])

        async def remove(sharing: Sequence[tuple[TargetResult, HeldCredential]]) -> None:
            kept: list[str] = []
            for one, held in sharing:
                async with self.scheduler.reading(one.entry):
                    left, kept = await self._remove_resources(one.entry, held)
                one.overwritten = None
                if left:
                    one.left_over += left
                    one.exit_code = ExitCode.LEFT_OVER
                    self.workspace.reporter(one.entry).left_over(left)
            for text in kept:  # by the last one
                self.reporter.notice(text)

        await each(list(identities.values()), remove)

    async def _remove_resources(self, entry: Entry, held: HeldCredential) -> tuple[list[LeftOver], list[str]]:
        if self._stopped:
            return [resources_of_replaced(held, self.workspace.command)], []
        opened = self.workspace.open_target(entry)
        try:
            return await remove_overwritten(
                held,
                opened.context,
                opened.akka,
                self.workspace.journal(entry),
                opened.reporter,
                self.workspace.assembly.verified_pulls,
            )
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; the journal has the record
            return [cloud_resources_of_replaced(held, as_user_error(error))], []
        finally:
            await opened.session.close()

    async def _timed(self, planned: Planned, work: Callable[[], Awaitable[TargetResult]]) -> TargetResult:
        """Do the work for one target; its errors are part of its result."""
        entry, begin = planned.entry, clock.monotonic()
        if self._stopped:
            return _not_begun(planned)
        self.reporter.at_work(entry, str(planned.action))
        try:
            result = await work()
        except PullkeyError as error:
            result = TargetResult(
                planned=planned,
                result="refused" if error.exit_code is ExitCode.REFUSED else "failed",
                exit_code=error.exit_code,
                error=error,
            )
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; the other targets continue
            as_error = as_user_error(error)
            result = TargetResult(
                planned=planned, result="failed", exit_code=as_error.exit_code, error=as_error
            )
        finally:
            self._at_work.pop(entry.number, None)
        result.seconds = round(clock.monotonic() - begin, 3)
        return result

    def _report(self, result: TargetResult) -> TargetResult:
        self.reporter.ended(result)
        return result

    async def _report_unrecorded_keys(self, ended: Sequence[TargetResult]) -> None:
        """Report keys that interrupted runs have left, once for each identity that was changed."""
        identities: dict[str, list[TargetResult]] = {}
        for one in ended:
            identities.setdefault(one.entry.target.shared_identity_key, []).append(one)

        async def look(sharing: Sequence[TargetResult]) -> list[str]:
            one = next(one for one in sharing if _creates(one))
            async with self.scheduler.reading(one.entry):
                if self._stopped:
                    return []
                target = self.workspace.open_target(one.entry)
                try:
                    await target.session.connect()
                    known = _keys_of_all(sharing, target.session)
                    reported = " ".join(
                        f"{left.what} {left.command}" for one in sharing for left in one.left_over
                    )
                    return await unrecorded_keys(target.session, target.akka, known, reported)
                except Exception as error:  # noqa: BLE001  - the report is optional
                    self.workspace.trace(
                        f"keys that may be left over cannot be seen ({type(error).__name__})"
                    )
                    return []
                finally:
                    await target.session.close()

        changed = [sharing for sharing in identities.values() if any(map(_creates, sharing))]
        with self.workspace.pool.reading():
            found = await each(changed, look)
        for texts in found:
            for text in texts:
                self.reporter.notice(text)


def _creates(one: TargetResult) -> bool:
    """Whether it was changed, other than by a removal."""
    return one.changed and one.planned.action is not Action.REMOVE


def _keys_of_all(sharing: Sequence[TargetResult], session: Session) -> set[str]:
    """The keys of targets of one identity, also of those that Akka's list passes over afterwards."""
    keys = {one.key_id for one in sharing}
    for one in sharing:
        link = one.planned.held.link if one.planned.held is not None else None
        if link is not None and session.key.owns(link):
            # A new record names the key that it replaced, and not the one that was replaced before.
            keys |= {link.key_id, link.replaces if one.key_id in ("", link.key_id) else ""}
    return keys - {""}


def _is_recent(seen: float) -> bool:
    """Whether a state read at `seen` need not be read again: later changes show when it is used."""
    return clock.monotonic() - seen < _RECENT_SECONDS


def _note_shared_removals(plan: Sequence[Planned]) -> None:
    """Note on removals that share an identity: each was planned alone, and saw the others' keys."""
    sharing = Counter(one.entry.target.shared_identity_key for one in plan if one.action is Action.REMOVE)
    for one in plan:
        others = sharing[one.entry.target.shared_identity_key] - 1
        if one.action is Action.REMOVE and others:
            one.notices = [*one.notices, messages.removed_with_others(others)]


def _note_little_room(plan: Sequence[Planned]) -> None:
    """Note where an identity has no room for a rotation of all its targets.

    While a key is replaced there are two, until the grace period of the old one is over.
    """
    planned = {one.entry.number: one for one in plan}
    for sharing in of_one_identity(one.entry for one in plan):
        limit = sharing[0].target.key_limit
        if limit is not None and 2 * len(sharing) > limit.at_most:
            first = planned[sharing[0].number]
            first.notices = [*first.notices, messages.little_room(limit, len(sharing))]


def _not_begun(planned: Planned) -> TargetResult:
    return TargetResult(planned=planned, result="not begun", exit_code=ExitCode.INTERRUPTED)


def _no_slot(planned: Planned) -> TargetResult:
    """The result where there is no room: a rotation is postponed if room becomes free; all else fails."""
    limit = planned.entry.target.key_limit
    what = messages.no_room_for_key(limit) if limit else ""
    if planned.action is Action.ROTATE and planned.slot_comes:
        return TargetResult(planned=planned, result="postponed", key_id=planned.key_id, detail=what)
    return TargetResult(
        planned=planned,
        result="failed",
        exit_code=ExitCode.FAILED,
        error=KeyLimitReached(what[:1].upper() + what[1:], fix="Run it again; it reads the keys again."),
    )


def _result_without_work(planned: Planned) -> TargetResult:
    if planned.action is Action.POSTPONED:
        return TargetResult(
            planned=planned,
            result="postponed",
            exit_code=planned.exit_code,
            key_id=planned.key_id,
            detail="; ".join(planned.reasons),
            left_over=list(planned.left_over),
        )
    if planned.action is Action.BLOCKED:
        return TargetResult(
            planned=planned,
            result="refused",
            exit_code=planned.exit_code,
            error=error_of_problems(planned),
            left_over=list(planned.left_over),
        )
    left = list(planned.left_over)
    code = ExitCode.LEFT_OVER if left else ExitCode.DONE
    if planned.exit_code is ExitCode.DRIFT:
        return TargetResult(
            planned=planned,
            result="drift",
            exit_code=code or ExitCode.DRIFT,
            key_id=planned.key_id,
            detail="; ".join(planned.reasons),
            left_over=left,
        )
    return TargetResult(planned=planned, exit_code=code, key_id=planned.key_id, left_over=left)


_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


async def each(
    items: Sequence[_Item], work: Callable[[_Item], Coroutine[Any, Any, _Result]]
) -> list[_Result]:
    """Run `work` for all items in parallel; the results are in the order of `items`.

    If it is cancelled, all of the work is cancelled.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(item)) for item in items]
    return [task.result() for task in tasks]
