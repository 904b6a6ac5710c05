"""What an offboarding removes and what it keeps, and why: looked at in Akka and in the cloud, before the
first change.

Only what is surely ours is removed: the identity only if pullkey created it and nothing else uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.records import Record, all_records
from bootstrap.engine.journal import Entry
from bootstrap.engine.locate import LocatedCredential, find
from bootstrap.engine.result import RemovalResult, Result
from bootstrap.engine.run_options import OffboardOptions
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import NotShown, PullkeyError, StepFailed
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import Absent, Present, confirm_absent
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Disposition, Removal, Step, StepRole, StillThere

_UNSEEN_USES = "whether others use it could not be seen"


@dataclass(frozen=True)
class _Seen:
    """What the cloud shows of a credential: who else uses its identity, its keys, and what each step has
    made.
    """

    uses: Sequence[str]
    keys: Mapping[str, Removal]
    steps: Sequence[tuple[Step, Removal | None]]


class RemovalPlanner:
    """Decides what is removed of one credential; each removal has the act that does it.

    Args:
        behind: Akka's record, and its cloud resources.
        result: takes the removals, one by one as they are known.
        notice: takes what is to be reported.

    Attributes:
        held_back: of keys that Akka may hold in place of the one that it shows: they go once it has forgotten
            the credential.
    """

    def __init__(
        self,
        behind: LocatedCredential,
        context: RunContext,
        akka: AkkaCli,
        options: OffboardOptions,
        proofs: VerifiedPulls | None,
        result: Result,
        notice: Callable[[str], None],
    ) -> None:
        self._behind = behind
        self._held = behind.held
        self._context = context
        self._akka = akka
        self._options = options
        self._proofs = proofs
        self._result = result
        self._notice = notice
        self._records: list[Record] = []
        # Keys that this command has deleted: Akka's list may still show the records that named them.
        self._gone: set[str] = context.shared.get("offboarded-keys", set)
        self.held_back: list[Entry] = []

    async def look(self) -> None:
        """What goes and what stays, all of it before the first change."""
        items = self._result.removals
        if self._options.akka_too:
            items += self._of_akka()
        session, link = self._behind.session, self._held.link
        if link is None:
            items.append(
                RemovalResult(
                    "behind",
                    Removal(Disposition.KEEP, "its cloud resources", "it was not created by pullkey"),
                )
            )
        elif session is None:
            raise self._behind.error or StepFailed(
                "Its cloud resources could not be found", code=Code.CREDENTIAL_UNREADABLE
            )
        else:
            records, seen = await asyncio.gather(
                all_records(self._akka, self._notice), self._see(session, link)
            )
            self._records = [
                (project, held) for project, held in records if project or held.name != self._held.name
            ]
            others = [
                f"Akka's {held.name}{f' of project {project}' if project else ''} has the same key"
                for project, held in self._records
                if _has(held.link, link)
            ]
            items += self._of_keys(session, link, seen, others)
            items += await self._of_steps(session, link, seen, others)

    async def _see(self, session: Session, link: KeyRef) -> _Seen:
        """What the cloud shows; all of it is asked at once."""
        keys = [] if session.key.supplied else self.keys_of(link)
        uses, fates, removals = await asyncio.gather(
            self._used(session, set(keys)),
            asyncio.gather(*(self._fate_of_key(session, key_id) for key_id in keys)),
            asyncio.gather(*(_fate_of_step(step) for step in session.steps)),
        )
        steps = list(zip(session.steps, removals, strict=True))
        return _Seen(uses, dict(zip(keys, fates, strict=True)), steps)

    async def _fate_of_key(self, session: Session, key_id: str) -> Removal:
        """Whether a key is to be deleted. One that Akka holds, or may hold, is deleted by its id even if no
        read shows it: afterwards nothing names it any more.
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
            return Removal(Disposition.REMOVE, what, error.what, command)
        except PullkeyError as error:
            return Removal(Disposition.UNSEEN, what, error.what, command)
        if isinstance(seen, Present):
            return Removal(Disposition.REMOVE, what, command=command)
        if replaced and isinstance(seen, Absent):
            return Removal(Disposition.GONE, what)
        return Removal(Disposition.REMOVE, what, "it is not shown; its deletion is requested by id", command)

    def keys_of(self, link: KeyRef) -> list[str]:
        """The ids of all the keys that go: what Akka shows, what that replaced, and what it may hold
        instead.
        """
        held_back = [str(entry.known["key_id"]) for entry in self.held_back]
        return list(dict.fromkeys(filter(None, (link.key_id, link.replaces, *held_back))))

    def _of_akka(self) -> list[RemovalResult]:
        name = self._held.name
        project = self._akka.resolved.label

        async def reference() -> str:
            await self._akka.remove_reference(name)
            return f"removed {name} from {project}"

        async def secret() -> str:
            await self._akka.remove_secret(name)
            return f"deleted Akka's secret {name}"

        kept = Removal(
            Disposition.KEEP, f"Akka's secret {name}", "--keep-secret; its key pulls nothing any more"
        )
        return [
            RemovalResult(
                "reference", Removal(Disposition.REMOVE, f"Akka's credential {name} of {project}"), reference
            ),
            RemovalResult("secret", kept)
            if self._options.keep_secret
            else RemovalResult(
                "secret",
                Removal(Disposition.REMOVE, f"Akka's secret {name}", command=self._akka.secret_removal(name)),
                secret,
            ),
        ]

    async def _keys_elsewhere(self, session: Session) -> set[str]:
        """The keys of this identity that Akka has for other registries: they need the identity, and not
        this grant.
        """
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

    def _of_keys(
        self, session: Session, link: KeyRef, seen: _Seen, others: Sequence[str]
    ) -> list[RemovalResult]:
        """The key that Akka holds, and the one that it replaced, where that is still there."""
        if session.key.supplied:
            why = "it is user-supplied, so only its owner can revoke it"
            what = f"the password registered in run {link.key_id}"
            return [
                RemovalResult(
                    StepRole.KEY,
                    Removal(Disposition.KEEP, what, why, session.key.delete_command(link.key_id)),
                )
            ]
        items = []
        for key_id, found in seen.keys.items():
            removal = found
            if others and removal.fate is Disposition.REMOVE:
                removal = Removal(Disposition.KEEP, removal.what, "; ".join(others), removal.command)
            if key_id == link.key_id or removal.fate is not Disposition.GONE:
                items.append(RemovalResult(StepRole.KEY, removal, self._deletion(session, key_id)))
        return items

    def _deletion(self, session: Session, key_id: str) -> Callable[[], Awaitable[str]]:
        async def act() -> str:
            try:
                there = await session.key.delete(key_id)
            except PullkeyError as error:
                raise StillThere(f"key {key_id} ({error.what})", session.key.delete_command(key_id)) from None
            if self._proofs is not None:
                self._proofs.invalidate(key_id)
            self._gone.add(key_id)
            self._settle(key_id)
            return f"deleted key {key_id}" if there else f"key {key_id} was already deleted"

        return act

    def _settle(self, key_id: str) -> None:
        """A key is deleted that an earlier run had left over, since Akka might have held it."""
        for entry in self.held_back:
            if entry.known["key_id"] == key_id:
                for left in entry.left_over:
                    self._result.left_over.remove(left)
                entry.leave()

    async def _of_steps(
        self, session: Session, link: KeyRef, seen: _Seen, others: Sequence[str]
    ) -> list[RemovalResult]:
        """Grant and identity, last made first."""
        recorded = await self._recorded_uses(session, link)
        uses = [*others, *seen.uses] or list(recorded.values())
        grant_uses = uses
        if uses and (elsewhere := await self._keys_elsewhere(session)):
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
                removal.fate is Disposition.REMOVE
                and not why_not
                and self._options.keep_identity
                and step.name == StepRole.IDENTITY
            ):
                why_not = ["--keep-identity"]
            if removal.fate is Disposition.REMOVE and why_not:
                why = _in_short(why_not)
                # What may be used by nobody is left over: somebody must look.
                fate = (
                    Disposition.UNSEEN
                    if all(use.startswith(_UNSEEN_USES) for use in why_not)
                    else Disposition.KEEP
                )
                removal, act = Removal(fate, removal.what, why, removal.command), None
            items.append(RemovalResult(step.name, removal, act))
        return items

    async def _is_of_identity(self, session: Session, held: HeldCredential) -> bool:
        """Whether a record names a key of the identity that the credential is of: by the user name that this
        one has, where the cloud may not show the identity, or by one that a key of it has.
        """
        link = held.link
        if link is None or not session.key.owns(link):
            return False
        return held.username in ("", self._held.username) or await session.key.is_username(
            held.username, link
        )

    async def _recorded_uses(self, session: Session, link: KeyRef) -> dict[str, str]:
        """The other keys of the identity that Akka's records name, by id: the cloud may not show a new one
        yet.
        """
        return {
            one.key_id: f"{_UNSEEN_USES}: Akka's {held.name}{f' of project {project}' if project else ''} "
            "names "
            f"its key {one.key_id}, which is not shown"
            for project, held in self._records
            if (one := held.link) is not None
            and one.key_id not in self.keys_of(link)
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


async def _fate_of_step(step: Step) -> Removal | None:
    try:
        return await step.removal()
    except PullkeyError as error:
        return Removal(Disposition.UNSEEN, step.title, error.what)


def _has(one: KeyRef | None, other: KeyRef) -> bool:
    """Whether a record's link names the other's key. An id may be good for one identity only: a token's
    says the second.
    """
    return (
        one is not None
        and (one.name, one.domain) == (other.name, other.domain)
        and other.key_id in (one.key_id, one.replaces)
    )


def _in_short(uses: Sequence[str]) -> str:
    return uses[0] if len(uses) == 1 else f"{uses[0]}, and {len(uses) - 1} more"
