"""Takes a credential out of use for good: Akka's reference, Akka's secret, the key, the grant, the identity.

Only what is surely ours goes: the identity only if pullkey made it and nothing else uses it. What is already gone counts
as done; what stays is told with the reason, and with the command that removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bootstrap.akka import AkkaCli
from bootstrap.audit import Change
from bootstrap.behind import Behind, find
from bootstrap.codes import Code
from bootstrap.errors import Declined, ExitCode, Interrupted, LeftOver, NotShown, PullkeyError, StepFailed
from bootstrap.journal import Entry, Journal
from bootstrap.link import KeyLink
from bootstrap.observe import Absent, Present, confirm_absent
from bootstrap.once import Once
from bootstrap.plugin.errors import as_user_error
from bootstrap.proofs import Proofs
from bootstrap.provider import HeldCredential, RunContext, Session
from bootstrap.records import Record, all_records, keys_in_use
from bootstrap.recovery import OFFBOARD, Recovery, as_intent, strays
from bootstrap.reporter import Reporter, quiet
from bootstrap.steps import Fate, Removal, Step, StillThere
from bootstrap.words import capitalised, sentence

_UNSEEN_USES = "whether others use it could not be seen"


@dataclass(frozen=True)
class Wanted:
    """What the person asked for.

    Args:
        keep_identity: the identity stays, even where nothing else uses it.
        keep_secret: Akka's secret stays; only the project's reference to it goes.
        akka_too: whether Akka's side goes as well; not so where another credential has taken its name.
    """

    dry_run: bool = False
    yes: bool = False
    keep_identity: bool = False
    keep_secret: bool = False
    akka_too: bool = True
    command: str = ""


@dataclass
class Item:
    """One thing that goes or stays."""

    name: str
    removal: Removal
    act: Callable[[], Awaitable[str]] | None = None
    result: str = ""
    detail: str = ""

    @property
    def goes(self) -> bool:
        return self.removal.fate is Fate.REMOVE and self.act is not None


@dataclass
class Parting:
    """What became of an offboarding."""

    result: str = "unchanged"
    exit_code: ExitCode = ExitCode.DONE
    changed: bool = False
    items: list[Item] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    left_over: list[LeftOver] = field(default_factory=list)
    error: PullkeyError | None = None


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


class Offboarding:
    """One credential that is to go.

    Args:
        behind: Akka's record, and what stands behind it.
        akka: the CLI, for the credential's project.
        journal: of its Akka secret; its lock is held while anything is changed. None inside a run that has both.
    """

    def __init__(
        self,
        behind: Behind,
        context: RunContext,
        akka: AkkaCli,
        journal: Journal | None,
        reporter: Reporter,
        proofs: Proofs,
        wanted: Wanted,
    ) -> None:
        self._behind = behind
        self._held = behind.held
        self._context = context
        self._akka = akka
        self._journal = journal
        self._reporter = reporter
        self._proofs = proofs
        self._wanted = wanted
        self._records: list[Record] = []
        # Keys that this command has deleted: Akka's list may still show the records that named them.
        self._gone: set[str] = context.shared.get("offboarded-keys", set)
        self._told_left_over = False
        self._entry: Entry | None = None
        self._held_back: list[Entry] = []
        """Of keys that Akka may hold in place of the one that it shows: they go once it has forgotten the credential."""
        if journal is not None:
            akka.lock = lambda: journal.descriptor
        if behind.context is not None:
            behind.context.in_use = Once(lambda: keys_in_use(akka))
        self._stopped = False
        self.changing = False
        self.parting = Parting()

    then = "stopping; what was removed by then stays removed"

    def interrupt(self) -> None:
        """Begin nothing more. What has gone stays gone; the next run goes on with the rest."""
        self._stopped = True

    def unfinished(self) -> list[str]:
        """What was to go, and is not known to be gone."""
        return [f"Not removed: {item.removal.what}" for item in self.parting.items if item.goes and item.result != "removed"]  # fmt: skip

    async def execute(self) -> Parting:
        """Do it. Errors that a person can be told stand in what is returned; none is raised."""
        try:
            if self._wanted.dry_run:
                await self._look()
                self.parting.result = "planned"
            else:
                with self._journal.locked() if self._journal else contextlib.nullcontext():
                    await self._execute()
        except PullkeyError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; a person is owed a sentence
            self._failed(as_user_error(error))
        self._tell_left_over()
        return self.parting

    def _tell_left_over(self) -> None:
        """Before the journal ends: what is in neither would be lost sight of."""
        if not self._told_left_over:
            self._told_left_over = bool(self.parting.left_over)
            self._reporter.left_over(self.parting.left_over)

    def _failed(self, error: PullkeyError) -> None:
        self.parting.error = error
        self.parting.exit_code = ExitCode.LEFT_OVER if self.parting.left_over else error.exit_code
        self.parting.result = "interrupted" if isinstance(error, Interrupted) else "refused" if isinstance(error, Declined | KeyUnseen) else "failed"  # fmt: skip

    async def _execute(self) -> None:
        await self._recover()
        await self._look()
        self._refuse_to_lose_a_key()
        going = [item for item in self.parting.items if item.goes]
        if not going:
            await self._end()
            return
        if not self._wanted.yes and not self._reporter.confirm(f"Remove {self._held.name} from {self._akka.resolved.label}, with what is marked above?"):  # fmt: skip
            raise Declined
        self.changing = True
        self._context.deadline.settle()
        if self._journal is not None:
            self._journal.begin(self._context.run_id, self._wanted.command)
            self._entry = self._journal.about_to(OFFBOARD, as_intent(self._held))
            self._journal.replace_earlier(self._entry)
        for item in going:
            if self._stopped:
                raise Interrupted("Interrupted; what was not removed yet is still there", fix=f"Go on with: {self._wanted.command}")  # fmt: skip
            if not await self._remove(item):
                # Behind a credential that Akka still has, nothing may go.
                if self.parting.changed:
                    rest = going[going.index(item) :]
                    self.parting.left_over += [
                        LeftOver(one.removal.what, one.removal.command) for one in rest
                    ]
                raise StepFailed(f"{item.detail}, so its cloud resources were left alone", fix="Run it again in a while.", code=Code.STEP_FAILED)  # fmt: skip
        for item in self.parting.items:
            if item.removal.fate is Fate.UNSEEN:
                left = LeftOver(f"{item.removal.what} ({item.removal.why})", item.removal.command)
                self.parting.left_over.append(left)
                self._context.audit(Change(item.name, left.what, "left over"))
        self.parting.result = "done"
        await self._end()

    async def _recover(self) -> None:
        """What another run for this secret had begun and not ended goes first; what was offboarding is gone on with.

        Raises:
            PullkeyError: it was for another target, or was not to be touched.
        """
        session, journal = self._behind.session, self._journal
        lost = journal.left_behind() if journal else None
        if journal is None or lost is None or session is None:
            return
        going = self._held.link.key_id if self._held.link else ""
        own = [one for one in lost.entries if one.step == OFFBOARD and one.known.get("key_id") == going]
        if not own:
            # Else it is of this very record, whose target may look like another one with the identity gone.
            journal.check_target(lost)
        if len(own) < len(lost.entries):
            self._notice(f"{sentence(lost.summary)} Clearing up after it.")
            if not self._wanted.yes and not self._reporter.confirm("Remove what it created that is unused?"):  # fmt: skip
                raise Declined
        self.changing = True
        recovery = Recovery(
            session,
            self._akka,
            journal,
            self._reporter,
            lambda held, *, look_only=False: part_with(
                held, self._context, self._akka, self._reporter, self._proofs, look_only=look_only
            ),
        )
        try:
            await recovery.clear_up(lost, self._held, going=going)
        finally:
            self.parting.left_over += recovery.left_over
            self._held_back = recovery.held_back
            for left in recovery.left_over:
                self._context.audit(Change("recovery", left.what, "left over"))

    async def _end(self) -> None:
        """All is done; what is left over is told before the journal ends."""
        if self._behind.session is not None and self._held.link is not None and self._journal is not None:
            link = self._held.link
            told = " ".join(f"{one.what} {one.command}" for one in self.parting.left_over)
            told += " ".join(item.removal.command for item in self.parting.items)
            for text in await strays(self._behind.session, self._akka, {*self._keys_of(link)}, told):
                self._notice(text)
        self._tell_left_over()
        if self._entry is not None:
            # Akka has forgotten the credential, so this entry is what the next run goes on from.
            self._entry.leave(*self.parting.left_over)
        if self._journal is not None:
            self._journal.end()
        if self.parting.left_over:
            self.parting.exit_code = ExitCode.LEFT_OVER

    def _refuse_to_lose_a_key(self) -> None:
        """Without Akka's record nobody would know of a key that lives on.

        Raises:
            KeyUnseen: it cannot be seen, so it could not be deleted either.
        """
        for item in self.parting.items:
            if item.name == "key" and item.removal.fate is Fate.UNSEEN:
                raise KeyUnseen(f"{item.removal.what} cannot be seen ({item.removal.why}), and would stay unnoticed; nothing was changed", fix=f"Log in to its cloud (--secret-stdin for Docker Hub), or delete it by hand first: {item.removal.command}")  # fmt: skip

    # -- looking -------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """What goes and what stays, all of it before the first change."""
        items = self.parting.items
        if self._wanted.akka_too:
            items += self._of_akka()
        session, link = self._behind.session, self._held.link
        if link is None:
            items.append(
                Item("behind", Removal(Fate.KEEP, "its cloud resources", "it was not created by pullkey"))
            )
        elif session is None:
            raise self._behind.error or StepFailed(
                "Its cloud resources could not be found", code=Code.CREDENTIAL_UNREADABLE
            )
        else:
            records, seen = await asyncio.gather(
                all_records(self._akka, self._notice), self._see(session, link)
            )
            self._records = [(project, held) for project, held in records if project or held.name != self._held.name]  # fmt: skip
            others = [
                f"Akka's {held.name}{f' of project {project}' if project else ''} has the same key"
                for project, held in self._records
                if _has(held.link, link)
            ]
            items += self._of_keys(session, link, seen, others)
            items += await self._of_steps(session, link, seen, others)
        self._reporter.project(self._akka.resolved.described)
        self._reporter.removals([item.removal for item in items])

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
                deadline=self._context.deadline,
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

    def _of_akka(self) -> list[Item]:
        name = self._held.name
        project = self._akka.resolved.label

        async def reference() -> str:
            await self._akka.remove_reference(name)
            return f"removed {name} from {project}"

        async def secret() -> str:
            await self._akka.remove_secret(name)
            return f"deleted Akka's secret {name}"

        kept = Removal(Fate.KEEP, f"Akka's secret {name}", "--keep-secret; its key pulls nothing any more")
        return [
            Item("reference", Removal(Fate.REMOVE, f"Akka's credential {name} of {project}"), reference),
            Item("secret", kept)
            if self._wanted.keep_secret
            else Item(
                "secret",
                Removal(Fate.REMOVE, f"Akka's secret {name}", command=self._akka.secret_removal(name)),
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
            other = await find(held, self._context)
            if other.target is not None and target is not None and other.target.label != target.label:
                found |= {key for key in (link.key_id, link.replaces) if key}
        return found

    def _of_keys(self, session: Session, link: KeyLink, seen: _Seen, others: Sequence[str]) -> list[Item]:
        """The key that Akka holds, and the one that it replaced, where that is still there."""
        if session.key.supplied:
            why = "it is user-supplied, so only its owner can revoke it"
            what = f"the password registered in run {link.key_id}"
            return [Item("key", Removal(Fate.KEEP, what, why, session.key.delete_command(link.key_id)))]
        items = []
        for key_id, found in seen.keys.items():
            removal = found
            if others and removal.fate is Fate.REMOVE:
                removal = Removal(Fate.KEEP, removal.what, "; ".join(others), removal.command)
            if key_id == link.key_id or removal.fate is not Fate.GONE:
                items.append(Item("key", removal, self._deletion(session, key_id)))
        return items

    def _deletion(self, session: Session, key_id: str) -> Callable[[], Awaitable[str]]:
        async def act() -> str:
            try:
                there = await session.key.delete(key_id)
            except PullkeyError as error:
                raise StillThere(f"key {key_id} ({error.what})", session.key.delete_command(key_id)) from None
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
                    self.parting.left_over.remove(left)
                entry.leave()

    async def _of_steps(
        self, session: Session, link: KeyLink, seen: _Seen, others: Sequence[str]
    ) -> list[Item]:
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
                and self._wanted.keep_identity
                and step.name == "identity"
            ):
                why_not = ["--keep-identity"]
            if removal.fate is Fate.REMOVE and why_not:
                why = _in_short(why_not)
                # What may be used by nobody is left over: somebody must look.
                fate = Fate.UNSEEN if all(use.startswith(_UNSEEN_USES) for use in why_not) else Fate.KEEP
                removal, act = Removal(fate, removal.what, why, removal.command), None
            items.append(Item(step.name, removal, act))
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

    async def _remove(self, item: Item) -> bool:
        """Remove one thing; False if Akka's side could not be removed, behind which nothing may go."""
        self._reporter.begin(item.removal.what, f"Remove {item.removal.what}")
        assert item.act is not None  # noqa: S101  - `goes` has said so
        try:
            item.detail = await item.act()
        except StillThere as finding:
            self._leave(item, finding.what, finding.command)
            return True
        except PullkeyError as error:
            if item.name in ("reference", "secret"):
                self._context.audit(Change(item.name, error.what, "failed"))
                item.result, item.detail = "failed", error.what
                self._reporter.fail(item.removal.what, error.what)
                return False
            self._leave(item, f"{item.removal.what} ({error.what})", item.removal.command)
            return True
        item.result = "removed"
        self.parting.changed = True
        key_id = item.removal.what.removeprefix("key ") if item.name == "key" else ""
        self._context.audit(Change(item.name, item.detail or "it was already deleted", "removed", key_id))
        self._reporter.finish(
            item.removal.what, capitalised(item.detail or f"{item.removal.what} was already deleted"), 0.0
        )
        return True

    def _leave(self, item: Item, what: str, command: str) -> None:
        item.result, item.detail = "left over", what
        self._context.audit(Change(item.name, what, "left over"))
        self._reporter.fail(item.removal.what, what)
        self.parting.left_over.append(LeftOver(what, command))

    def _notice(self, text: str) -> None:
        self.parting.notices.append(text)
        self._reporter.notice(text)


async def _fate_of_step(step: Step) -> Removal | None:
    try:
        return await step.removal()
    except PullkeyError as error:
        return Removal(Fate.UNSEEN, step.title, error.what)


async def part_with(
    held: HeldCredential,
    context: RunContext,
    akka: AkkaCli,
    reporter: Reporter,
    proofs: Proofs,
    *,
    look_only: bool = False,
) -> Parting:
    """Remove what stood behind a credential whose name in Akka another one has taken.

    With `look_only` nothing is removed, and what would go is left over.
    """
    behind = await find(held, context)
    wanted = Wanted(yes=True, akka_too=False, dry_run=look_only)
    parting = await Offboarding(
        behind, behind.context or context, akka, None, quiet() if look_only else reporter, proofs, wanted
    ).execute()
    if look_only:
        parting.left_over += [LeftOver(item.removal.what, item.removal.command) for item in parting.items if item.goes]  # fmt: skip
    return parting


def _has(one: KeyLink | None, other: KeyLink) -> bool:
    """Whether a record's link names the other's key. An id may be good for one identity only: a token's says the second."""
    return (
        one is not None
        and (one.name, one.domain) == (other.name, other.domain)
        and other.key_id in (one.key_id, one.replaces)
    )


def _in_short(uses: Sequence[str]) -> str:
    return uses[0] if len(uses) == 1 else f"{uses[0]}, and {len(uses) - 1} more"
