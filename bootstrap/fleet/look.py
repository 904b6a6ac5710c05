"""What is to be done for each target of a file, and why: looked at in Akka and in the clouds, nothing changed."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bootstrap.behind import Behind, find, known
from bootstrap.common_steps import recorded_link
from bootstrap.errors import ExitCode, Problem, ProblemKind, PullkeyError, Refused
from bootstrap.fleet.open import Office
from bootstrap.fleet.registries import Entry
from bootstrap.offboarding import Wanted
from bootstrap.outcome import AsPlanned, Outcome
from bootstrap.provider import HeldCredential, KeyFacts, Session
from bootstrap.standing import due, due_on
from bootstrap.steps import State

_NEAR_THE_END = dt.timedelta(days=14)
_PART = 3


class Action(StrEnum):
    """What a target needs."""

    CREATE = "create"
    REPLACE = "replace"
    ROTATE = "rotate"
    REPAIR = "repair"
    REMOVE = "remove"
    KEEP = "keep"
    BLOCKED = "blocked"  # something is to be mended first

    @property
    def changes(self) -> bool:
        return self not in (Action.KEEP, Action.BLOCKED)


@dataclass
class Planned:
    """What is to be done for one target.

    Attributes:
        reasons: why, each in a few words.
        drift: what is not as it was left, each in a few words.
        steps: what is to be done, by the name of the step, each in one line.
        held: Akka's record; None where there is none.
        problems: why it is blocked.
        seen: when it was looked at, by `time.monotonic`.
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
    exit_code: ExitCode = ExitCode.DONE
    seen: float = field(default_factory=time.monotonic)

    @property
    def email(self) -> str | None:
        return self.held.email if self.held else None

    @property
    def as_planned(self) -> AsPlanned:
        return AsPlanned(frozenset(self.steps), self.email)

    @property
    def mark(self) -> Mapping[str, Any]:
        """What tells this from another plan for the same target."""
        return {"action": str(self.action), "steps": sorted(self.steps), "email": self.email}


def blocked(entry: Entry, error: PullkeyError) -> Planned:
    """What cannot even be looked at."""
    problems = (
        error.problems if isinstance(error, Refused) else [Problem(ProblemKind.SETUP, error.what, error.mend)]
    )
    return Planned(
        entry, Action.BLOCKED, [one.what for one in problems], problems=problems, exit_code=error.exit_code
    )


class Looking:
    """Looks at targets.

    Args:
        office: what all targets share.
        rotate: whether every key is to be replaced, due or not; None where policy decides.
    """

    def __init__(self, office: Office, *, rotate: bool = False) -> None:
        self._office = office
        self._rotate = rotate

    async def at(self, entry: Entry) -> Planned:
        """What is to be done for one target. Raises nothing that a person can be told."""
        try:
            return await (self._at_removal(entry) if entry.remove else self._at(entry))
        except PullkeyError as error:
            return blocked(entry, error)

    async def _at(self, entry: Entry) -> Planned:
        held = await self._office.held(entry)
        opened = self._office.opened(entry)
        why = await self._why_due(opened.session, held, entry)
        opened.context.new_key = bool(why)
        outcome = await self._office.run(opened, dry_run=True).execute()
        return await self._planned(entry, opened.session, held, why, outcome)

    async def _why_due(self, session: Session, held: HeldCredential | None, entry: Entry) -> str:
        """Why the key that Akka holds is to be replaced though it is good, or ""."""
        if held is None or held.link is None or not session.deletes_keys:
            return "a new one was asked for" if held is not None and held.link is not None and self._rotate else ""  # fmt: skip
        try:
            await session.connect()
            link, _ = await recorded_link(session, held)
            key = await session.key_facts(link.key_id) if link is not None else None
        except PullkeyError:
            return ""  # the run itself tells what is wrong
        except Exception as error:
            if session.cloud_said(error):
                return ""
            raise
        why = (
            ""
            if key is None
            else "a new one was asked for"
            if self._rotate
            else due_by(key, entry.rotate_after)
        )
        return f"key {key.key_id}: {why}" if key is not None and why else ""

    async def _planned(
        self, entry: Entry, session: Session, held: HeldCredential | None, why: str, outcome: Outcome
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
            exit_code=outcome.exit_code,
        )
        if outcome.error is not None and not outcome.problems:
            found.problems = [Problem(ProblemKind.SETUP, outcome.error.what, outcome.error.mend)]
        if found.problems:
            found.action, found.reasons, found.steps = Action.BLOCKED, [one.what for one in found.problems], {}  # fmt: skip
            return found
        if outcome.result == "unneeded":
            found.reasons, found.steps = ["anybody may pull it, so Akka needs no credential"], {}
            return found
        details = [f"{name}: {one.seen.detail}" if name != "key" else one.seen.detail for name, one in pending.items() if name not in ("handshake", "handoff", "retire") or "key" not in pending]  # fmt: skip
        if not pending:
            found.reasons = [outcome.steps["key"].seen.detail]
        elif held is None:
            found.action, found.reasons = Action.CREATE, [f"Akka has no credential named {entry.secret_name}"]
        elif (record := await recorded_link(session, held))[0] is None:
            found.action, found.reasons = Action.REPLACE, [record[1]]
        elif why or set(pending) <= {"clear"}:
            found.action, found.reasons = Action.ROTATE, [why] if why else details
            found.drift = [one for one in details if one.startswith("grant")] if why else []
        else:
            found.action, found.reasons, found.drift = Action.REPAIR, details, details
        return found

    # -- what is to go -------------------------------------------------------------------------------------------

    async def _at_removal(self, entry: Entry) -> Planned:
        held = await self._office.held(entry)
        if held is None:
            return Planned(entry, Action.KEEP, ["it is gone: Akka has no credential of this name"])
        behind = await self.behind(entry, held)
        if held.link is None or behind.session is None or behind.context is None:
            error = behind.error or PullkeyError(f"Akka's {held.name} was not made by pullkey, so it is not removed", mend="Remove it by hand: akka docker remove-credentials")  # fmt: skip
            return blocked(entry, error)
        try:
            parting = await self._office.offboarding(entry, behind, Wanted(dry_run=True)).execute()
        finally:
            await behind.session.close()
        if parting.error is not None:
            return blocked(entry, parting.error)
        going = {f"{item.name} {item.removal.what}": item.removal.what for item in parting.items if item.goes}
        stays = [f"{item.removal.what} stays: {item.removal.why}" for item in parting.items if item.removal.why and not item.goes]  # fmt: skip
        return Planned(entry, Action.REMOVE, ["the file says remove: true" if entry.raw.get("remove") else "it was named to go"], steps=going, held=held, key_id=held.link.key_id, notices=[*stays, *parting.notices])  # fmt: skip

    async def behind(self, entry: Entry, held: HeldCredential) -> Behind:
        """What stands behind Akka's record: the file's target where the record is of that, else what is found."""
        opened = self._office.opened(entry)
        opened.context.held = known(held)
        try:
            await opened.session.connect()
            link, _ = await recorded_link(opened.session, held)
        except PullkeyError as error:
            await opened.session.close()
            return Behind(held, entry.provider, error=error)
        if link is None:
            await opened.session.close()
            return await find(held, opened.context, image=entry.image or None)
        return Behind(held, entry.provider, entry.target, opened.session, opened.context)


def due_by(key: KeyFacts, rotate_after: dt.timedelta | None) -> str:
    """Why a key is due by a target's policy: at an age, or else as `pullkey rotate --due` says; and never at its end."""
    if rotate_after is None:
        return due(key)
    why = due(key, rotate_after)
    near = _near_the_end(key)
    if not why and key.ends is not None and near is not None and near <= dt.datetime.now(dt.UTC):
        why = f"it ends on {key.ends:%Y-%m-%d}"
    return why


def due_on_by(key: KeyFacts, rotate_after: dt.timedelta | None) -> dt.datetime | None:
    """From when on `due_by` says that a key is due."""
    if rotate_after is None:
        return due_on(key)
    return min(filter(None, (due_on(key, rotate_after), _near_the_end(key))), default=None)


def _near_the_end(key: KeyFacts) -> dt.datetime | None:
    if key.ends is None:
        return None
    life = key.ends - key.created if key.created else _NEAR_THE_END * _PART
    return key.ends - min(_NEAR_THE_END, life / _PART)
