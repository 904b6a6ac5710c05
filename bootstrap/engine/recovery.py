"""Clean up after a run that did not end, by its journal.

The cleanup is repeatable: if a run is killed during it, the next one continues.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.record_match import RecordMatch, likeness
from bootstrap.akka.records import Record as AkkaRecord
from bootstrap.akka.records import all_records, keys_of
from bootstrap.akka.runner import is_transient
from bootstrap.engine import messages, messages_journal
from bootstrap.engine.handoff import ACCEPTED, ASKED, REFUSED
from bootstrap.engine.journal import OFFBOARD, Entry, Journal, Record
from bootstrap.engine.pull_check import is_seen_to_work
from bootstrap.engine.record_comparison import registered_record
from bootstrap.engine.removal_entry import is_shown, is_shown_cut
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.result import Result
from bootstrap.engine.unrecorded_keys import keys_of_identity
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import KeyGone, LeftOver, PullkeyError
from bootstrap.model.key_ref import is_key_id
from bootstrap.model.text import one_line
from bootstrap.plugin.observe import confirm_absent, read_settled
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import EngineStep, Step, StepRole, StillThere


class RemoveReplaced(Protocol):
    """Removes the cloud resources of a record of another registry or identity; with `look_only`,
    lists them.
    """

    def __call__(self, held: HeldCredential, *, look_only: bool = False) -> Awaitable[Result]: ...


class Recovery:
    """The cleanup, within one run, after an earlier run that did not end (the lost run).

    Attributes:
        left_over: what could not be removed, or needs the user's decision.
        undone: what was removed, in a few words each.
        kept: the entries of identity and grant that the lost run may have created and this run needs. If this
            run fails, it undoes them. Empty if a key that Akka holds needs them.
        held_back: the entries of keys that Akka may hold without showing them in each region, of keys that
            such a key was to replace, and of keys that a project may have which cannot be read now. `settle`
            removes them once Akka is seen to hold another one that works.
    """

    def __init__(
        self,
        session: Session,
        akka: AkkaCli,
        secret_name: str,
        journal: Journal,
        reporter: Reporter,
        remove_replaced: RemoveReplaced,
    ) -> None:
        self._session = session
        self._akka = akka
        self._secret_name = secret_name
        self._journal = journal
        self._reporter = reporter
        self._remove_replaced = remove_replaced
        self.left_over: list[LeftOver] = []
        self.undone: list[str] = []
        self.kept: list[tuple[Step, Entry]] = []
        self.held_back: list[Entry] = []
        self.whole: HeldCredential | None = None
        """The record that Akka accepted last, if Akka shows it truncated; else None."""
        self.held: HeldCredential | None = None
        """Akka's record as it was last read."""
        self.removed: list[HeldCredential] = []
        """The records that an offboarding has removed. A lagging list may still show them."""
        self._lost_command = ""

    async def clear_up(self, lost: Record, held: HeldCredential | None, *, removing: str = "") -> None:
        """Remove what cannot be used, and report what cannot be decided.

        A key that Akka does not hold cannot be used: its secret was lost with the run. A key that Akka was
        given is kept until Akka is seen to hold another one that works.

        Args:
            lost: the record of the lost run.
            held: Akka's current record of the secret.
            removing: the id of the key that this run removes itself.
        """
        self._journal.record = lost
        self._lost_command = lost.command
        by_name = {step.name: step for step in self._session.steps}
        await self._refuse_others(lost, by_name)
        given = {str(one["key_id"]): one for entry in lost.entries if (one := _handed_off(entry))}
        held = await self._seen(held, given.values())
        held = await self._settled(held, lost, removing)
        listed, unread = await self._all_records()
        if any(not where and _differs(one, held) for where, one in listed if one.name == self._secret_name):
            held = await read_settled(self._read)
        self.held = held
        self.whole = _as_accepted(held, list(given.values()))
        records = [one for where, one in listed if where or one.name != self._secret_name]
        in_use = keys_of_identity(self._session, [*records, *([held] if held else [])])
        may_hold = {
            key_id
            for key_id, intent in given.items()
            if key_id not in in_use and await self._may_hold(intent, held)
        }
        elsewhere = {
            one for one in given if unread and one not in in_use | may_hold and _was_given(given[one])
        }
        serves = bool(may_hold or elsewhere) or await self._serves(lost, held, in_use)
        for entry in lost.entries:
            key_id = entry.known.get("key_id") or ""
            if entry.step == StepRole.KEY and key_id in may_hold | elsewhere:
                # Before the registration's own entry is dropped: this run may be killed, or refused.
                entry.intent["handed_off"] = dict(given[key_id])
        for entry in reversed(list(lost.entries)):
            key_id = entry.known.get("key_id") or ""
            if entry.step == StepRole.KEY:
                if key_id in may_hold:
                    self._hold_back(entry, given[key_id])
                elif key_id in elsewhere:
                    self._hold_back_unread(entry, unread)
                elif not key_id or key_id not in in_use:
                    await self._remove_key(by_name[StepRole.KEY], entry, in_use)
                else:
                    self._journal.drop(entry)
            elif entry.step == EngineStep.CLEAR and key_id in keys_of([*records, *([held] if held else [])]):
                self._journal.drop(entry)  # a rotation of that record deletes it
            elif (
                entry.step in (EngineStep.CLEAR, EngineStep.RETIRE)
                and key_id
                and await self._may_still_hold(key_id, held, may_hold)
            ):
                self._hold_back(entry, {})
            elif entry.step == OFFBOARD and key_id != removing and is_shown_cut(entry.held, held):
                await self._keep_shown(entry)
            elif (
                entry.step in (EngineStep.CLEAR, EngineStep.RETIRE, OFFBOARD)
                and key_id
                and key_id != removing
            ):
                await self._retire(key_id, entry, held, records, unread)
            elif entry.step == OFFBOARD and key_id == removing:
                continue  # this run continues it; keep the entry in case it is killed too
            elif entry.step in by_name and not serves:
                if entry.made is None:
                    await by_name[entry.step].finish_lost(entry.intent)
                entry.intent["lost"] = True
                self.kept.insert(0, (by_name[entry.step], entry))
            else:
                self._journal.drop(entry)

    async def _refuse_others(self, lost: Record, by_name: Mapping[str, Step]) -> None:
        """Check, before anything is undone, that everything a record names belongs to this target.

        Raises:
            ForeignJournal: it does not.
            PullkeyError: a step is not known, so what it may have created would be forgotten.
        """
        known = {*by_name, *StepRole, *EngineStep, OFFBOARD}
        if unknown := [entry.step for entry in lost.entries if entry.step not in known]:
            what = f"a step, {one_line(unknown[0])!a},"
            raise messages_journal.journal_of_another_version(self._journal.path, what, lost.command)
        for entry in lost.entries:
            other = await by_name[entry.step].disowns(entry.known) if entry.step in by_name else ""
            key_id = entry.known.get("key_id")
            if not other and key_id and not is_key_id(key_id):
                other = f"the key {one_line(str(key_id))!a}"
            if other:
                raise messages_journal.journal_foreign(self._journal.path, other)

    async def _read(self) -> HeldCredential | None:
        return await self._akka.credential(self._secret_name)

    async def _all_records(self) -> tuple[list[AkkaRecord], str]:
        """The records of all projects, and one of the projects that cannot be read now; "" if there is none.

        Raises:
            PullkeyError: the current project's credentials cannot be read.
        """
        unread: list[str] = []
        listed = await all_records(
            self._akka,
            self._reporter.notice,
            lambda name, why: unread.extend([name] * is_transient(why)),
        )
        return listed, "" if self._session.key.supplied else next(iter(unread), "")

    async def _seen(
        self, held: HeldCredential | None, given: Iterable[Mapping[str, Any]]
    ) -> HeldCredential | None:
        """Akka's record, read again if it does not show what was registered."""
        expected = [registered_record(one) for one in given]
        if not expected:
            return held
        shown = [held]

        async def as_given() -> HeldCredential | None:
            shown[0] = now = await self._read()
            return (
                now if now and any(likeness(now, one) is not RecordMatch.OTHER for one in expected) else None
            )

        if held is None or all(likeness(held, one) is RecordMatch.OTHER for one in expected):
            await confirm_absent(as_given, contradicted_by="a run was registering it")
        return shown[0]

    async def _settled(
        self, held: HeldCredential | None, lost: Record, removing: str
    ) -> HeldCredential | None:
        """Akka's record, once all lists show what an offboarding has done: it may have been killed before or
        after it removed the record.
        """
        removals = [
            entry
            for entry in lost.entries
            if entry.step == OFFBOARD and entry.known.get("key_id") != removing
        ]
        gone = [entry.held for entry in removals]
        # One with left-overs has removed the record.
        if any(is_shown(one, held) or not entry.left for one, entry in zip(gone, removals, strict=True)):
            held = await read_settled(self._read)
        self.removed = [one for one in gone if not is_shown(one, held)]
        return held

    async def _may_hold(self, intent: Mapping[str, Any], held: HeldCredential | None) -> bool:
        """Whether Akka may hold a key that it was or may have been given, and does not show.

        It does not if the registration was never sent, or was refused. Otherwise a record older than the
        registration is not evidence: a lagging list shows it too.
        """
        if not intent.get(ASKED, True):
            return False
        if held is None or likeness(held, registered_record(intent)) is not RecordMatch.OTHER:
            return True
        if intent.get(REFUSED):
            return False
        return _is_older(held, intent) or not await is_seen_to_work(self._session, held)

    async def _may_still_hold(self, key_id: str, held: HeldCredential | None, may_hold: set[str]) -> bool:
        """Whether Akka may still hold a key that was to be replaced, without showing it in each region."""
        link, _ = await key_in_record(self._session, held)
        if link is not None and link.key_id == key_id and held is not None and not held.lagging_regions:
            return False  # Akka shows it, so it is in use
        return bool(may_hold) or not await is_seen_to_work(self._session, held)

    def _hold_back(self, entry: Entry, intent: Mapping[str, Any]) -> None:
        """Keep a key that Akka may hold; the next run checks again."""
        key_id = str(entry.known.get("key_id"))
        command = self._lost_command
        if intent:
            accepted, two_at_most = bool(intent.get(ACCEPTED)), self._session.key.two_at_most
            what = messages.key_may_have_been_given(key_id, accepted=accepted, two_at_most=two_at_most)
            if two_at_most and not accepted:
                # With other providers another rotation decides it; here there is no room for a third key.
                command = self._session.key.delete_command(key_id)
        else:
            what = messages.replaced_key_may_be_held(key_id)
        self._leave(entry, LeftOver(what, command))
        self.held_back.append(entry)

    def _hold_back_unread(self, entry: Entry, unread: str) -> None:
        """Keep a key that a credential may have in a project that cannot be read now."""
        what = messages.key_may_be_elsewhere(str(entry.known.get("key_id")), unread)
        self._leave(entry, LeftOver(what, self._lost_command))
        self.held_back.append(entry)

    async def _keep_shown(self, entry: Entry) -> None:
        """Keep the key of an offboarding whose record Akka still shows, without the key."""
        gone = entry.held
        if self.whole is None and self.held is not None:
            self.whole = replace(gone, status=self.held.status)
        if (await key_in_record(self._session, gone))[0] is not None:
            self._hold_back(entry, {})
        else:
            self._journal.drop(entry)  # another identity's, which this run removes if it replaces the record

    async def settle(self) -> list[LeftOver]:
        """Remove the keys that were held back, once Akka is seen to hold another key. Return the left-overs
        that this settles. Failures are reported, not raised.
        """
        settled: list[LeftOver] = []
        self.left_over = []
        held_back, self.held_back = self.held_back, []
        if not held_back:
            return settled
        step = next(step for step in self._session.steps if step.name == StepRole.KEY)
        try:
            listed, unread = await self._all_records()
        except PullkeyError as error:
            self._reporter.notice(error.what)
            return settled
        own = next((one for where, one in listed if not where and one.name == self._secret_name), None)
        records = [(where, one) for where, one in listed if where or one is not own]
        for entry in held_back:
            left, key_id = entry.left_over, str(entry.known["key_id"])
            if unread or (own is not None and _may_show(own, key_id)):
                continue
            others = self._holders(records, replaced=entry.step in (EngineStep.CLEAR, OFFBOARD))
            entry.leave()
            try:
                if holder := others.get(key_id):
                    self._reporter.notice(messages.stays_valid(key_id, holder))
                    self._journal.drop(entry)
                elif entry.step == StepRole.KEY:
                    await self._remove_key(step, entry, set())
                elif entry.step == OFFBOARD:
                    await self._delete_all(
                        [one for one in self._keys_removed(entry) if one not in others], entry
                    )
                else:
                    await self._take_out(key_id, entry)
            except PullkeyError as error:
                entry.leave(*left)
                self._reporter.notice(f"{left[0].what} could not be removed: {error.what}")
                continue
            settled += left
        return settled

    def _holders(self, records: Sequence[AkkaRecord], *, replaced: bool) -> dict[str, str]:
        """The keys of this identity that records name, each with such a credential in words; with `replaced`,
        also those that they have replaced.
        """
        return {
            key_id: messages.held_as(where, one.name)
            for where, one in records
            for link in one.links
            if self._session.key.owns(link)
            for key_id in (link.key_id, *([link.replaces] if replaced else []))
        }

    async def _serves(self, lost: Record, held: HeldCredential | None, in_use: set[str]) -> bool:
        """Whether a key that Akka holds needs the identity or grant that the lost run created.

        Raises:
            PullkeyError: that cannot be read, so nothing may be removed.
        """
        beside = {step.name for step in self._session.steps} - {StepRole.KEY}
        if not any(entry.step in beside for entry in lost.entries):
            return False
        link, _ = await key_in_record(self._session, held)
        return link is not None or any(key.key_id in in_use for key in await self._session.key.list_ours())

    async def _remove_key(self, step: Step, entry: Entry, in_use: set[str]) -> None:
        try:
            undone = await step.undo({**entry.known, "lost": True, "in_use": sorted(in_use)})
        except StillThere as finding:
            self._leave(entry, LeftOver(finding.what, finding.command))
            return
        self._tell(undone)
        self._journal.drop(entry)

    def _leave(self, entry: Entry, *items: LeftOver) -> None:
        """Keep the entry on record, so that the next run tries again."""
        self.left_over += items
        entry.leave(*items)

    async def _retire(
        self,
        key_id: str,
        entry: Entry,
        held: HeldCredential | None,
        records: Sequence[HeldCredential],
        unread: str,
    ) -> None:
        """Retire a key as the lost run would have done, unless Akka holds it or may hold it."""
        shown = [*records, *([held] if held else [])]
        # A record names the key that it replaced too, which is what a rotation retires; one that an
        # offboarding was to delete is in its grace period.
        named = (
            keys_of(shown) if entry.step == OFFBOARD else {link.key_id for one in shown for link in one.links}
        )
        if key_id in named:
            self._journal.drop(entry)
            return
        if entry.step == OFFBOARD:
            gone = entry.held
            if (await key_in_record(self._session, gone))[0] is None:
                # Another identity's, which only the journal names: report it for the user to remove.
                if left := left_overs_of(gone, await self._remove_replaced(gone, look_only=True)):
                    self._leave(entry, *left)
                else:
                    self._journal.drop(entry)
                return
        if unread:
            self._hold_back_unread(entry, unread)
        elif entry.step == OFFBOARD:
            await self._delete_all([one for one in self._keys_removed(entry) if one not in named], entry)
        else:
            await self._take_out(key_id, entry)

    async def _take_out(self, key_id: str, entry: Entry) -> None:
        session = self._session
        if session.key.supplied:
            self._journal.drop(entry)  # only its owner can revoke it
            return
        undone = ""
        try:
            if not entry.known.get("grace"):
                undone = f"deleted key {key_id}" if await session.key.delete(key_id) else ""
            elif session.key.can_disable:
                # Without a read first: a lagging read would leave a working key.
                await session.key.switch(key_id, on=False)
                undone = f"disabled key {key_id}"
        except KeyGone:
            undone = ""
        except PullkeyError as error:
            self._leave(entry, LeftOver(f"key {key_id} ({error.what})", session.key.delete_command(key_id)))
            return
        self._tell(undone)
        self._journal.drop(entry)

    def _keys_removed(self, entry: Entry) -> list[str]:
        """The keys of the record that an offboarding was to remove, in any region, and the replaced."""
        links = [one for one in entry.held.links if self._session.key.owns(one)]
        return [one for link in links for one in (link.replaces, link.key_id) if one]

    async def _delete_all(self, keys: Sequence[str], entry: Entry) -> None:
        """Delete keys; one that cannot be deleted does not keep the others. A user's password cannot."""
        left: list[LeftOver] = []
        for key_id in () if self._session.key.supplied else keys:
            try:
                self._tell(f"deleted key {key_id}" if await self._session.key.delete(key_id) else "")
            except PullkeyError as error:
                command = self._session.key.delete_command(key_id)
                left.append(LeftOver(f"key {key_id} ({error.what})", command))
        if left:
            self._leave(entry, *left)
        else:
            self._journal.drop(entry)

    def _tell(self, undone: str) -> None:
        if undone:
            self.undone.append(undone)
            self._reporter.undone(undone)


def _handed_off(entry: Entry) -> Mapping[str, Any]:
    """The intent of the registration, from the entry of a handoff or of a key that was held back; else {}."""
    if entry.step == EngineStep.HANDOFF and entry.known.get("key_id"):
        return entry.known
    found: Mapping[str, Any] = entry.intent.get("handed_off", {}) if entry.step == StepRole.KEY else {}
    return found


def _was_given(intent: Mapping[str, Any]) -> bool:
    """Whether Akka may have received a key, by the intent of its registration."""
    return bool(intent.get(ASKED, True)) and not intent.get(REFUSED)


def _as_accepted(held: HeldCredential | None, given: Sequence[Mapping[str, Any]]) -> HeldCredential | None:
    """The record that Akka accepted last, if Akka shows it truncated, without the key; else None."""
    if held is None or not given or not given[-1].get(ACCEPTED):
        return None
    whole = registered_record(given[-1])
    if held.link is not None or likeness(held, whole) is not RecordMatch.CUT:
        return None
    return replace(whole, status=held.status)


def _is_older(held: HeldCredential, intent: Mapping[str, Any]) -> bool:
    """Whether a record existed before the handoff."""
    older = held.link is not None and held.link.key_id in intent.get("older", ())
    return older or held.email == intent.get("replaces")


def _may_show(held: HeldCredential, key_id: str) -> bool:
    """Whether a region shows a key, or something else than the others, so that it may still have that key."""
    return bool(held.lagging_regions) or any(link.key_id == key_id for link in held.links)


def _differs(one: HeldCredential, held: HeldCredential | None) -> bool:
    return held is None or one.link != held.link


def left_overs_of(held: HeldCredential, removed: Result) -> list[LeftOver]:
    """The underlying resources of a credential that still exist after `RemoveReplaced`."""
    if removed.error is None:
        return list(removed.left_over)
    return [*removed.left_over, messages.cloud_resources_of_replaced(held, removed.error)]
