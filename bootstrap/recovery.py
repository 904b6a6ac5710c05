"""Clears up after a run that did not end, by what it left in the journal.

All of it runs again and again until it is done: a run that is killed while it clears up leaves the rest to the next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from bootstrap.akka import AkkaCli
from bootstrap.common_steps import recorded_link
from bootstrap.errors import LeftOver, PullkeyError
from bootstrap.journal import Entry, Journal, Record
from bootstrap.provider import HeldCredential, KeyFacts, Session
from bootstrap.records import all_records, keys_of
from bootstrap.reporter import Reporter
from bootstrap.retirement import RETIRE
from bootstrap.steps import Step, StillThere

OFFBOARD = "offboard"
"""The journal's name of an offboarding."""

PartWith = Callable[[HeldCredential], Awaitable[Any]]
"""Removes what stood behind a record of another registry or identity."""


class Recovery:
    """What one run does about an earlier one that did not end.

    Attributes:
        left_over: what could not be removed, or must not be without being asked.
        undone: what is gone now, in a few words each.
        kept: the entries of what the lost run may have made and this one needs too: identity and grant. If this run
            fails, they are its own to undo. None once Akka holds a key that pulls by them.
    """

    def __init__(
        self,
        session: Session,
        akka: AkkaCli,
        journal: Journal,
        reporter: Reporter,
        part_with: PartWith,
    ) -> None:
        self._session = session
        self._akka = akka
        self._journal = journal
        self._reporter = reporter
        self._part_with = part_with
        self.left_over: list[LeftOver] = []
        self.undone: list[str] = []
        self.kept: list[tuple[Step, Entry]] = []

    async def clear_up(self, lost: Record, held: HeldCredential | None, *, going: str = "") -> None:
        """Remove what is of use to nobody, and say what cannot be decided.

        A key that Akka does not hold is of use to nobody, since its secret died with the run that made it.

        Args:
            lost: what that run had begun.
            held: Akka's record now, of the secret that both runs are about.
            going: the id of the key that this run is removing itself.
        """
        self._journal.record = lost
        records = [one for _, one in await all_records(self._akka, self._reporter.notice)]
        in_use = keys_of(_of(self._session, [*records, *([held] if held else [])]))
        by_name = {step.name: step for step in self._session.steps}
        serves = await self._serves(lost, held, in_use)
        for entry in reversed(list(lost.entries)):
            key_id = entry.known.get("key_id") or ""
            if entry.step == "key":
                if not key_id or key_id not in in_use:
                    await self._remove_key(by_name["key"], entry, in_use)
                else:
                    self._journal.forget(entry)
            elif entry.step in (RETIRE, OFFBOARD) and key_id and key_id != going:
                await self._retire(key_id, entry, held, records)
            elif entry.step == OFFBOARD and key_id == going:
                continue  # this run goes on with it, and must find it again if it is killed too
            elif entry.step in by_name and not serves:
                entry.intent["lost"] = True
                self.kept.insert(0, (by_name[entry.step], entry))
            else:
                self._journal.forget(entry)

    async def _serves(self, lost: Record, held: HeldCredential | None, in_use: set[str]) -> bool:
        """Whether a key that Akka holds needs what the lost run has made beside its key.

        Raises:
            PullkeyError: it cannot be seen; then nothing may be decided.
        """
        beside = {step.name for step in self._session.steps} - {"key"}
        if not any(entry.step in beside for entry in lost.entries):
            return False
        link, _ = await recorded_link(self._session, held)
        return link is not None or any(key.key_id in in_use for key in await self._session.keys_of_ours())

    async def _remove_key(self, step: Step, entry: Entry, in_use: set[str]) -> None:
        try:
            undone = await step.undo({**entry.known, "lost": True, "in_use": sorted(in_use)})
        except StillThere as finding:
            self.left_over.append(LeftOver(finding.what, finding.command))
            return
        self._tell(undone)
        self._journal.forget(entry)

    async def _retire(
        self, key_id: str, entry: Entry, held: HeldCredential | None, records: Sequence[HeldCredential]
    ) -> None:
        """A key that the lost run was taking out of use: as that run would have, unless Akka holds it after all."""
        if key_id in {one.link.key_id for one in (*records, *([held] if held else ())) if one.link}:
            self._journal.forget(entry)
            return
        session = self._session
        if entry.step == OFFBOARD:
            gone = HeldCredential(**entry.intent["held"])
            if (await recorded_link(session, gone))[0] is None:
                self.left_over += still_behind(gone, await self._part_with(gone))
                self._journal.forget(entry)
                return
            if gone.link is not None and gone.link.replaces and gone.link.replaces not in keys_of(records):
                await self._delete(gone.link.replaces)
        undone = ""
        try:
            if not entry.known.get("grace"):
                undone = f"deleted key {key_id}" if await session.delete_key(key_id) else ""
            elif session.disables_keys and (facts := await session.key_facts(key_id)) and not facts.disabled:
                await session.switch_key(key_id, on=False)
                undone = f"switched off key {key_id}"
        except PullkeyError as error:
            self.left_over.append(
                LeftOver(f"key {key_id} ({error.what})", session.delete_key_command(key_id))
            )
            return
        self._tell(undone)
        self._journal.forget(entry)

    async def _delete(self, key_id: str) -> None:
        try:
            self._tell(f"deleted key {key_id}" if await self._session.delete_key(key_id) else "")
        except PullkeyError as error:
            command = self._session.delete_key_command(key_id)
            self.left_over.append(LeftOver(f"key {key_id} ({error.what})", command))

    def _tell(self, undone: str) -> None:
        if undone:
            self.undone.append(undone)
            self._reporter.undone(undone)


def as_intent(held: HeldCredential) -> dict[str, Any]:
    """What the journal keeps of a credential that is to go; Akka may not show it any more when it is needed."""
    return {"held": asdict(held), "key_id": held.link.key_id if held.link else ""}


def still_behind(held: HeldCredential, parted: Any) -> list[LeftOver]:
    """What of that which stood behind a credential is still there after `PartWith`."""
    if parted.error is None:
        return list(parted.left_over)
    what = (
        f"what stood behind Akka's earlier {held.name} ({held.username}, {held.email}): {parted.error.what}"
    )
    return [*parted.left_over, LeftOver(what, "")]


async def strays(
    session: Session,
    akka: AkkaCli,
    known: set[str],
    told: str,
    *,
    keys: Callable[[], Awaitable[Sequence[KeyFacts]]] | None = None,
) -> list[str]:
    """The keys that pullkey may have made and that no record of Akka's names, each told with what deletes it.

    A run that was killed on another machine leaves no journal here. Whether such a key is of use to anybody nobody can
    know, so it is never deleted: it is told.

    Args:
        session: of the identity.
        akka: for the records of all projects.
        known: the ids of keys that are accounted for.
        told: what has been told already; a key that is named in it is not named again.
        keys: asks for the keys that pullkey has made, where the session is not to be asked itself.
    """
    try:
        found = [key for key in await (keys or session.keys_of_ours)() if key.key_id not in known]
        if not found:
            return []
        in_use = keys_of(_of(session, [held for _, held in await all_records(akka, lambda _: None)]))
        identity = await session.identity()
    except PullkeyError:
        return []  # to look was an offer; what the run was about is done
    return [
        _told(key, identity, session.delete_key_command(key.key_id))
        for key in found
        if key.key_id not in in_use and key.key_id not in told
    ]


def _of(session: Session, records: Sequence[HeldCredential]) -> list[HeldCredential]:
    """The records that name keys of this identity: an id may be good for one identity only."""
    return [held for held in records if held.link is not None and session.holds(held.link)]


def _told(key: KeyFacts, identity: str, command: str) -> str:
    when = f", made {key.created:%Y-%m-%d %H:%M} UTC," if key.created else ""
    return (
        f"Key {key.key_id} of {identity}{when} stands in no record that Akka shows here: a run that did not end may have left "
        f"it. If no pullkey is at work elsewhere and nobody uses it, delete it: {command}"
    )
