"""The replaced key, which Akka no longer holds: it is disabled, kept for its grace period, then deleted.

One that somebody else has disabled while Akka held it is deleted at once: no pull uses it, and nobody is to
enable it again. Google disables a key that it finds in public ("Manage service account key exposure").

Akka's record names the replaced key (`KeyRef.replaces`), so the next run can delete it from any machine. Only
one key at a time is being retired.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from bootstrap.engine import messages
from bootstrap.model import clock
from bootstrap.model.errors import KeyGone, PullkeyError
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, EngineStep, Intent, Script, State, Step, StepStatus


class OthersHold(Protocol):
    """Which other credential of Akka's has the same key, in words; "" if none has."""

    def __call__(self, link: KeyRef, *, anew: bool = False) -> Awaitable[str]: ...


def grace_over(holds: KeyFacts | None, grace: dt.timedelta) -> bool:
    """Whether the grace period is over: it begins when the key that Akka holds was created.

    It is not while the cloud does not show that key (None): nothing says then that it is in use.
    """
    if holds is None:
        return False
    return holds.created is None or clock.now() - holds.created >= grace


class _ReplacedKeyStep(Step):
    """A step that ends the use of one key, which Akka does not hold by then."""

    quiet = True

    def __init__(
        self,
        session: Session,
        context: RunContext,
        *,
        key_pending: Callable[[], Awaitable[bool]],
        others_hold: OthersHold,
    ) -> None:
        self._session = session
        self._context = context
        self._key_pending = key_pending
        self._others_hold = others_hold
        self.permissions = session.retire_permissions
        self._key_id = ""

    def script(self) -> Script:
        return Script(do=self._session.key.delete_command(self._key_id))


class DeleteReplacedKey(_ReplacedKeyStep):
    """Deletes the key that an earlier rotation replaced, once its grace period is over or another key is to
    be replaced.
    """

    name = EngineStep.CLEAR

    def __init__(
        self,
        session: Session,
        context: RunContext,
        *,
        grace: dt.timedelta | None,
        command: str,
        key_pending: Callable[[], Awaitable[bool]],
        others_hold: OthersHold,
        is_on_record: Callable[[str], bool],
    ) -> None:
        super().__init__(session, context, key_pending=key_pending, others_hold=others_hold)
        self._grace = grace
        self._command = command
        """The command of the run, which tries again."""
        self._is_on_record = is_on_record
        """Whether the journal names a key, so that this run or the next one decides on it."""
        self._link: KeyRef | None = None
        self._holder = ""
        """A credential that may have the key, where that cannot be seen now."""
        self.kept_enabled = ""
        """A notice that the key is valid after its grace period; "" if it is not."""

    @property
    def title(self) -> str:
        if self._holder:
            return f"Leave the key that was replaced before, which {self._holder} has too"
        return "Delete the key that was replaced before"

    async def look(self) -> StepStatus:
        link = await _recorded_link(self._context)
        if link is None or not link.replaces or self._session.key.supplied:
            return StepStatus(State.DONE, "no key to delete")
        if not await _is_of_this_identity(self._session, self._context):
            return StepStatus(State.DONE, "it is of another identity")
        pending = await self._key_pending()
        if self._grace is None and not pending:
            # Do not call the cloud: it may prompt for a password for nothing.
            return StepStatus(State.DONE, f"key {link.replaces} is left to `pullkey rotate`")
        replaces = link.replaces
        # Akka's next record will not name this key, so a key missed by a lagging read would be lost.
        replaced = await read_twice(lambda: self._session.key.facts(replaces))
        if replaced is None:
            return StepStatus(State.DONE, f"key {link.replaces} was deleted")
        self._key_id, self._link = replaces, replace(link, key_id=replaces)
        holder = await self._others_hold(self._link)
        if holder and pending and isinstance(holder, messages.PerhapsHeld):
            # No record will name it once Akka has the next one, so this run deletes it or leaves it over.
            if self._session.key.two_at_most:
                raise messages.replaced_key_would_be_overwritten(replaces, holder, self._command)
            if not self._is_on_record(replaces):
                self._holder = holder
                return StepStatus(State.MISSING, f"key {replaces} stays valid: {holder} has it too")
        if holder:
            return StepStatus(State.DONE, f"key {replaces} is kept: {holder} has it too")
        if pending or self._grace is None:
            return StepStatus(
                State.MISSING, f"key {link.replaces} is deleted before the next one is replaced"
            )
        if not grace_over(await read_twice(lambda: self._session.key.facts(link.key_id)), self._grace):
            return StepStatus(State.DONE, f"key {link.replaces} is still in its grace period")
        if self._session.key.can_disable and not replaced.disabled and self._grace:
            # `rotate --restore` may have enabled it, on any machine; then it is needed elsewhere.
            command = self._session.key.delete_command(replaces)
            self.kept_enabled = messages.replaced_key_is_enabled(replaces, command)
            return StepStatus(State.DONE, f"key {replaces} is enabled, so it is kept")
        return StepStatus(State.MISSING, f"the grace period of key {link.replaces} is over")

    def intent(self) -> Intent:
        return {"key_id": self._key_id}

    async def do(self) -> Done:
        if self._holder and self._link is not None:
            holder = await self._others_hold(self._link, anew=True)
            if isinstance(holder, messages.PerhapsHeld):
                left = messages.perhaps_needed_elsewhere(self._key_id, holder, self._command)
                return Done(left.what, left_over=left, instead=messages.stays_valid(self._key_id, holder))
            if holder:
                return _done_saying(messages.stays_valid(self._key_id, holder))
        gone = not await self._session.key.delete(self._key_id)
        return _deleted(self._key_id, gone=gone)


class RetireReplacedKey(_ReplacedKeyStep):
    """Retires the key that Akka held, after Akka holds the new one in every region.

    It never fails the run: Akka has a key that pulls, and a key that could not be retired is left over, with
    the command that deletes it.
    """

    name = EngineStep.RETIRE
    after = (EngineStep.HANDOFF,)

    def __init__(
        self,
        session: Session,
        context: RunContext,
        *,
        grace: dt.timedelta,
        overlap: dt.timedelta,
        command: str,
        key_pending: Callable[[], Awaitable[bool]],
        others_hold: OthersHold,
        others_need: OthersHold,
        is_on_record: Callable[[str], bool],
    ) -> None:
        super().__init__(session, context, key_pending=key_pending, others_hold=others_hold)
        self._grace = grace
        self._overlap = overlap
        self._command = command
        """The command of the run, which tries again."""
        self._others_need = others_need
        """As `others_hold`; also one that has replaced the key, in whose grace period it is."""
        self._is_on_record = is_on_record
        """Whether the journal names a key: a run that was killed may have disabled it."""
        self._link: KeyRef | None = None
        self._holder = ""
        """Another credential that has the same key."""
        self._found_disabled = False
        """Whether the key was disabled while Akka held it, and not as one that pullkey has replaced."""

    @property
    def title(self) -> str:
        if self._session.key.supplied:
            return "Leave the old password, which only its owner can revoke"
        if self._holder:
            return f"Leave the old key, which {self._holder} has too"
        if not self._grace or self._found_disabled:
            return "Delete the key that Akka held"
        return (
            "Disable the key that Akka held"
            if self._session.key.can_disable
            else "Leave the old key valid for its grace period"
        )

    async def look(self) -> StepStatus:
        link = await _recorded_link(self._context)
        if link is None or not await self._key_pending():
            return StepStatus(State.DONE, "no key is replaced")
        if not await _is_of_this_identity(self._session, self._context):
            return StepStatus(State.DONE, "what Akka held is of another identity")
        self._key_id, self._link = link.key_id, link
        if not self._session.key.supplied:
            self._holder = await self._others_hold(link)
            self._found_disabled = not self._holder and await self._is_disabled_by_others(link)
        disabled = ", which is disabled" if self._found_disabled else ""
        return StepStatus(State.MISSING, f"Akka holds key {link.key_id}{disabled}")

    async def _is_disabled_by_others(self, link: KeyRef) -> bool:
        """Whether somebody else has disabled the key that Akka holds, as it was last read.

        A key of which that is not certain is retired as any other.
        """
        key = self._session.key
        if not (self._grace and key.can_disable) or self._is_on_record(link.key_id):
            return False
        try:
            seen = await key.list_counted()
            found = (
                next((one for one in seen if one.key_id == link.key_id), None)
                if seen is not None
                else await key.facts(link.key_id)
            )
            return found is not None and found.disabled and not await self._others_need(link)
        except PullkeyError:
            return False

    @property
    def _cuts_off(self) -> bool:
        """Whether the key is disabled or deleted now, and not left valid for its grace period."""
        return not self._grace or self._session.key.can_disable

    def intent(self) -> Intent:
        return {"key_id": self._key_id, "grace": self._grace.total_seconds()}

    async def do(self) -> Done:
        session, key_id = self._session, self._key_id
        if session.key.supplied:
            return Done(f"the one of run {key_id} is valid until it is revoked at the registry")
        try:
            if self._holder and self._link is not None:
                self._holder = await self._others_hold(self._link, anew=True)
                if isinstance(self._holder, messages.PerhapsHeld) and self._cuts_off:
                    left = messages.perhaps_needed_elsewhere(key_id, self._holder, self._command)
                    return Done(left.what, left_over=left, instead=messages.stays_valid(key_id, self._holder))
                if self._holder:
                    return _done_saying(messages.stays_valid(key_id, self._holder))
            if self._found_disabled:
                found = await read_twice(lambda: session.key.facts(key_id))
                if found is None or found.disabled:
                    gone = not await session.key.delete(key_id)
                    return _deleted(key_id, gone=gone, why="" if gone else ", which was disabled before")
            if self._overlap and self._cuts_off:
                # A pull that read the old credential from Akka a moment ago still uses it.
                self._context.tell(messages.old_pulls_get_time(self._overlap.total_seconds()))
                await self._context.pause(self._overlap.total_seconds())
            if not self._grace:
                gone = not await session.key.delete(key_id)
                return _deleted(key_id, gone=gone)
            if not session.key.can_disable and await read_twice(lambda: session.key.facts(key_id)) is None:
                return _deleted(key_id, gone=True)
            until = f"{clock.now() + self._grace:%Y-%m-%d %H:%M} UTC"
            if not session.key.can_disable:
                return _done_saying(f"Key {key_id} is valid until `pullkey rotate` deletes it, after {until}")
            # The answer to this request shows whether the key exists; a list may lag.
            await session.key.switch(key_id, on=False)
        except KeyGone:
            return _deleted(key_id, gone=True)
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything, and Akka has the new key
            shown = as_user_error(error)
            left = messages.key_not_retired(key_id, shown, session.key.delete_command(key_id))
            return Done(left.what, left_over=left, instead=f"Key {key_id} is still valid: {shown.what}")
        return _done_saying(f"Disabled key {key_id}; `pullkey rotate` deletes it after {until}")


def _done_saying(text: str) -> Done:
    return Done(text, instead=text)


def _deleted(key_id: str, *, gone: bool, why: str = "") -> Done:
    return _done_saying(f"Key {key_id} was already deleted" if gone else f"Deleted key {key_id}{why}")


async def nothing_to_restore(session: Session, link: KeyRef, rotate: str) -> str:
    """Why the replaced key need not be enabled, in a sentence; "" if it is disabled. `rotate` is the command
    that replaces the current one.

    Raises:
        PullkeyError: there is no such key, or the cloud does not show it.
    """
    if not link.replaces:
        raise messages.no_key_to_restore()
    replaced = await read_twice(lambda: session.key.facts(link.replaces))
    if replaced is None:
        raise messages.key_to_restore_was_deleted(link.replaces, rotate)
    if not session.key.can_disable:
        return messages.key_never_disabled(link.replaces)
    return "" if replaced.disabled else f"Key {link.replaces} is enabled already."


async def restore(session: Session, link: KeyRef) -> str:
    """Enable the key that a rotation has disabled, by `nothing_to_restore`. Return the outcome as a sentence.

    Raises:
        PullkeyError: the cloud refuses.
    """
    await session.key.switch(link.replaces, on=True)
    return messages.key_restored(link)


async def _recorded_link(context: RunContext) -> KeyRef | None:
    held = await context.held_credential()
    return held.link if held else None


async def _is_of_this_identity(session: Session, context: RunContext) -> bool:
    """Whether Akka's record names this target's identity, so that this session may delete its keys."""
    link, _ = await key_in_record(session, await context.held_credential())
    return link is not None
