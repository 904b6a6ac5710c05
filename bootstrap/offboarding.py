"""Takes a credential out of use for good: Akka's reference, Akka's secret, the key, the grant, the identity.

Only what is surely ours goes: the identity only if pullkey made it and nothing else uses it. What is already gone counts
as done; what stays is told with the reason, and with the command that removes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.akka import AkkaCli
from bootstrap.audit import Change
from bootstrap.behind import Behind, find
from bootstrap.codes import Code
from bootstrap.errors import Declined, ExitCode, Interrupted, LeftOver, NotShown, PullkeyError, StepFailed
from bootstrap.journal import Entry, Journal
from bootstrap.journal import Record as LostRun
from bootstrap.link import KeyLink
from bootstrap.observe import Absent, Present, confirm_absent
from bootstrap.once import Once
from bootstrap.operation import Operation
from bootstrap.proofs import Proofs
from bootstrap.provider import HeldCredential, RunContext, Session
from bootstrap.records import Record, all_records, keys_in_use
from bootstrap.recovery import OFFBOARD, as_intent, strays
from bootstrap.reporter import Reporter, quiet
from bootstrap.result import RemovalResult, Result
from bootstrap.run_options import OffboardOptions
from bootstrap.steps import Fate, Removal, Step, StillThere
from bootstrap.words import capitalised

_UNSEEN_USES = "whether others use it could not be seen"


@dataclass(frozen=True)
class _Seen:
    """What the cloud shows of a credential: who else uses its identity, its keys, and what each step has made."""

    uses: Sequence[str]
    keys: Mapping[str, Removal]
    steps: Sequence[tuple[Step, Removal | None]]


class KeyUnseen(PullkeyError):
    """The key could not be deleted, because it cannot be seen."""

    code = Code.KEY_NOT_VISIBLE
    exit_code = ExitCode.REFUSED


class Offboarding(Operation):
    """One credential that is to be removed.

    Args:
        behind: Akka's record, and its cloud resources.
        akka: the CLI, for the credential's project.
    """

    then = "stopping; what was removed by then stays removed"
    refusals = (Declined, KeyUnseen)

    def __init__(
        self,
        behind: Behind,
        *,
        context: RunContext,
        akka: AkkaCli,
        journal: Journal | None,
        reporter: Reporter,
        options: OffboardOptions,
        proofs: Proofs | None = None,
    ) -> None:
        super().__init__(
            context=context, akka=akka, journal=journal, reporter=reporter, options=options, proofs=proofs
        )
        self.options = options
        self._behind = behind
        self._held = behind.held
        self._records: list[Record] = []
        # Keys that this command has deleted: Akka's list may still show the records that named them.
        self._gone: set[str] = context.shared.get("offboarded-keys", set)
        self._entry: Entry | None = None
        self._held_back: list[Entry] = []
        """Of keys that Akka may hold in place of the one that it shows: they go once it has forgotten the credential."""
        if behind.context is not None:
            behind.context.in_use = Once(lambda: keys_in_use(akka))

    def unfinished(self) -> list[str]:
        going = [one for one in self.result.removals if one.goes and one.result != "removed"]
        return [f"Not removed: {one.removal.what}" for one in going]

    async def _close(self) -> None:
        if self._behind.session is not None:
            await self._behind.session.close()

    async def _remove_replaced(self, held: HeldCredential, *, look_only: bool = False) -> Result:
        return await remove_replaced(
            held, self.context, self.akka, self.reporter, self._proofs, look_only=look_only
        )

    async def _perform(self, *, recovered: bool) -> None:
        await self._look()
        if self.options.dry_run:
            self.result.result = "planned"
            return
        self._refuse_to_lose_a_key()
        going = [item for item in self.result.removals if item.goes]
        if not going:
            await self._end()
            return
        if not self.options.yes and not self.reporter.confirm(f"Remove {self._held.name} from {self.akka.resolved.label}, with what is marked above?"):  # fmt: skip
            raise Declined
        self.changing = True
        self.context.deadline.settle()
        if self._journal is not None:
            self._journal.begin(self.context.run_id, self.options.command)
            self._entry = self._journal.about_to(OFFBOARD, as_intent(self._held))
            self._journal.replace_earlier(self._entry)
        for item in going:
            if self._stop.is_set():
                raise Interrupted("Interrupted; what was not removed yet is still there", fix=f"Go on with: {self.options.command}")  # fmt: skip
            if not await self._remove(item):
                # Behind a credential that Akka still has, nothing may go.
                if self.result.changed:
                    rest = going[going.index(item) :]
                    self.result.left_over += [LeftOver(one.removal.what, one.removal.command) for one in rest]
                raise StepFailed(f"{item.detail}, so its cloud resources were left alone", fix="Run it again in a while.", code=Code.STEP_FAILED)  # fmt: skip
        for item in self.result.removals:
            if item.removal.fate is Fate.UNSEEN:
                left = LeftOver(f"{item.removal.what} ({item.removal.why})", item.removal.command)
                self.result.left_over.append(left)
                self.context.audit(Change(item.name, left.what, "left over"))
        self.result.result = "done"
        await self._end()

    def _lost_run(self) -> LostRun | None:
        """As `Operation._lost_run`; what was offboarding this very record is never another target's."""
        if self.options.dry_run or self._journal is None or self._behind.session is None:
            return None
        lost = self._journal.left_behind()
        if lost is not None and not self._own_entries(lost):
            # Else it is of this very record, whose target may look like another one with the identity gone.
            self._journal.check_target(lost)
        return lost

    def _own_entries(self, lost: LostRun) -> list[Entry]:
        going = self._held.link.key_id if self._held.link else ""
        return [one for one in lost.entries if one.step == OFFBOARD and one.known.get("key_id") == going]

    async def _recover(self, lost: LostRun) -> None:
        """What another run for this secret had begun and not ended goes first; what was offboarding is gone on with."""
        if self._behind.session is None or self._journal is None:
            raise AssertionError("there is a lost run only with both")
        going = self._held.link.key_id if self._held.link else ""
        ask = len(self._own_entries(lost)) < len(lost.entries)
        recovery = await self._clear_up(self._behind.session, self._journal, lost, self._held, going=going, ask=ask)  # fmt: skip
        self._held_back = recovery.held_back

    async def _end(self) -> None:
        """All is done; what is left over is told before the journal ends."""
        if self._behind.session is not None and self._held.link is not None and self._journal is not None:
            link = self._held.link
            told = " ".join(f"{one.what} {one.command}" for one in self.result.left_over)
            told += " ".join(item.removal.command for item in self.result.removals)
            for text in await strays(self._behind.session, self.akka, {*self._keys_of(link)}, told):
                self._notice(text)
        self._report_left_over()
        if self._entry is not None:
            # Akka has forgotten the credential, so this entry is what the next run goes on from.
            self._entry.leave(*self.result.left_over)
        self._end_journal()

    def _refuse_to_lose_a_key(self) -> None:
        """Without Akka's record nobody would know of a key that lives on.

        Raises:
            KeyUnseen: it cannot be seen, so it could not be deleted either.
        """
        for item in self.result.removals:
            if item.name == "key" and item.removal.fate is Fate.UNSEEN:
                raise KeyUnseen(f"{item.removal.what} cannot be seen ({item.removal.why}), and would stay unnoticed; nothing was changed", fix=f"Log in to its cloud (--secret-stdin for Docker Hub), or delete it by hand first: {item.removal.command}")  # fmt: skip

    # -- looking -------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """What goes and what stays, all of it before the first change."""
        items = self.result.removals
        if self.options.akka_too:
            items += self._of_akka()
        session, link = self._behind.session, self._held.link
        if link is None:
            items.append(
                RemovalResult(
                    "behind", Removal(Fate.KEEP, "its cloud resources", "it was not created by pullkey")
                )
            )
        elif session is None:
            raise self._behind.error or StepFailed(
                "Its cloud resources could not be found", code=Code.CREDENTIAL_UNREADABLE
            )
        else:
            records, seen = await asyncio.gather(
                all_records(self.akka, self._notice), self._see(session, link)
            )
            self._records = [(project, held) for project, held in records if project or held.name != self._held.name]  # fmt: skip
            others = [
                f"Akka's {held.name}{f' of project {project}' if project else ''} has the same key"
                for project, held in self._records
                if _has(held.link, link)
            ]
            items += self._of_keys(session, link, seen, others)
            items += await self._of_steps(session, link, seen, others)
        self.reporter.project(self.akka.resolved.described)
        self.reporter.removals([item.removal for item in items])

    async def _see(self, session: Session, link: KeyLink) -> _Seen:
        """What the cloud shows; all of it is asked at once."""
        keys = [] if session.key.supplied else self._keys_of(link)
        uses, fates, removals = await asyncio.gather(
            self._used(session, set(keys)),
            asyncio.gather(*(self._fate_of_key(session, key_id) for key_id in keys)),
            asyncio.gather(*(_fate_of_step(step) for step in session.steps)),
        )
        steps = list(zip(session.steps, removals, strict=True))
        return _Seen(uses, dict(zip(keys, fates, strict=True)), steps)

    async def _fate_of_key(self, session: Session, key_id: str) -> Removal:
        """Whether a key is to be deleted. One that Akka holds, or may hold, is deleted by its id even if no read shows it:
        afterwards nothing names it any more.
        """
        what, command = f"key {key_id}", session.key.delete_command(key_id)
        replaced = self._held.link is not None and key_id == self._held.link.replaces
        try:
            seen = await confirm_absent(
                lambda: session.key.facts(key_id),
                contradicted_by="" if replaced else "Akka's record names it",
                deadline=self.context.deadline,
            )
        except NotShown as error:
            # If the cloud still does not know it when it is to be deleted, it is left over.
            return Removal(Fate.REMOVE, what, error.what, command)
        except PullkeyError as error:
            return Removal(Fate.UNSEEN, what, error.what, command)
        if isinstance(seen, Present):
            return Removal(Fate.REMOVE, what, command=command)
        if replaced and isinstance(seen, Absent):
            return Removal(Fate.GONE, what)
        return Removal(Fate.REMOVE, what, "it is not shown; its deletion is requested by id", command)

    def _keys_of(self, link: KeyLink) -> list[str]:
        """The ids of all the keys that go: what Akka shows, what that replaced, and what it may hold instead."""
        held_back = [str(entry.known["key_id"]) for entry in self._held_back]
        return list(dict.fromkeys(filter(None, (link.key_id, link.replaces, *held_back))))

    def _of_akka(self) -> list[RemovalResult]:
        name = self._held.name
        project = self.akka.resolved.label

        async def reference() -> str:
            await self.akka.remove_reference(name)
            return f"removed {name} from {project}"

        async def secret() -> str:
            await self.akka.remove_secret(name)
            return f"deleted Akka's secret {name}"

        kept = Removal(Fate.KEEP, f"Akka's secret {name}", "--keep-secret; its key pulls nothing any more")
        return [
            RemovalResult(
                "reference", Removal(Fate.REMOVE, f"Akka's credential {name} of {project}"), reference
            ),
            RemovalResult("secret", kept)
            if self.options.keep_secret
            else RemovalResult(
                "secret",
                Removal(Fate.REMOVE, f"Akka's secret {name}", command=self.akka.secret_removal(name)),
                secret,
            ),
        ]

    async def _keys_elsewhere(self, session: Session) -> set[str]:
        """The keys of this identity that Akka has for other registries: they need the identity, and not this grant."""
        target = self._behind.target
        found: set[str] = set()
        for _, held in self._records:
            link = held.link
            if link is None or not held.username or not await self._is_of_identity(session, held):
                continue
            other = await find(held, self.context)
            if other.target is not None and target is not None and other.target.label != target.label:
                found |= {key for key in (link.key_id, link.replaces) if key}
        return found

    def _of_keys(
        self, session: Session, link: KeyLink, seen: _Seen, others: Sequence[str]
    ) -> list[RemovalResult]:
        """The key that Akka holds, and the one that it replaced, where that is still there."""
        if session.key.supplied:
            why = "it is user-supplied, so only its owner can revoke it"
            what = f"the password registered in run {link.key_id}"
            return [
                RemovalResult("key", Removal(Fate.KEEP, what, why, session.key.delete_command(link.key_id)))
            ]
        items = []
        for key_id, found in seen.keys.items():
            removal = found
            if others and removal.fate is Fate.REMOVE:
                removal = Removal(Fate.KEEP, removal.what, "; ".join(others), removal.command)
            if key_id == link.key_id or removal.fate is not Fate.GONE:
                items.append(RemovalResult("key", removal, self._deletion(session, key_id)))
        return items

    def _deletion(self, session: Session, key_id: str) -> Callable[[], Awaitable[str]]:
        async def act() -> str:
            try:
                there = await session.key.delete(key_id)
            except PullkeyError as error:
                raise StillThere(f"key {key_id} ({error.what})", session.key.delete_command(key_id)) from None
            if self._proofs is not None:
                self._proofs.forget(key_id)
            self._gone.add(key_id)
            self._settle(key_id)
            return f"deleted key {key_id}" if there else f"key {key_id} was already deleted"

        return act

    def _settle(self, key_id: str) -> None:
        """A key is deleted that an earlier run had left over, since Akka might have held it."""
        for entry in self._held_back:
            if entry.known["key_id"] == key_id:
                for left in entry.left_over:
                    self.result.left_over.remove(left)
                entry.leave()

    async def _of_steps(
        self, session: Session, link: KeyLink, seen: _Seen, others: Sequence[str]
    ) -> list[RemovalResult]:
        """Grant and identity, last made first."""
        recorded = await self._recorded_uses(session, link)
        uses = [*others, *seen.uses] or list(recorded.values())
        grant_uses = uses
        if uses and (elsewhere := await self._keys_elsewhere(session)):
            grant_uses = [*others, *await self._used(session, {*self._keys_of(link), *elsewhere})]
            grant_uses = grant_uses or [use for key_id, use in recorded.items() if key_id not in elsewhere]
        items = []
        for step, found in reversed(seen.steps):
            removal = found
            if removal is None:
                continue
            act: Callable[[], Awaitable[str]] | None = step.remove
            why_not = uses if step.name == "identity" else grant_uses
            if (
                removal.fate is Fate.REMOVE
                and not why_not
                and self.options.keep_identity
                and step.name == "identity"
            ):
                why_not = ["--keep-identity"]
            if removal.fate is Fate.REMOVE and why_not:
                why = _in_short(why_not)
                # What may be used by nobody is left over: somebody must look.
                fate = Fate.UNSEEN if all(use.startswith(_UNSEEN_USES) for use in why_not) else Fate.KEEP
                removal, act = Removal(fate, removal.what, why, removal.command), None
            items.append(RemovalResult(step.name, removal, act))
        return items

    async def _is_of_identity(self, session: Session, held: HeldCredential) -> bool:
        """Whether a record names a key of the identity that the credential is of: by the user name that this one has, where
        the cloud may not show the identity, or by one that a key of it has.
        """
        link = held.link
        if link is None or not session.key.owns(link):
            return False
        return held.username in ("", self._held.username) or await session.key.is_username(
            held.username, link
        )

    async def _recorded_uses(self, session: Session, link: KeyLink) -> dict[str, str]:
        """The other keys of the identity that Akka's records name, by id: the cloud may not show a new one yet."""
        return {
            one.key_id: f"{_UNSEEN_USES}: Akka's {held.name}{f' of project {project}' if project else ''} names its key {one.key_id}, which is not shown"
            for project, held in self._records
            if (one := held.link) is not None
            and one.key_id not in self._keys_of(link)
            and one.key_id not in self._gone
            and await self._is_of_identity(session, held)
        }

    async def _used(self, session: Session, ours: set[str]) -> list[str]:
        if session.key.supplied:
            return []
        try:
            return await session.key.used_by_others(ours)
        except PullkeyError as error:
            return [f"{_UNSEEN_USES}: {error.what}"]

    # -- doing ---------------------------------------------------------------------------------------------------

    async def _remove(self, item: RemovalResult) -> bool:
        """Remove one thing; False if Akka's side could not be removed, behind which nothing may go."""
        self.reporter.begin(item.removal.what, f"Remove {item.removal.what}")
        assert item.act is not None  # noqa: S101  - `goes` has said so
        try:
            item.detail = await item.act()
        except StillThere as finding:
            self._leave(item, finding.what, finding.command)
            return True
        except PullkeyError as error:
            if item.name in ("reference", "secret"):
                self.context.audit(Change(item.name, error.what, "failed"))
                item.result, item.detail = "failed", error.what
                self.reporter.fail(item.removal.what, error.what)
                return False
            self._leave(item, f"{item.removal.what} ({error.what})", item.removal.command)
            return True
        item.result = "removed"
        self.result.changed = True
        key_id = item.removal.what.removeprefix("key ") if item.name == "key" else ""
        self.context.audit(Change(item.name, item.detail or "it was already deleted", "removed", key_id))
        self.reporter.finish(
            item.removal.what, capitalised(item.detail or f"{item.removal.what} was already deleted"), 0.0
        )
        return True

    def _leave(self, item: RemovalResult, what: str, command: str) -> None:
        item.result, item.detail = "left over", what
        self.context.audit(Change(item.name, what, "left over"))
        self.reporter.fail(item.removal.what, what)
        self.result.left_over.append(LeftOver(what, command))


async def _fate_of_step(step: Step) -> Removal | None:
    try:
        return await step.removal()
    except PullkeyError as error:
        return Removal(Fate.UNSEEN, step.title, error.what)


async def remove_replaced(
    held: HeldCredential,
    context: RunContext,
    akka: AkkaCli,
    reporter: Reporter,
    proofs: Proofs | None,
    *,
    look_only: bool = False,
) -> Result:
    """Remove the cloud resources of a credential whose name in Akka another one has taken.

    With `look_only` nothing is removed, and what would be is left over.
    """
    behind = await find(held, context)
    result = await Offboarding(
        behind,
        context=behind.context or context,
        akka=akka,
        journal=None,
        reporter=quiet() if look_only else reporter,
        options=OffboardOptions(yes=True, akka_too=False, dry_run=look_only),
        proofs=proofs,
    ).execute()
    if look_only:
        going = [one.removal for one in result.removals if one.goes]
        result.left_over += [LeftOver(one.what, one.command) for one in going]
    return result


def _has(one: KeyLink | None, other: KeyLink) -> bool:
    """Whether a record's link names the other's key. An id may be good for one identity only: a token's says the second."""
    return (
        one is not None
        and (one.name, one.domain) == (other.name, other.domain)
        and other.key_id in (one.key_id, one.replaces)
    )


def _in_short(uses: Sequence[str]) -> str:
    return uses[0] if len(uses) == 1 else f"{uses[0]}, and {len(uses) - 1} more"
