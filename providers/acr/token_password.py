"""The key step of a target with `--auth-kind token`: generate one of the token's two passwords."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Collection, Sequence
from dataclasses import replace

from bootstrap.model import clock
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import LeftOver, PullkeyError, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.server import same_registry
from bootstrap.plugin.errors import ApiError, as_sentence, refused
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.observe import read_until_shown
from bootstrap.plugin.retry import Delay, read_twice, retry_while
from bootstrap.plugin.step import Done, Intent, Script, State, StepStatus, StillThere, other_than
from providers.acr import messages_token as messages
from providers.acr.arm_objects import Registry
from providers.acr.errors import AzureApiError
from providers.acr.slot_password import (
    Generated,
    NewSlotPassword,
    SlotPassword,
    described,
    is_another,
    is_new,
    is_of_call,
    is_overwritten,
    key_id_of,
    slot_of,
)
from providers.acr.target import SLOTS
from providers.acr.token import TokenIdentity
from providers.acr.token_facts import (
    GENERATE,
    MARK,
    TOKENS_READ,
    TOKENS_WRITE,
    TokenFacts,
)
from providers.acr.token_script import password_script
from providers.acr.tokens import Token
from providers.acr.waits import (
    PASSWORD_REMOVAL_SECONDS,
    SETTLE_SECONDS,
    SPREADING_SECONDS,
    busy,
    not_shown_yet,
)

_NOT_ACTIVE = "TokenNotActive"
_NOT_FINISHED = "Azure has not finished making the token yet; this takes some seconds."


class TokenKey(KeyResource[SlotPassword, NewSlotPassword]):
    """One of the token's two passwords: the one that is empty, never the one that Akka holds.

    It has no mark: a run recognises its own by the slot, the slot's previous password and the time.
    """

    permissions = (TOKENS_READ, GENERATE)
    look_permissions = (TOKENS_READ,)
    undo_permissions = (TOKENS_WRITE,)
    removal_permissions = (TOKENS_READ, TOKENS_WRITE)
    word = "password"
    goes_with_identity = True
    two_at_most = True
    undo_pauses = (SETTLE_SECONDS, 2.0)

    def __init__(self, session: TokenFacts, identity: TokenIdentity) -> None:
        super().__init__(session)
        self._session = session
        self._identity = identity
        self._slot = SLOTS[0]
        self._before = ""
        self._undone: Intent = {}
        """The intent whose password is being undone."""
        self._answer: NewSlotPassword | None = None

    @property
    def title(self) -> str:
        return f"Generate a password of the token {self._session.target.token_name}"

    @property
    def whose(self) -> str:  # type: ignore[override]
        return f" of the token {self._session.target.token_name}"

    @property
    def looked_for(self) -> str:
        return f"the token {self._session.target.token_name}"

    @property
    def identity_created(self) -> bool:
        return self._identity.attempt.created

    def held_as(self, key_id: str) -> str:
        return key_id

    async def look_now(self) -> StepStatus:
        token = await self._session.token()
        if token is None:
            return StepStatus(State.MISSING, "there is no token yet")
        status = await super().look_now()
        if status.state is State.MISSING:
            # A password will be generated; choose its slot now.
            slot = await self.free_slot(token)
            if slot is not None:
                self._slot = slot
                there = token.slot(slot)
                self._before = there.key_id if there else ""
        return status

    async def recorded(self, key_id: str) -> SlotPassword | None:
        token = await self._session.token()
        seen = token.password(key_id) if token is not None else None
        return seen or await super().recorded(key_id)

    def intent(self) -> Intent:
        return {
            "token": self._session.target.token_name,
            "slot": self._slot,
            "before": self._before,
            "at": clock.now().isoformat(timespec="seconds"),
        }

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, token=self._session.target.token_name)

    def owns(self, link: KeyRef) -> bool:
        """Another token may have a password of the same slot and moment, which so bears the same id.

        The link's domain is a server of the registry: `NAME.azurecr.io`, `NAME-LABEL.azurecr.io`,
        `NAME.REGION.geo.azurecr.io`; or what Akka has left of it.
        """
        label, dot, _ = link.domain.lower().partition(".")
        name, of = self._session.target.name.lower(), label.partition("-")[0]
        return link.name == self._session.target.token_name and (of == name if dot else name.startswith(of))

    def example_ref(self) -> KeyRef:
        target = self._session.target
        return KeyRef(target.token_name, f"{SLOTS[0]}-1764000000000", target.host)

    # -- slots -----------------------------------------------------------------------------------------------

    async def free_slot(self, token: Token) -> str | None:
        """Choose the slot for a new password: an empty one, or one whose password is not used any more.

        Generating overwrites. So the password that Akka holds is never chosen, nor one that may be in use
        elsewhere, nor a slot that a read shows as empty while a record of Akka's names a password in it that
        is minutes old. The password that Akka's key has replaced is deleted before the next one is created,
        so its slot counts as empty, unless another record of Akka's has it too.
        """
        session = self._session
        held = await session.context.held_credential()
        link = held.link if held else None
        ours = (
            held is not None
            and held.username == token.name
            and same_registry(held.server, await session.server())
        )
        used = slot_of(link.key_id) if ours and link else ""
        replaced = link.replaces if ours and link else ""
        if replaced and replaced in {one.key_id for one in await session.links_to(token)}:
            replaced = ""
        for slot in SLOTS:
            there = token.slot(slot)
            if (
                slot != used
                and (there is None or there.expired or there.key_id == replaced)
                and slot not in await self.slots_of_new_passwords(token)
            ):
                return slot
        return None

    async def slots_of_new_passwords(self, token: Token, *, anew: bool = False) -> set[str]:
        """Where the passwords are that records of Akka's name, and that are so new that a read may not
        show them yet.
        """
        return {
            slot_of(link.key_id)
            for link in await self._session.links_to(token, anew=anew)
            if is_new(link.key_id)
        }

    async def _clear(self, token: Token, found: SlotPassword) -> None:
        """Remove a password of a token.

        Whatever is not named is removed, so what stays is looked up right before each call: the other
        password, if any read shows it; what this run has created; and what is new and named by a record of
        Akka's, since a read that lags does not show it.
        """
        session = self._session
        registry = await session.registry()
        created = {slot_of(session.credential.link.key_id)} if session.credential else set()
        deadline = session.undo_deadline() if self._undone else self._removal_deadline()

        async def clear() -> None:
            named: set[str] = set()
            with contextlib.suppress(PullkeyError):
                named = await self.slots_of_new_passwords(token, anew=True)
            now = await session.token_shown() or token
            there = now.slot(found.slot)
            if there is not None and there.created != found.created:
                return  # it was generated again meanwhile
            shown = {one.slot for one in (*token.passwords, *now.passwords)}
            staying = (shown | created | named) - {found.slot}
            await session.tokens.keep_passwords(registry, token, staying)

        await retry_while(
            clear,
            why=not_shown_yet,  # the token was just read
            deadline=deadline,
            tell=session.context.tell,
        )

    def _removal_deadline(self) -> Deadline:
        return Deadline(self._session.context.deadline.clip(PASSWORD_REMOVAL_SECONDS))

    # -- the calls -------------------------------------------------------------------------------------------

    async def read(self, key_id: str) -> SlotPassword | None:
        token = await self._session.token_shown()
        return token.password(key_id) if token is not None else None

    def facts_of(self, shown: SlotPassword) -> KeyFacts:
        return KeyFacts(shown.key_id, shown.created, shown.expires)

    async def prepare(self) -> None:
        session, name = self._session, self._session.target.token_name
        with as_sentence(f"read the token {name}"):
            token = await read_twice(session.token_shown)
        if token is None and not self._identity.attempt.created:
            raise messages.token_not_shown(name)
        there = token.slot(self._slot) if token else None
        if there is not None and there.key_id != self._before:
            raise messages.slot_taken(self._slot, name)

    async def create(self) -> NewSlotPassword:
        session = self._session
        registry, ends = await session.registry(), clock.now() + session.lifetime
        made = await session.tokens.generate(registry, session.target.token_name, self._slot, ends)
        key_id = await self._key_id(registry, made)
        self._answer = NewSlotPassword(key_id, made.text, made.created, made.expires or ends)
        return self._answer

    async def _key_id(self, registry: Registry, made: Generated) -> str:
        """The slot with its time: that of the answer, else the one that a read shows, which may lag.

        Raises:
            AzureApiError: unanswered: the password exists, and its time is not known.
        """
        if made.created is not None:
            # What a read shows by now may be what another run has generated over it.
            return key_id_of(self._slot, made.created)
        session, deadline = self._session, Deadline(SETTLE_SECONDS)
        while True:
            try:
                token = await session.tokens.token(registry, session.target.token_name)
            except AzureApiError as error:
                # It was generated, whatever becomes of this read.
                raise AzureApiError(0, error.code, error.message) from None
            seen = token.slot(self._slot) if token else None
            if seen is not None and seen.key_id != self._before:
                return seen.key_id
            if deadline.passed:
                raise AzureApiError(0, "", f"it does not show {self._slot}")
            await asyncio.sleep(min(1.0, deadline.left))

    def id_of(self, answer: NewSlotPassword) -> str:
        return answer.key_id

    def created_as(self, answer: NewSlotPassword) -> str:
        return f"{answer.key_id}, expires {answer.expires:%Y-%m-%d}"

    async def credential_of(self, answer: NewSlotPassword) -> Credential:
        server, name = await self._session.server(), self._session.target.token_name
        return Credential(
            server=server,
            username=name,
            password=answer.text,
            link=KeyRef(name, answer.key_id, server),
            expires=answer.expires,
        )

    async def do(self) -> Done:
        done = await super().do()
        created = self._answer.created if self._answer else None
        return replace(done, made={**(done.made or {}), "created": created.isoformat() if created else None})

    async def after_lost_answer(self, error: ApiError) -> None:
        """Nothing to do: the lost password is overwritten when the same slot is generated again."""

    async def _clear_doubles(self, key_id: str) -> LeftOver | None:
        return None  # a slot has one password

    async def of_run(self, intent: Intent) -> Sequence[str]:
        token = await self._session.token_shown()
        there = token.slot(intent["slot"]) if token is not None else None
        if there is None or there.key_id in (intent["before"], *intent.get("in_use", ())):
            return []
        if not is_of_call(there.created, intent["at"]):
            what = f"{there.key_id}{self.whose}, which may be in use elsewhere"
            raise StillThere(what, self.delete_command(there.key_id))
        return [there.key_id]

    async def send_deletion(self, key_id: str) -> bool:
        session = self._session
        token = await read_twice(session.token_shown)
        if token is None:
            if session.credential is None and not await session.recently_made():
                return False
            raise messages.token_of_password_not_shown(session.target.token_name, self.delete_command(key_id))
        found = token.password(key_id)
        if found is None and not (
            session.tokens.has_removed(key_id) or is_overwritten(key_id, token.slot(slot_of(key_id)))
        ):
            raise AzureApiError(404, "", "Azure does not show it")
        if found is None or is_another(found.created, self._undone.get("created")):
            return False  # another run or program has removed it, or generated it again
        await self._clear(token, found)
        return True

    # -- one of them by its id -------------------------------------------------------------------------------

    async def facts(self, key_id: str) -> KeyFacts | None:
        session = self._session
        token = await session.token_now()
        if token is None and await session.recently_made():
            token = await read_until_shown(session.token_now, contradicted_by="it was created minutes ago")
            if token is None:
                raise messages.recorded_token_not_shown(session.target.token_name)
        found = token.password(key_id) if token else None
        return self.facts_of(found) if found else None

    async def delete(self, key_id: str) -> bool:
        with as_sentence(f"remove {key_id}{self.whose}"):
            return await self.delete_by_id(key_id, self._removal_deadline())

    async def undo(self, intent: Intent) -> str:
        if intent.get("key_id") in intent.get("in_use", ()):
            return ""
        self._undone = intent
        try:
            return await super().undo(intent)
        finally:
            self._undone = {}

    def undone_as(self, keys: Sequence[str], intent: Intent) -> str:
        return f"removed {', '.join(keys)}{self.whose}"

    def still_there(self, intent: Intent, why: str) -> StillThere:
        key_id = str(intent.get("key_id") or intent["slot"])
        return StillThere(f"{key_id}{self.whose} ({why})", self.delete_command(key_id))

    def delete_command(self, key_id: str) -> str:
        return self.clear_command(slot_of(key_id))

    def clear_command(self, slot: str) -> str:
        """The command that removes the password in a slot."""
        name = shlex.quote(self._session.target.token_name)
        return f"az acr token credential delete --name {name} {self._session.registry_options()} --{slot}"

    # -- what errors are -------------------------------------------------------------------------------------

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    def creation_delay(self, error: Exception) -> Delay | None:
        if isinstance(error, AzureApiError) and (
            error.code == _NOT_ACTIVE or (error.missing and self._identity.attempt.created)
        ):
            return Delay(_NOT_FINISHED, SPREADING_SECONDS)
        return busy(error)

    def may_be_created(self, error: ApiError) -> bool:
        return isinstance(error, AzureApiError) and error.may_be_done

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        return refused(error, f"generate {self._slot}{self.whose}")

    # -- all of them -----------------------------------------------------------------------------------------

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        session = self._session
        with as_sentence(f"show the token {session.target.token_name}"):
            token = await session.expected_token()
        if token is None:
            return []
        # An expired password is of no use.
        others = [one for one in token.passwords if one.key_id not in ours and not one.expired]
        return [*map(described, others), *(f"certificate {name}" for name in token.certificates)]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        """The passwords of a token that pullkey created, as its scope map says."""
        session = self._session
        with as_sentence(f"show the token {session.target.token_name}"):
            token, scope_map = await asyncio.gather(session.token_shown(), session.scope_map_now())
        if token is None or scope_map is None or MARK not in scope_map.description:
            return []
        return [self.facts_of(one) for one in token.passwords if not one.expired]

    def script(self) -> Script:
        return password_script(self._slot, self._session.registry_options())
