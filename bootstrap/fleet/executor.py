"""Does what was planned for many targets, side by side; one that fails stops no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.engine.locate import known
from bootstrap.engine.operation import Operation
from bootstrap.engine.recovery import being_removed
from bootstrap.engine.run_options import OffboardOptions
from bootstrap.engine.unrecorded_keys import unrecorded_keys
from bootstrap.fleet import messages
from bootstrap.fleet.key_room import KeyPlaces, fit_under_limits
from bootstrap.fleet.planner import Action, Planned, Planner
from bootstrap.fleet.progress import Board
from bootstrap.fleet.registries import Entry, of_one_identity
from bootstrap.fleet.scheduler import Failure, Scheduler
from bootstrap.fleet.target_result import TargetResult, error_of_problems
from bootstrap.fleet.workspace import Workspace
from bootstrap.model import clock
from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, KeyLimitReached, ProblemKind, PullkeyError
from bootstrap.plugin.errors import as_user_error

_HOLDS_SECONDS = 300.0


@dataclass
class Executor:
    """Works on the targets of a file.

    Attributes:
        changing: whether anything may have been changed by now.
    """

    office: Workspace
    turns: Scheduler
    looking: Planner
    board: Board
    keep_identity: bool = False
    keep_secret: bool = False
    changing: bool = field(default=False, init=False)
    _at_work: dict[int, Operation] = field(default_factory=dict, init=False)
    _places: KeyPlaces = field(default_factory=lambda: KeyPlaces([]), init=False)
    _stopped: bool = field(default=False, init=False)

    # -- as `bootstrap.cli.signals.Interruptible` ------------------------------------------------------------

    then = "rolling back each target at work"

    def interrupt(self) -> None:
        """Begin with no further target, and end those that are at work in order."""
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
        """What is to be done for each, in the order of the file.

        Args:
            entries: the targets.
            chosen: leaves out what the command does not do, before the places for keys are given.
        """
        self.board.begin("looking", len(entries))

        async def one(entry: Entry) -> Planned:
            async with self.turns.room(entry):
                self.board.at_work(entry, "looking")
                planned = await self.looking.at(entry)
            self.board.seen(planned)
            return planned

        with self.office.desk.looking():
            plan: list[Planned] = await each(entries, one)
        chosen(plan)
        fit_under_limits(plan)
        _note_what_goes_last(plan)
        _note_little_room(plan)
        return plan

    # -- doing -----------------------------------------------------------------------------------------------

    async def do(self, plan: Sequence[Planned]) -> list[TargetResult]:
        """Do what was planned; removals come last, so that none takes away what another target has just
        found.
        """
        self.changing = True
        if all(_still_holds(one.seen) for one in plan):
            self.office.shared.invalidate_state()
        else:
            # A person was asked, and took time to say yes.
            self.office.shared.invalidate()
        going = [one for one in plan if one.action.changes]
        self.board.begin("changing", len(going))
        self._places = KeyPlaces(plan)
        ended = {one.entry.number: _without_work(one) for one in plan if not one.action.changes}
        for action in (self._make, self._remove):
            part = [one for one in going if (one.action is Action.REMOVE) == (action == self._remove)]
            for result in await each(part, action):
                ended[result.entry.number] = result
        await self._report_unrecorded_keys([one for one in ended.values() if one.changed])
        return [ended[one.entry.number] for one in plan]

    async def _make(self, planned: Planned) -> TargetResult:
        async with self._places.place(planned) as place:
            if not place.there:
                return self._told(_no_place(planned))
            result = await self._made_in_turn(planned)
            place.changed = result.changed and not result.failed
            return result

    async def _made_in_turn(self, planned: Planned) -> TargetResult:
        entry = planned.entry
        async with self.turns.making(entry) as turn:
            if turn.failure is not None and turn.failure.step in planned.steps and not self._stopped:
                error = messages.not_tried(turn.failure.what, entry.name)
                return self._told(
                    TargetResult(planned=planned, result="failed", exit_code=ExitCode.FAILED, error=error)
                )
            result = await self._timed(planned, lambda: self._made(planned, turn.pause))
            turn.there = not result.failed
            if result.failed and result.failed_at in ("identity", "grant") and result.error is not None:
                waited = result.seconds >= self.turns.seconds / 2
                turn.failed = Failure(result.failed_at, f"{entry.name}: {result.error.what}", waited)
            if result.failed:
                # What it made is undone, so the next one looks anew.
                self.office.shared.invalidate()
        return self._told(result)

    async def _made(self, planned: Planned, pause: Callable[[float], Awaitable[None]]) -> TargetResult:
        entry = planned.entry
        opened = self.office.opened(entry)
        opened.context.sleep = pause
        opened.context.new_key = planned.action is Action.ROTATE and "key" in planned.steps
        held = known(planned.held) if _still_holds(planned.seen) else None
        run = self.office.run(entry, opened, dry_run=False, as_planned=planned.as_planned, held=held)
        self._at_work[entry.number] = run
        outcome = await run.execute()
        full = isinstance(outcome.error, KeyLimitReached) or (
            bool(outcome.problems) and all(one.kind is ProblemKind.LIMIT for one in outcome.problems)
        )
        if full and planned.action is Action.ROTATE and planned.place_comes and not outcome.left_over:
            # Others have made keys since this was planned, or a list still shows one that is deleted.
            return _no_place(planned)
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
        async with self.turns.removing(planned.entry):
            result = await self._timed(planned, lambda: self._removed(planned))
        return self._told(result)

    async def _removed(self, planned: Planned) -> TargetResult:
        entry = planned.entry
        held = await self.office.held_surely(entry)
        if held is None:
            # Akka forgets it first; the journal says what is still to go.
            held = being_removed(self.office.journal(entry).left_behind())
        if held is None:
            return TargetResult(planned=planned, detail="it was gone already")
        if held.email != planned.email:
            raise _Moved(
                f"Akka's {entry.secret_name} is another one than when this was planned", fix="Plan it again"
            )
        behind = await self.looking.behind(entry, held)
        if behind.session is None or behind.context is None:
            raise behind.error or messages.cloud_resources_not_found()
        if self.office.assembly.trail is not None:
            self.office.record(entry, behind.context, await behind.session.connect())
        options = OffboardOptions(
            yes=True,
            keep_identity=self.keep_identity,
            keep_secret=self.keep_secret,
            command=self.office.command,
        )
        work = self.office.offboarding(entry, behind, options)
        self._at_work[entry.number] = work
        outcome = await work.execute()
        removed = [one.detail for one in outcome.removals if one.result == "removed"]
        # What it has cleared up first stands in the audit trail.
        return TargetResult.of(planned, outcome, key_id=planned.key_id, detail="; ".join(removed), undone=[])

    async def _timed(self, planned: Planned, work: Callable[[], Awaitable[TargetResult]]) -> TargetResult:
        """The work for one target; what goes wrong with it is its own."""
        entry, begin = planned.entry, clock.monotonic()
        if self._stopped:
            return TargetResult(planned=planned, result="not begun", exit_code=ExitCode.INTERRUPTED)
        self.board.at_work(entry, str(planned.action))
        try:
            result = await work()
        except PullkeyError as error:
            result = TargetResult(
                planned=planned,
                result="refused" if error.exit_code is ExitCode.REFUSED else "failed",
                exit_code=error.exit_code,
                error=error,
            )
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; the other targets go on
            told = as_user_error(error)
            result = TargetResult(planned=planned, result="failed", exit_code=told.exit_code, error=told)
        finally:
            self._at_work.pop(entry.number, None)
        result.seconds = round(clock.monotonic() - begin, 3)
        return result

    def _told(self, result: TargetResult) -> TargetResult:
        self.board.ended(result)
        return result

    async def _report_unrecorded_keys(self, changed: Sequence[TargetResult]) -> None:
        """Keys that runs which did not end have left: looked for once for each identity that was worked
        on.
        """
        identities = {
            one.entry.target.shared_identity_key: one
            for one in changed
            if one.planned.action is not Action.REMOVE
        }
        if self._stopped:
            return

        async def look(one: TargetResult) -> list[str]:
            async with self.turns.room(one.entry):
                opened = self.office.opened(one.entry)
                try:
                    await opened.session.connect()
                    told = " ".join(f"{left.what} {left.command}" for left in one.left_over)
                    return await unrecorded_keys(opened.session, opened.akka, {one.key_id}, told)
                except Exception as error:  # noqa: BLE001  - to look was an offer
                    self.office.trace(f"keys that may be left over cannot be seen ({type(error).__name__})")
                    return []
                finally:
                    await opened.session.close()

        with self.office.desk.looking():
            found = await each(list(identities.values()), look)
        for texts in found:
            for text in texts:
                self.board.notice(text)


def _still_holds(seen: float) -> bool:
    """Whether what was seen then need not be looked at again: what others change meanwhile shows when it
    is acted on.
    """
    return clock.monotonic() - seen < _HOLDS_SECONDS


def _note_what_goes_last(plan: Sequence[Planned]) -> None:
    """Each was looked at by itself, and saw the others' keys."""
    sharing = Counter(one.entry.target.shared_identity_key for one in plan if one.action is Action.REMOVE)
    for one in plan:
        others = sharing[one.entry.target.shared_identity_key] - 1
        if one.action is Action.REMOVE and others:
            one.notices = [*one.notices, messages.removed_with_others(others)]


def _note_little_room(plan: Sequence[Planned]) -> None:
    """While a key is replaced there are two of it, for as long as the old one has its grace."""
    planned = {one.entry.number: one for one in plan}
    for sharing in of_one_identity(one.entry for one in plan):
        limit = sharing[0].target.key_limit
        if limit is not None and 2 * len(sharing) > limit.at_most:
            first = planned[sharing[0].number]
            first.notices = [*first.notices, messages.little_room(limit, len(sharing))]


class _Moved(PullkeyError):
    """Somebody has changed it since it was planned."""

    code = Code.PLAN_STALE
    exit_code = ExitCode.REFUSED


def _no_place(planned: Planned) -> TargetResult:
    """A rotation waits where a place becomes free by itself; anything else has failed."""
    limit = planned.entry.target.key_limit
    what = messages.no_room_for_key(limit) if limit else ""
    if planned.action is Action.ROTATE and planned.place_comes:
        return TargetResult(planned=planned, result="postponed", key_id=planned.key_id, detail=what)
    return TargetResult(
        planned=planned,
        result="failed",
        exit_code=ExitCode.FAILED,
        error=KeyLimitReached(what[:1].upper() + what[1:], fix="Run it again; it reads the keys again."),
    )


def _without_work(planned: Planned) -> TargetResult:
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
            exit_code=planned.exit_code or ExitCode.REFUSED,
            error=error_of_problems(planned),
            left_over=list(planned.left_over),
        )
    if planned.exit_code is ExitCode.DRIFT:
        return TargetResult(
            planned=planned,
            result="drift",
            exit_code=ExitCode.DRIFT,
            key_id=planned.key_id,
            detail="; ".join(planned.reasons),
        )
    return TargetResult(planned=planned, key_id=planned.key_id)


async def each(items: Sequence[Any], work: Callable[[Any], Awaitable[Any]]) -> list[Any]:
    """Side by side, in the order of `items`; if it is cancelled, nothing goes on behind it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_alone(work, item)) for item in items]
    return [task.result() for task in tasks]


async def _alone(work: Callable[[Any], Awaitable[Any]], item: Any) -> Any:
    return await work(item)


def counted(actions: Sequence[str]) -> dict[str, int]:
    return dict(Counter(actions))
