"""What becomes of a key that Akka no longer holds: it is switched off, left for its grace, and deleted.

Akka's record itself says which key the one that it holds has replaced (`KeyLink.replaces`), so the next run can delete
it from any machine, and one key at a time is on its way out.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

from bootstrap.common_steps import recorded_link
from bootstrap.errors import LeftOver, PullkeyError
from bootstrap.link import KeyLink
from bootstrap.provider import KeyFacts, RunContext, Session
from bootstrap.steps import Done, Intent, Script, Sighting, State, Step

RETIRE = "retire"


def grace_over(holds: KeyFacts | None, grace: dt.timedelta) -> bool:
    """Whether the key that was replaced has been left long enough: since Akka holds the one that replaced it."""
    since = holds.created if holds is not None else None
    return since is None or dt.datetime.now(dt.UTC) - since >= grace


class ClearStep(Step):
    """Deletes the key that was replaced before, once its grace is over, or when a next one is to be replaced."""

    name = "clear"
    quiet = True

    def __init__(
        self,
        session: Session,
        context: RunContext,
        *,
        grace: dt.timedelta | None,
        key_pending: Callable[[], Awaitable[bool]],
    ) -> None:
        self._session = session
        self._context = context
        self._grace = grace
        self._key_pending = key_pending
        self.permissions = session.retire_permissions
        self._key_id = ""

    @property
    def title(self) -> str:
        return "Delete the key that was replaced before"

    async def look(self) -> Sighting:
        link = await _link(self._context)
        if link is None or not link.replaces or not self._session.deletes_keys:
            return Sighting(State.DONE, "there is none")
        if not await _ours(self._session, self._context):
            return Sighting(State.DONE, "it is of another identity")
        pending = await self._key_pending()
        if self._grace is None and not pending:
            # Nor is the cloud asked: it may take a password, which nobody wants to type for nothing.
            return Sighting(State.DONE, f"key {link.replaces} is left to `pullkey rotate`")
        replaced = await self._session.key_facts(link.replaces)
        if replaced is None:
            return Sighting(State.DONE, f"key {link.replaces} is gone")
        self._key_id = link.replaces
        if pending or self._grace is None:
            return Sighting(State.MISSING, f"key {link.replaces} goes before the next is replaced")
        if not grace_over(await self._session.key_facts(link.key_id), self._grace):
            return Sighting(State.DONE, f"key {link.replaces} is still in its grace")
        if self._session.disables_keys and not replaced.disabled and self._grace:
            # `rotate --restore` has switched it on again: somebody else needs it.
            return Sighting(State.DONE, f"key {link.replaces} was switched on again, so it stays")
        return Sighting(State.MISSING, f"the grace of key {link.replaces} is over")

    def intent(self) -> Intent:
        return {"key_id": self._key_id}

    async def do(self) -> Done:
        gone = not await self._session.delete_key(self._key_id)
        return Done(f"key {self._key_id} was gone already" if gone else f"deleted key {self._key_id}")

    def script(self) -> Script:
        return Script(do=self._session.delete_key_command(self._key_id))


class RetireStep(Step):
    """Takes the key that Akka held out of use, after Akka holds the new one in every region.

    It never fails the run: Akka has a key that pulls, and what could not be done is left over, with its command.
    """

    name = RETIRE
    quiet = True
    after = ("handoff",)

    def __init__(
        self,
        session: Session,
        context: RunContext,
        *,
        grace: dt.timedelta,
        overlap: dt.timedelta,
        key_pending: Callable[[], Awaitable[bool]],
    ) -> None:
        self._session = session
        self._context = context
        self._grace = grace
        self._overlap = overlap
        self._key_pending = key_pending
        self.permissions = session.retire_permissions
        self._key_id = ""

    @property
    def title(self) -> str:
        if not self._session.deletes_keys:
            return "Leave the old password to whoever can revoke it"
        if not self._grace:
            return "Delete the key that Akka held"
        return (
            "Switch off the key that Akka held"
            if self._session.disables_keys
            else "Leave the old key its grace"
        )

    async def look(self) -> Sighting:
        link = await _link(self._context)
        if link is None or not await self._key_pending():
            return Sighting(State.DONE, "no key is replaced")
        if not await _ours(self._session, self._context):
            return Sighting(State.DONE, "what Akka held is of another identity")
        self._key_id = link.key_id
        return Sighting(State.MISSING, f"Akka holds key {link.key_id}")

    def intent(self) -> Intent:
        return {"key_id": self._key_id, "grace": self._grace.total_seconds()}

    async def do(self) -> Done:
        session, key_id = self._session, self._key_id
        if not session.deletes_keys:
            return Done(
                f"the password handed off in run {key_id} is good until somebody revokes it at the registry"
            )
        try:
            if self._overlap and (not self._grace or session.disables_keys):
                # Whoever read the old credential from Akka a moment ago is still pulling with it.
                self._context.tell(
                    f"Pulls that began with the old key get {self._overlap.total_seconds():.0f} s to end."
                )
                await asyncio.sleep(self._overlap.total_seconds())
            if not self._grace:
                gone = not await session.delete_key(key_id)
                return Done(f"key {key_id} was gone already" if gone else f"deleted key {key_id}")
            if await session.key_facts(key_id) is None:
                return Done(f"key {key_id} was gone already")
            until = f"{dt.datetime.now(dt.UTC) + self._grace:%Y-%m-%d %H:%M} UTC"
            if not session.disables_keys:
                return Done(f"key {key_id} stays good until a `pullkey rotate` after {until} deletes it")
            await session.switch_key(key_id, on=False)
        except PullkeyError as error:
            left = LeftOver(f"key {key_id}, which Akka no longer holds ({error.what})", session.delete_key_command(key_id))  # fmt: skip
            return Done(f"key {key_id} could not be taken out of use", left_over=left)
        return Done(f"key {key_id} is switched off, until a `pullkey rotate` after {until} deletes it")

    def script(self) -> Script:
        return Script(do=self._session.delete_key_command(self._key_id))


async def restore(session: Session, link: KeyLink) -> str:
    """Switch the key on again that a rotation has switched off; what has come of it, in a sentence.

    Raises:
        PullkeyError: there is none, or the cloud refuses.
    """
    if not link.replaces:
        raise PullkeyError("Akka's record names no key that was replaced, or none that is still there", mend="There is nothing to take back.")  # fmt: skip
    replaced = await session.key_facts(link.replaces)
    if replaced is None:
        raise PullkeyError(f"Key {link.replaces} is deleted, which cannot be taken back", mend="Whoever needs it needs another key.")  # fmt: skip
    if not session.disables_keys:
        return f"Key {link.replaces} was never switched off, and is good until a `pullkey rotate` deletes it."
    if not replaced.disabled:
        return f"Key {link.replaces} is switched on already."
    await session.switch_key(link.replaces, on=True)
    return (
        f"Key {link.replaces} is switched on again, and stays so until the next key is replaced. "
        f"Akka goes on with key {link.key_id}."
    )


async def _link(context: RunContext) -> KeyLink | None:
    held = await context.held_credential()
    return held.link if held else None


async def _ours(session: Session, context: RunContext) -> bool:
    """Whether Akka's record is of this target's identity, so that its keys are this session's to delete."""
    link, _ = await recorded_link(session, await context.held_credential())
    return link is not None
