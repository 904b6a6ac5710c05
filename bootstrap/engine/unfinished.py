"""Read-only view of an earlier run that did not end, or has left something over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.engine import messages_journal as messages
from bootstrap.engine.journal import Entry, Journal, Record
from bootstrap.model.errors import LeftOver, PullkeyError
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import EngineStep, StepRole


@dataclass(frozen=True)
class Unfinished:
    """An earlier run for a target that did not end, or has left something over.

    Args:
        what: the run, in a few words; "" if there is none.
        left_over: what still exists.
        command: the command that cleans up.
    """

    what: str = ""
    left_over: Sequence[LeftOver] = ()
    command: str = ""

    def __str__(self) -> str:
        return messages.to_clear_up(self.what, self.command) if self.what else ""


async def unfinished(journal: Journal, session: Session | None) -> Unfinished:
    """Read the record of an earlier run that is no longer active. Read-only.

    Args:
        journal: of the target.
        session: a connected session, to check whether keys that were left over still exist; None to trust the
            record.

    Raises:
        PullkeyError: the record cannot be read.
    """
    lost = journal.left_behind()
    if lost is None or journal.at_work:
        return Unfinished()
    left = lost.left_over if session is None else await still_left_over(session, lost)
    if lost.ended and lost.left_over and not left:
        return Unfinished()  # the next run that changes something removes the record
    return Unfinished(lost.summary, left, lost.command)


async def still_left_over(session: Session, lost: Record) -> list[LeftOver]:
    """The left-overs on record, except those that are settled.

    Settled are a key that was deleted, or disabled as intended, and a key that was kept because Akka might
    hold it and that Akka's record names.
    """
    held = await session.context.held_credential()
    # Not the replaced key, which the record also names: that one is to be deleted.
    in_use = held.link.key_id if held is not None and held.link is not None else ""

    async def is_settled(entry: Entry) -> bool:
        key_id = str(entry.known.get("key_id") or "")
        if not key_id or entry.step == EngineStep.HANDOFF or key_id == in_use:
            return bool(key_id) and key_id == in_use
        return entry.step in (EngineStep.CLEAR, EngineStep.RETIRE, StepRole.KEY) and await _is_retired(
            session, key_id, entry
        )

    return [
        left
        for entry in lost.entries
        if entry.left and not await is_settled(entry)
        for left in entry.left_over
    ]


async def _is_retired(session: Session, key_id: str, entry: Entry) -> bool:
    try:
        facts = await read_twice(lambda: session.key.facts(key_id))
    except PullkeyError:
        return False
    return facts is None or bool(entry.known.get("grace") and (facts.disabled or not session.key.can_disable))
