"""Plans each target of a file: reads Akka and the clouds, and says what is to be done and why.

It changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from bootstrap.engine.due import due_by_policy
from bootstrap.engine.journal import Record
from bootstrap.engine.locate import LocatedCredential, already_read, find
from bootstrap.engine.remains import remains
from bootstrap.engine.removal_entry import being_removed
from bootstrap.engine.result import Result
from bootstrap.engine.run_options import PlannedSteps
from bootstrap.fleet import messages
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.fields import SOURCES, Kind, own_fields
from bootstrap.fleet.workspace import Workspace
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import ExitCode, LeftOver, Problem, ProblemKind, PullkeyError, Refused, problem_of
from bootstrap.model.text import sentence
from bootstrap.plugin.errors import ApiError, as_user_error
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import EngineStep, State, StepRole
from bootstrap.plugin.unavailable import Unavailable

RECOVERY = "recovery"
"""The step of a plan that cleans up after an earlier run."""


class Action(StrEnum):
    """What a target needs."""

    CREATE = "create"
    REPLACE = "replace"
    ROTATE = "rotate"
    REPAIR = "repair"
    REMOVE = "remove"
    KEEP = "keep"
    POSTPONED = "postponed"  # a rotation for which a key limit leaves no room yet
    BLOCKED = "blocked"  # something must be fixed first

    @property
    def changes(self) -> bool:
        return self not in (Action.KEEP, Action.POSTPONED, Action.BLOCKED)


@dataclass
class Planned:
    """What is to be done for one target.

    Attributes:
        reasons: why, each a short phrase.
        drift: what has drifted, each a short phrase.
        steps: what is to be done: titles by the name of the step.
        held: Akka's record; None where there is none.
        problems: why it is blocked.
        left_over: what earlier runs have left over and was not seen to be deleted.
        seen: when the state was read, by `clock.monotonic`.
        keys: the ids of all keys that count under its identity's limit; None where there is no limit.
        created, expires: of the key that Akka holds.
        replaced: the key that it replaced, "" if none; `replaced_until`: the end of that key's grace period.
        lost: the keys of lost runs that its run deletes first.
        listed_replaced: all the replaced keys that the Akka project's records name.
        limit_problem: the problem that the identity is at its key limit, where it is the only problem.
        postponed: whether a rotation waits for a key slot; `slot_comes`: whether a key slot becomes free.
    """

    entry: Entry
    action: Action
    reasons: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    held: HeldCredential | None = None
    key_id: str = ""
    problems: Sequence[Problem] = ()
    notices: Sequence[str] = ()
    left_over: Sequence[LeftOver] = ()
    exit_code: ExitCode = ExitCode.DONE
    seen: float = field(default_factory=clock.monotonic)
    keys: frozenset[str] | None = None
    created: dt.datetime | None = None
    expires: dt.datetime | None = None
    replaced: str = ""
    replaced_until: dt.datetime | None = None
    lost: frozenset[str] = frozenset()
    listed_replaced: frozenset[str] = frozenset()
    limit_problem: Problem | None = None
    postponed: bool = False
    slot_comes: bool = False
    due_by_you: str = ""
    """Why a user-supplied password is due, which no command can renew alone; "" while it is not."""
    unconfirmed: str = ""
    """What is not known of Akka's record without a login (`Session.unconfirmed`)."""
    not_seen: str = ""
    """Why it could not be determined whether the key is due; "" where it was."""

    @property
    def attention(self) -> str:
        """What an administrator has to do for a target that is kept as it is; "" where nothing is."""
        return self.due_by_you or self.not_seen

    @property
    def email(self) -> str | None:
        return self.held.email if self.held else None

    @property
    def as_planned(self) -> PlannedSteps:
        return PlannedSteps(frozenset(self.steps), self.email)

    @property
    def mark(self) -> Mapping[str, Any]:
        """What a saved plan compares: two plans of a target with the same mark are the same."""
        steps = sorted({*self.steps} - {EngineStep.LOST})  # whether a run was lost shows late
        return {"action": str(self.action), "steps": steps, "email": self.email}

    def block(self, *problems: Problem, exit_code: ExitCode = ExitCode.REFUSED) -> None:
        """Plan nothing, since these problems must be fixed first. What is left over is still reported."""
        self.action, self.steps = Action.BLOCKED, {}
        self.problems, self.reasons = problems, [one.what for one in problems]
        self.exit_code = ExitCode.LEFT_OVER if self.left_over else exit_code


def blocked(entry: Entry, error: PullkeyError, left_over: Sequence[LeftOver] = ()) -> Planned:
    """The plan of a target whose state cannot be read."""
    problems = error.problems if isinstance(error, Refused) else [problem_of(error)]
    found = Planned(entry, Action.BLOCKED, left_over=left_over)
    found.block(*problems, exit_code=error.exit_code)
    return found


class Planner:
    """Plans targets.

    Args:
        workspace: what all targets share.
        rotate: replace every key, due or not; otherwise the policy decides.
    """

    def __init__(self, workspace: Workspace, *, rotate: bool = False) -> None:
        self._workspace = workspace
        self._rotate = rotate

    async def at(self, entry: Entry) -> Planned:
        """Plan one target; an error becomes a blocked plan, and the other targets continue."""
        if isinstance(entry.provider, Unavailable):
            return blocked(entry, entry.provider.error)
        try:
            return await (self._at_removal(entry) if entry.remove else self._at(entry))
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything
            return blocked(entry, as_user_error(error))

    async def _at(self, entry: Entry) -> Planned:
        held = await self._workspace.held(entry)
        target = self._workspace.open_target(entry)
        why, not_seen = await self._why_due(target.session, held, entry)
        target.context.new_key = bool(why)
        outcome = await self._workspace.run(entry, target, dry_run=True).execute()
        if held is None and outcome.steps:
            held = await target.context.held_credential()  # the run may have read it again
        found = await self._planned(entry, target.session, held, why, outcome)
        if StepRole.KEY in found.steps and (problem := _missing_source(entry)) is not None:
            found.block(problem)
        if (
            found.action is Action.KEEP
            and held is not None
            and held.link is not None
            and target.session.key.supplied
        ):
            key = await target.session.key.facts(held.link.key_id)
            found.due_by_you = due_by_policy(key, entry.rotate_after) if key is not None else ""
            found.notices = [*found.notices, *filter(None, [found.due_by_you])]
        if found.action is Action.KEEP and not_seen:
            # Without permissions on the cloud the run relies on Akka's record; the expiry is unknown.
            found.not_seen = f"not seen: {not_seen}"
            found.notices = [*found.notices, found.not_seen]
        return found

    async def _why_due(self, session: Session, held: HeldCredential | None, entry: Entry) -> tuple[str, str]:
        """Why the valid key that Akka holds is due, or ""; and why that could not be determined, or ""."""
        if held is None or held.link is None or session.key.supplied:
            return (
                "a new one was requested"
                if held is not None and held.link is not None and self._rotate
                else "",
                "",
            )
        try:
            await session.connect()
            link, _ = await key_in_record(session, held)
            key = await session.key.facts(link.key_id) if link is not None else None
        except PullkeyError as error:
            return "", f"{sentence(error.what)} {error.fix}".rstrip()
        except ApiError as error:
            return "", as_user_error(error).what
        why = (
            ""
            if key is None
            else "a new one was requested"
            if self._rotate
            else due_by_policy(key, entry.rotate_after)
        )
        return f"key {key.key_id}: {why}" if key is not None and why else "", ""

    async def _planned(
        self, entry: Entry, session: Session, held: HeldCredential | None, why: str, outcome: Result
    ) -> Planned:
        pending = {name: one for name, one in outcome.steps.items() if one.seen.state is not State.DONE}
        found = Planned(
            entry,
            Action.KEEP,
            steps={name: one.title for name, one in pending.items()},
            held=held,
            key_id=held.link.key_id if held and held.link else "",
            problems=outcome.problems,
            notices=outcome.notices,
            unconfirmed=outcome.unconfirmed,
            left_over=outcome.left_over,
            exit_code=outcome.exit_code,
        )
        earlier = outcome.unfinished
        if outcome.error is not None and not outcome.problems:
            found.problems = [problem_of(outcome.error)]
        if found.problems and all(_is_key_limit(one) for one in found.problems):
            # `key_room` decides whether it is a problem, from all targets of the identity.
            found.limit_problem, found.problems, found.exit_code = found.problems[0], (), ExitCode.DONE
            if outcome.left_over:
                found.exit_code = ExitCode.LEFT_OVER
        if found.problems:
            found.block(*found.problems, exit_code=outcome.exit_code)
            return found
        if earlier.what:
            found.steps = {
                RECOVERY: _clearing_up(earlier.left_over),
                **found.steps,
            }
        if outcome.result == "unneeded":
            found.reasons, found.steps = ["it allows anonymous pulls, so Akka needs no credential"], {}
            return found
        details = [
            f"{name}: {one.seen.detail}" if name != StepRole.KEY else one.seen.detail
            for name, one in pending.items()
            if name not in (EngineStep.HANDSHAKE, EngineStep.HANDOFF, EngineStep.RETIRE)
            or StepRole.KEY not in pending
        ]
        if not pending and earlier.what:
            found.action, found.reasons = Action.REPAIR, [earlier.what]
        elif not pending:
            found.reasons = [outcome.steps[StepRole.KEY].seen.detail]
        elif held is None:
            found.action, found.reasons = Action.CREATE, [f"Akka has no credential named {entry.secret_name}"]
        elif (record := await key_in_record(session, held))[0] is None and not held.empty:
            found.action, found.reasons = Action.REPLACE, [record[1]]
        elif why or set(pending) <= {EngineStep.CLEAR, EngineStep.LOST}:
            found.action, found.reasons = Action.ROTATE, [why] if why else details
            found.drift = [one for one in details if one.startswith(StepRole.GRANT)] if why else []
        else:
            found.action, found.reasons, found.drift = Action.REPAIR, details, details
        if pending and earlier.what:
            found.reasons = [earlier.what, *found.reasons]
        await self._count_keys(found, session)
        return found

    async def _count_keys(self, found: Planned, session: Session) -> None:
        """Record the identity's keys, where their number is limited."""
        entry, link = found.entry, found.held.link if found.held else None
        if entry.target.key_limit is None or not found.steps:
            return
        try:
            keys = await session.key.list_counted()
            records = await self._workspace.akka(entry).credentials() if keys is not None else []
            lost = await session.key.lost_keys() if EngineStep.LOST in found.steps else []
        except PullkeyError:
            return  # the run itself reports the error
        if keys is None:
            return
        found.keys = frozenset(one.key_id for one in keys)
        found.lost = frozenset(one.key_id for one in lost)
        key = next((one for one in keys if link is not None and one.key_id == link.key_id), None)
        found.listed_replaced = frozenset(
            one.link.replaces for one in records if one.link and one.link.replaces
        )
        if link is not None and key is not None:
            found.created, found.expires, found.replaced = key.created, key.expires, link.replaces
            found.replaced_until = key.created + entry.keep_old if key.created else None

    # -- removals --------------------------------------------------------------------------------------------

    async def _at_removal(self, entry: Entry) -> Planned:
        held, reason = (
            await self._workspace.held_confirmed(entry),
            "the file says remove: true" if entry.raw.get("remove") else "selected for removal",
        )
        lost = self._workspace.journal(entry).left_behind() if held is None else None
        if held is None and (held := being_removed(lost)) is None:
            return await self._without_record(entry, lost)
        left = lost.left_over if lost is not None else []
        if lost is not None:
            reason = lost.summary
        located = await self.locate(entry, held)
        if held.link is None or located.session is None or located.context is None:
            error = located.error or messages.not_managed(held.name)
            return blocked(entry, error, left)
        options = self._workspace.offboard_options(dry_run=True)
        result = await self._workspace.offboarding(entry, located, options).execute()
        if result.error is not None:
            return blocked(entry, result.error, left)
        removed = {
            f"{item.name} {item.removal.what}": item.removal.what
            for item in result.removals
            if item.to_remove
        }
        kept = [
            f"{item.removal.what} is kept: {item.removal.why}"
            for item in result.removals
            if item.removal.why and not item.to_remove
        ]
        return Planned(
            entry,
            Action.REMOVE,
            [reason],
            steps=removed,
            held=held,
            key_id=held.link.key_id,
            notices=[*kept, *result.notices],
            left_over=left,
        )

    async def _without_record(self, entry: Entry, lost: Record | None) -> Planned:
        """The plan of a removal of which Akka has no record: of a run that has not registered it, or was
        killed once the record was removed.
        """
        if lost is None:
            left, unseen = await self.remains(entry)
            return Planned(
                entry,
                Action.KEEP,
                ["already removed: Akka has no credential of this name"],
                notices=unseen,
                left_over=left,
                exit_code=ExitCode.LEFT_OVER if left else ExitCode.DONE,
            )
        opened = self._workspace.open_target(entry)
        outcome = await self._workspace.run(entry, opened, dry_run=True, clear_up_only=True).execute()
        if outcome.error is not None or outcome.problems:
            return blocked(entry, outcome.error or Refused(outcome.problems), lost.left_over)
        return Planned(
            entry,
            Action.REMOVE,
            [lost.summary],
            steps={RECOVERY: _clearing_up(outcome.left_over)},
            left_over=outcome.left_over,
            exit_code=outcome.exit_code,
        )

    async def remains(self, entry: Entry) -> tuple[list[LeftOver], list[str]]:
        """What is left of a target to remove that Akka does not list, and what could not be seen, by
        `engine.remains`.
        """
        opened, keep_secret = self._workspace.open_target(entry), self._workspace.keep_secret
        try:
            return await remains(opened.session, opened.akka, entry.secret_name, keep_secret=keep_secret)
        finally:
            await opened.session.close()

    async def locate(self, entry: Entry, held: HeldCredential) -> LocatedCredential:
        """Locate the cloud resources of Akka's record: those of the file's target if they match, else what is
        found.
        """
        target = self._workspace.open_target(entry)
        target.context.held = already_read(held)
        try:
            await target.session.connect()
            link, differs = await key_in_record(target.session, held)
        except PullkeyError as error:
            await target.session.close()
            return LocatedCredential(held, entry.provider, error=error)
        if link is None:
            await target.session.close()
            if held.empty:
                return LocatedCredential(held, entry.provider, differs=differs)
            return replace(await find(held, target.context, image=entry.image or None), differs=differs)
        return LocatedCredential(held, entry.provider, entry.target, target.session, target.context)


def _clearing_up(left: Sequence[LeftOver]) -> str:
    return f"Clear up after it{''.join(f': {one.what}' for one in left)}"


def _missing_source(entry: Entry) -> Problem | None:
    """The problem that a key needs a user-supplied secret of which the file names no usable source."""
    fields = [one.name for one in own_fields(entry.provider.name).values() if one.kind is Kind.SOURCE]
    if not fields:
        return None
    if not entry.sources:
        return messages.no_source_problem(fields, entry.place.line, SOURCES)
    source = entry.sources[0]
    place = entry.places.get(source.field, entry.place)
    return (
        messages.source_problem(what, place.line, source.field, SOURCES)
        if (what := source.missing())
        else None
    )


def _is_key_limit(problem: Problem) -> bool:
    return problem.kind is ProblemKind.LIMIT and problem.step == StepRole.KEY
