"""Plan an offboarding: read Akka and the cloud, and decide what is removed, what is kept, and why.

Only resources that pullkey certainly created are removed; the identity only if nothing else uses it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.record_match import is_another, is_same_key
from bootstrap.akka.records import Record, all_records, keys_of
from bootstrap.akka.runner import is_transient
from bootstrap.engine import messages_removal as messages
from bootstrap.engine.journal import Entry
from bootstrap.engine.locate import LocatedCredential, find
from bootstrap.engine.lost_keys import still_lost
from bootstrap.engine.result import RemovalResult, Result
from bootstrap.engine.run_options import OffboardOptions
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import NotShown, PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import Absent, Present, confirm_absent
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Disposition, Removal, Step, StepRole, StillThere

# How far the cloud's clock may be behind this machine's, and an uploaded key's certificate before its upload.
_CLOCKS = dt.timedelta(minutes=15)

OVERWRITTEN = "overwritten-keys"
"""What the targets of a command share: the keys of the records that they have overwritten."""


@dataclass(frozen=True)
class _CloudState:
    """What the cloud shows of a credential.

    Attributes:
        uses: other uses of its identity.
        keys: what is to be done with each key, by id.
        steps: the steps, with what is to be done with the object of each.
    """

    uses: Sequence[str]
    keys: Mapping[str, Removal]
    steps: Sequence[tuple[Step, Removal | None]]


class RemovalPlanner:
    """Decides what is removed of one credential. Each removal has the function that carries it out.

    Args:
        located: Akka's record and its cloud resources.
        result: the removals are added to it.
        notice: shows a notice.

    Attributes:
        held_back: the journal entries of keys that Akka may hold instead of the one that it shows. They are
            deleted once Akka's record is removed.
    """

    def __init__(
        self,
        located: LocatedCredential,
        context: RunContext,
        akka: AkkaCli,
        options: OffboardOptions,
        verified_pulls: VerifiedPulls | None,
        result: Result,
        notice: Callable[[str], None],
    ) -> None:
        self._located = located
        self._held = located.held
        self._context = context
        self._akka = akka
        self._options = options
        self._verified_pulls = verified_pulls
        self._result = result
        self._notice = notice
        self._records: list[Record] = []
        # Akka's list may still show records of keys that this command has deleted.
        self._deleted_keys: set[str] = context.shared.get("offboarded-keys", set)
        self.held_back: list[Entry] = []
        self._lost: list[str] = []
        """The keys that runs on any machine have lost, by their marks."""
        self._began = clock.now()
        self._elsewhere: set[str] = set()
        """The identity's keys that Akka has for other registries."""

    async def look(self) -> None:
        """Decide on all removals, before the first change."""
        items = self._result.removals
        if self._options.akka_too:
            items += self._of_akka()
        session, link = self._located.session, self._held.link
        if session is None or link is None:
            raise self._located.error or messages.resources_not_found()
        unread: list[str] = []
        records, seen = await asyncio.gather(
            all_records(
                self._akka, self._notice, lambda name, why: unread.extend([name] * is_transient(why))
            ),
            self._read_cloud(session, link),
        )
        if unread and not session.key.supplied:
            raise messages.holders_unread(unread[0], self._options.command)
        self._records = [
            (project, held) for project, held in records if project or held.name != self._held.name
        ]
        there = [key_id for key_id, one in seen.keys.items() if one.disposition is not Disposition.GONE]
        others = {key_id: self._others_with(replace(link, key_id=key_id)) for key_id in {link.key_id, *there}}
        items += self._of_keys(session, link, seen, others)
        kept_for = list(dict.fromkeys(itertools.chain.from_iterable(others.values())))
        items += await self._of_steps(session, link, seen, kept_for)
        await self._report_missing_permissions(session)

    def _others_with(self, key: KeyRef) -> list[str]:
        """The other records that name a key, one sentence each. What a record replaces is named by it too, as
        long as it may still exist; what this credential has replaced is of no other record then.
        """
        of_record = key.key_id == (self._held.link.key_id if self._held.link is not None else "")
        return [
            messages.same_key(held.name, project)
            for project, held in self._records
            if any(
                is_same_key(one, key) or (of_record and is_same_key(replace(one, key_id=one.replaces), key))
                for one in held.links
            )
        ]

    async def keys_since(self) -> list[str]:
        """The keys of the identity that another run has created since the look; none if they are not shown.

        Read before grant and identity are removed: such a run has found them, and its key needs them. Where
        any is removed, the look has shown no key but this credential's and those for other registries.
        """
        session, link = self._located.session, self._held.link
        if session is None or link is None or session.key.supplied:
            return []
        try:
            keys = await session.key.list_ours()
        except PullkeyError:
            return []  # the look has shown who uses it
        known = {*self.keys_of(link)} | self._elsewhere | self._deleted_keys
        # A list that lags may show a key that was deleted before, which is older.
        since = self._began - _CLOCKS
        return sorted(
            one.key_id
            for one in keys
            if one.key_id not in known and (one.created is None or one.created >= since)
        )

    async def _report_missing_permissions(self, session: Session) -> None:
        """Report the permissions that reading or removing these objects needs and the login lacks."""
        concerned = {
            item.name
            for item in self._result.removals
            if item.to_remove or item.removal.disposition is Disposition.UNSEEN
        }
        steps = [step for step in session.steps if step.name in concerned and step.removal_permissions]
        asked = sorted({name for step in steps for name in step.removal_permissions})
        if not asked or not self._options.ask_permissions:
            return
        try:
            missing = await session.missing_permissions(asked) or {}
        except PullkeyError:
            return  # its own calls report what is wrong
        for permission, place in missing.items():
            self._notice(
                messages.removal_permission_missing(permission, place, session.role_with(permission))
            )

    async def _read_cloud(self, session: Session, link: KeyRef) -> _CloudState:
        """Read the state of the credential's resources, concurrently."""
        self._lost = await self._lost_keys(session)
        keys = [] if session.key.supplied else self.keys_of(link)
        uses, of_keys, removals = await asyncio.gather(
            self._used(session, set(keys)),
            asyncio.gather(*(self._removal_of_key(session, key_id) for key_id in keys)),
            asyncio.gather(*(_removal_of_step(step) for step in session.steps)),
        )
        steps = list(zip(session.steps, removals, strict=True))
        return _CloudState(uses, dict(zip(keys, of_keys, strict=True)), steps)

    async def _lost_keys(self, session: Session) -> list[str]:
        """The ids of the keys that runs for this Akka secret have created and lost, on whatever machine."""
        try:
            found = await session.key.lost_keys()
            lost = await still_lost(found, self._located.context or self._context) if found else []
        except PullkeyError as error:
            self._context.trace(f"keys of lost runs cannot be seen ({error.what})")
            return []
        return [key.key_id for key in lost or ()]

    async def _removal_of_key(self, session: Session, key_id: str) -> Removal:
        """Whether a key is to be deleted. A key that Akka holds or may hold is deleted by its id even if no
        read shows it: without Akka's record nothing would name it.
        """
        what, command = messages.key(key_id), session.key.delete_command(key_id)
        if key_id in self._lost:
            return Removal(Disposition.REMOVE, what, messages.OF_LOST_RUN, command)
        links = self._held.links
        replaced = any(key_id == one.replaces for one in links) and all(key_id != one.key_id for one in links)
        try:
            seen = await confirm_absent(
                lambda: session.key.facts(key_id),
                contradicted_by="" if replaced else "Akka's record names it",
                deadline=self._context.deadline,
            )
        except NotShown as error:
            # If the cloud still does not know it at its deletion, it is left over.
            return Removal(Disposition.REMOVE, what, error.what, command)
        except PullkeyError as error:
            return Removal(Disposition.UNSEEN, what, error.what, command)
        if isinstance(seen, Present):
            return Removal(Disposition.REMOVE, what, command=command)
        if replaced and isinstance(seen, Absent):
            return Removal(Disposition.GONE, what)
        return messages.key_not_shown(key_id, command)

    def keys_of(self, link: KeyRef) -> list[str]:
        """The ids of all keys to delete: those that Akka shows in any region, those that they replaced, those
        that Akka may hold instead, and those of lost runs.
        """
        session = self._located.session
        regions = [one for one in self._held.links if session is not None and session.key.owns(one)]
        shown = [key_id for one in (link, *regions) for key_id in (one.key_id, one.replaces)]
        held_back = [str(entry.known["key_id"]) for entry in self.held_back]
        return list(dict.fromkeys(filter(None, (*shown, *held_back, *self._lost))))

    def _of_akka(self) -> list[RemovalResult]:
        name = self._held.name
        project = self._akka.resolved.label

        async def check_no_other() -> None:
            # A lost answer takes a minute, in which another run may have registered under the name.
            if is_another(await self._akka.credential(name), self._held):
                raise messages.record_is_newer(name, self._options.command)

        async def reference() -> str:
            await self._akka.remove_reference(name, before_retry=check_no_other)
            return messages.reference_removed(name, project)

        async def secret() -> str:
            await self._akka.remove_secret(name, before_retry=check_no_other)
            return messages.secret_deleted(name)

        return [
            RemovalResult("reference", messages.reference(name, project), reference),
            RemovalResult("secret", messages.secret_kept(name))
            if self._options.keep_secret
            else RemovalResult("secret", messages.secret(name, self._akka.secret_removal(name)), secret),
        ]

    async def _keys_elsewhere(self, session: Session) -> set[str]:
        """The ids of this identity's keys that Akka has for other registries: they need the identity, but not
        this grant.
        """
        target = self._located.target
        # Those that only records named which this command has overwritten are removed with theirs.
        found = self._context.shared.get(OVERWRITTEN, set) - keys_of(held for _, held in self._records)
        for _, held in self._records:
            link = held.link
            if link is None or not held.username or not await self._is_of_identity(session, held):
                continue
            other = await find(held, self._context)
            if other.target is not None and target is not None and other.target.label != target.label:
                found |= {key for key in (link.key_id, link.replaces) if key}
        return found

    def _of_keys(
        self, session: Session, link: KeyRef, seen: _CloudState, others: Mapping[str, Sequence[str]]
    ) -> list[RemovalResult]:
        """The removals of the key that Akka holds, and of others that still exist."""
        if session.key.supplied:
            kept = messages.password_kept(link.key_id, session.key.delete_command(link.key_id))
            return [RemovalResult(StepRole.KEY, kept)]
        items = []
        for key_id, found in seen.keys.items():
            removal = found
            kept_for = others.get(key_id)
            if kept_for and removal.disposition is Disposition.REMOVE and key_id not in self._lost:
                removal = Removal(Disposition.KEEP, removal.what, "; ".join(kept_for), removal.command)
            if key_id == link.key_id or removal.disposition is not Disposition.GONE:
                items.append(RemovalResult(StepRole.KEY, removal, self._deletion(session, key_id)))
        return items

    def _deletion(self, session: Session, key_id: str) -> Callable[[], Awaitable[str]]:
        async def act() -> str:
            try:
                existed = await session.key.delete(key_id)
            except PullkeyError as error:
                what = messages.key_undeleted(key_id, error.what)
                raise StillThere(what, session.key.delete_command(key_id)) from None
            if self._verified_pulls is not None:
                self._verified_pulls.invalidate(key_id)
            self._deleted_keys.add(key_id)
            self._settle(key_id)
            return messages.key_deleted(key_id, existed=existed)

        return act

    def _settle(self, key_id: str) -> None:
        """Remove the left-over of an earlier run for a key that is deleted now."""
        for entry in self.held_back:
            if entry.known["key_id"] == key_id:
                for left in entry.left_over:
                    self._result.left_over.remove(left)
                entry.leave()

    async def _of_steps(
        self, session: Session, link: KeyRef, seen: _CloudState, others: Sequence[str]
    ) -> list[RemovalResult]:
        """The removals of grant and identity, in reverse order of creation."""
        recorded = await self._recorded_uses(session, link)
        uses = [*others, *seen.uses] or list(recorded.values())
        grant_uses = uses
        if uses and (elsewhere := await self._keys_elsewhere(session)):
            self._elsewhere = elsewhere
            grant_uses = [*others, *await self._used(session, {*self.keys_of(link), *elsewhere})]
            grant_uses = grant_uses or [use for key_id, use in recorded.items() if key_id not in elsewhere]
        items = []
        for step, found in reversed(seen.steps):
            removal = found
            if removal is None:
                continue
            act: Callable[[], Awaitable[str]] | None = step.remove
            why_not = uses if step.name == StepRole.IDENTITY else grant_uses
            if (
                removal.disposition is Disposition.REMOVE
                and not why_not
                and self._options.keep_identity
                and step.name == StepRole.IDENTITY
            ):
                why_not = ["--keep-identity"]
            if removal.disposition is Disposition.REMOVE and why_not:
                why = messages.first_use(why_not)
                # If it may be unused, it is reported as left over, for the user to check.
                unseen = all(use.startswith(messages.USES_UNSEEN) for use in why_not)
                disposition = Disposition.UNSEEN if unseen else Disposition.KEEP
                removal, act = Removal(disposition, removal.what, why, removal.command), None
            items.append(RemovalResult(step.name, removal, act))
        return items

    async def _is_of_identity(self, session: Session, held: HeldCredential) -> bool:
        """Whether a record names a key of the credential's identity, judging by the user name: that of the
        credential, in case the cloud does not show the identity, or that of one of its keys.
        """
        link = held.link
        if link is None or not session.key.owns(link):
            return False
        return held.username in ("", self._held.username) or await session.key.is_username(
            held.username, link
        )

    async def _recorded_uses(self, session: Session, link: KeyRef) -> dict[str, str]:
        """Other keys of the identity in Akka's records, by id: the cloud may not show a new key yet."""
        return {
            one.key_id: messages.key_in_record_not_shown(held.name, project, one.key_id)
            for project, held in self._records
            for one in held.links
            if one.key_id not in self.keys_of(link)
            and one.key_id not in self._deleted_keys
            and await self._is_of_identity(session, held)
        }

    async def _used(self, session: Session, ours: set[str]) -> list[str]:
        if session.key.supplied:
            return []
        try:
            return await session.key.used_by_others(ours)
        except PullkeyError as error:
            return [messages.uses_unreadable(error.what)]


async def _removal_of_step(step: Step) -> Removal | None:
    try:
        return await step.removal()
    except PullkeyError as error:
        command = step.delete_command() if isinstance(step, Resource) else ""
        return Removal(Disposition.UNSEEN, step.offboarded, error.what, command)
