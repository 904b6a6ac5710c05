"""What an earlier run for a target has not ended or has left over, for those who only look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.engine.handoff import HANDOFF
from bootstrap.engine.journal import Entry, Journal, Record
from bootstrap.engine.key_retirement import RETIRE
from bootstrap.model.errors import LeftOver, PullkeyError
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import StepRole


@dataclass(frozen=True)
class Unfinished:
    """What an earlier run for a target has not ended, or has left over.

    Args:
        what: which run that was, in a few words; "" where nothing is left of any.
        left_over: what is still there.
        command: what goes on with it.
    """

    what: str = ""
    left_over: Sequence[LeftOver] = ()
    command: str = ""

    def __str__(self) -> str:
        return f"{self.what}; to clear up after it: {self.command}" if self.what else ""


async def unfinished(journal: Journal, session: Session | None) -> Unfinished:
    """What is on record of an earlier run that is not at work any more; changes nothing.

    Args:
        journal: of the target.
        session: connected, to look whether a key that was left over is still there; None where nobody can be
            asked.

    Raises:
        PullkeyError: there is a record and it cannot be read.
    """
    lost = journal.left_behind()
    if lost is None or journal.at_work:
        return Unfinished()
    left = lost.left_over if session is None else await still_left_over(session, lost)
    if lost.ended and lost.left_over and not left:
        return Unfinished()  # the next run that may change something takes it off the record
    return Unfinished(lost.summary, left, lost.command)


async def still_left_over(session: Session, lost: Record) -> list[LeftOver]:
    """What is on record as left over, but for what is seen to be well.

    A key that is gone, or switched off as it was to be; and one that was kept since Akka might hold it, and
    that Akka's record names.
    """
    held = await session.context.held_credential()
    # Not the key that it replaced, though the record names that too: that one is to go.
    in_use = held.link.key_id if held is not None and held.link is not None else ""

    async def is_well(entry: Entry) -> bool:
        key_id = str(entry.known.get("key_id") or "")
        if not key_id or entry.step == HANDOFF or key_id == in_use:
            return bool(key_id) and key_id == in_use
        return entry.step in (RETIRE, StepRole.KEY) and await _is_out(session, key_id, entry)

    return [
        left for entry in lost.entries if entry.left and not await is_well(entry) for left in entry.left_over
    ]


async def _is_out(session: Session, key_id: str, entry: Entry) -> bool:
    try:
        facts = await read_twice(lambda: session.key.facts(key_id))
    except PullkeyError:
        return False
    return facts is None or bool(entry.known.get("grace") and (facts.disabled or not session.key.can_disable))
