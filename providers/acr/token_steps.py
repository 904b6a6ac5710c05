"""What is done in a registry where a token of its own pulls, one class a step: scope map, token, password."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shlex
from typing import TYPE_CHECKING, TypeVar

from bootstrap.codes import Code
from bootstrap.credential import Credential
from bootstrap.errors import StepFailed
from bootstrap.link import KeyLink
from bootstrap.observe import Present, confirm_absent
from bootstrap.plugin import clock
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.resource import Attempt, Resource
from bootstrap.steps import Done, Intent, Removal, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Deadline, Delay, surely, wait_out
from providers.acr.calls import AzureApiError, as_sentence, refused
from providers.acr.target import SLOTS
from providers.acr.tokens import Generated, SlotPassword, Token, action_of
from providers.acr.waits import SETTLE_SECONDS, SPREADING_SECONDS, busy, not_shown_yet

if TYPE_CHECKING:
    from providers.acr.cloud import Registry
    from providers.acr.token_session import TokenSession
    from providers.acr.tokens import ScopeMap

T = TypeVar("T")
_RIGHTS = "Microsoft.ContainerRegistry/registries"
TOKENS_READ = f"{_RIGHTS}/tokens/read"
TOKENS_WRITE = f"{_RIGHTS}/tokens/write"
_SCOPE_MAP_RIGHTS = (f"{_RIGHTS}/scopeMaps/read", f"{_RIGHTS}/scopeMaps/write")
_GENERATE = f"{_RIGHTS}/generateCredentials/action"

MARK = "Made by pullkey"
"""What tells our scope maps from others; a token has no description, so its scope map stands for it."""
_FORBIDDEN = "RequestDisallowedByPolicy"
_NOT_ACTIVE = "TokenNotActive"
_MAY_NOT_LOOK = "it may not be read"
_NO_TOKENS = (
    "Ask the owner of that policy for an exception, or use a service principal: leave --auth-kind out."
)
# How far from a lost call the time of a password may be for it to be that call's.
_SAME_CALL = dt.timedelta(minutes=10)
_ROUNDED = dt.timedelta(milliseconds=1)  # how much less exact a time may be where Azure shows it again


class _RegistryResource(Resource[T]):
    """An object of the registry: a scope map or a token."""

    unreadable = _MAY_NOT_LOOK

    def __init__(self, session: TokenSession) -> None:
        super().__init__(session)
        self._session = session

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return refused(error, doing)

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)


class ScopeMapGrant(_RegistryResource["ScopeMap"]):
    """The scope map: what the token may do, and that is to pull these repositories."""

    name = "grant"
    permissions = _SCOPE_MAP_RIGHTS
    absent = "there is no such scope map"

    def __init__(self, session: TokenSession) -> None:
        super().__init__(session)
        self._seen: ScopeMap | None = None

    @property
    def noun(self) -> str:
        return f"scope map {self._session.target.scope_map_name}"

    @property
    def title(self) -> str:
        repositories = self._session.target.repositories
        pulls = f", which may pull {', '.join(repositories)}" if repositories else ""
        return f"Create the {self.noun}{pulls}"

    async def read(self) -> ScopeMap | None:
        registry = await self._session.registry()
        return await self._session.tokens.scope_map(registry, self._session.target.scope_map_name)

    async def seen(self) -> ScopeMap | None:
        self._seen = await self._session.scope_map()
        return self._seen

    def judge(self, shown: ScopeMap) -> Sighting:
        lacking = [one for one in self._session.actions if one not in shown.actions]
        if lacking:
            return Sighting(State.MISSING, f"the scope map lacks {', '.join(lacking)}")
        return Sighting(State.DONE, "exists")

    def intent(self) -> Intent:
        return {"scope_map": self._session.target.scope_map_name, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, scope_map=self._session.target.scope_map_name)

    async def do(self) -> Done:
        session = self._session
        registry = await session.registry()
        name = session.target.scope_map_name
        with as_sentence(f"read the {self.noun}"):
            before = await self._before(registry)
        # What somebody has added is not taken away again.
        actions = sorted({*session.actions, *(before.actions if before else ())})
        description = before.description if before else f"Pulls images for Akka. {MARK}, run {session.context.run_id}."  # fmt: skip

        async def put() -> None:
            with self.attempt.sending(_may_be_done) if before is None else contextlib.nullcontext():
                await session.tokens.put_scope_map(registry, name, actions, description)

        with as_sentence(f"create the {self.noun}"):
            await wait_out(
                put, why=not_shown_yet, deadline=session.context.deadline, tell=session.context.tell
            )
        return Done("", {}) if before is None else Done("added what it lacked")

    async def _before(self, registry: Registry) -> ScopeMap | None:
        """The scope map; where the look showed none, as the registry lists it: to create one is to write over it."""
        session, name = self._session, self._session.target.scope_map_name
        if self._seen is not None:
            return await session.tokens.scope_map(registry, name) or self._seen
        listed = await session.tokens.scope_maps(registry)
        return next((one for one in listed if one.name.lower() == name.lower()), None)

    async def is_of_run(self, shown: ScopeMap, intent: Intent) -> bool:
        return intent["run_id"] in shown.description

    async def expected(self) -> ScopeMap | None:
        await self._session.expected_token()  # with which it was created
        return await super().expected()

    async def contradiction(self) -> str:
        session = self._session
        if await session.recently_made():
            return "Azure does not show it, and it may have been created minutes ago"
        token = await session.tokens.token(await session.registry(), session.target.token_name)
        if token is not None and token.scope_map == session.target.scope_map_name:
            return "its token names it, and Azure does not show it"
        return ""

    async def removal_of(self, shown: ScopeMap) -> Removal:
        if MARK not in shown.description:
            return self.to_keep("it was not created by pullkey")
        if others := await self._users() - {self._session.target.token_name}:
            return self.to_keep(f"other tokens use it: {', '.join(sorted(others))}")
        return self.to_remove()

    async def _users(self) -> set[str]:
        """The tokens that have it."""
        tokens = await self._session.tokens.all(await self._session.registry())
        return {one.name for one in tokens if one.scope_map == self._session.target.scope_map_name}

    async def remove(self) -> str:
        session = self._session
        try:
            users = await self._users()
        except AzureApiError as error:
            raise self.still_there(error.said) from None
        # One that this run has deleted may be listed for a while.
        if users - ({session.target.token_name} if session.token_deleted else set()):
            if session.token_hidden:
                raise StillThere(f"the {self.noun}, once its token is deleted", self.delete_command())
            # It was asked for to stay; without its scope map it would pull nothing.
            return f"the {self.noun} kept for the token that uses it"
        return await super().remove()

    async def delete(self, intent: Intent) -> None:
        registry = await self._session.registry()
        await self._session.tokens.delete_scope_map(registry, intent["scope_map"])

    def delete_command(self) -> str:
        target = self._session.target
        return f"az acr scope-map delete --name {shlex.quote(target.scope_map_name)} {self._session.registry_options()} --yes"

    def script(self) -> Script:
        repositories = " ".join(
            f"--repository {shlex.quote(one)} content/read" for one in self._session.target.repositories
        )
        show = 'az acr scope-map show --name "$SCOPE_MAP" "${IN_REGISTRY[@]}" --output none'
        create = f'az acr scope-map create --name "$SCOPE_MAP" "${{IN_REGISTRY[@]}}" {repositories}'
        place = f'--name "$SCOPE_MAP" {self._session.registry_options()}'
        if self._seen is None:
            typed = f'az acr scope-map create {place} {repositories} --description "Pulls images for Akka. {MARK} by hand."'
        else:
            typed = (
                f"az acr scope-map update {place} {repositories.replace('--repository', '--add-repository')}"
            )
        return Script(
            do=f'{show} 2>/dev/null ||\n  {create} \\\n    --description "Pulls images for Akka. {MARK}\'s runbook." --output none',
            check=show,
            undo=f'if {show} 2>/dev/null; then az acr scope-map delete --name "$SCOPE_MAP" "${{IN_REGISTRY[@]}}" --yes; fi',
            typed=f"{typed} --output none",
            why="A token may do what its scope map says: here, pull these repositories.",
        )


def _may_be_done(error: ApiError) -> bool:
    """As `ApiError.unanswered`; the SDK reads what it has created, so that this is not shown yet is no refusal either."""
    return error.unanswered or error.missing


class TokenIdentity(_RegistryResource[Token]):
    """The token, without a password."""

    name = "identity"
    after = ("grant",)
    permissions = (TOKENS_READ, TOKENS_WRITE)
    absent = "there is no such token"

    @property
    def noun(self) -> str:
        return f"token {self._session.target.token_name}"

    @property
    def title(self) -> str:
        return f"Create the {self.noun} in the registry {self._session.target.name}"

    async def read(self) -> Token | None:
        return await self._session.tokens.token(
            await self._session.registry(), self._session.target.token_name
        )

    async def seen(self) -> Token | None:
        return await self._session.token()

    def judge(self, shown: Token) -> Sighting:
        return Sighting(State.DONE, "exists") if shown.enabled else Sighting(State.MISSING, "it is disabled")

    def intent(self) -> Intent:
        return {"token": self._session.target.token_name, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, token=self._session.target.token_name)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        registry = await session.registry()

        async def put() -> None:
            # As the registry lists it, since the look showed none: to create one is to write over it, and whoever creates
            # one also takes it away again.
            if target.token_name.lower() in [one.name.lower() for one in await session.tokens.all(registry)]:
                # Either a try of ours went unanswered, or somebody was faster, or the look was answered by a server that lags.
                self.attempt.conclude(ours=self.attempt.may_exist)
                return
            with self.attempt.sending(_may_be_done):
                await session.tokens.put_token(registry, target.token_name, target.scope_map_name)

        try:
            await wait_out(
                put, why=not_shown_yet, deadline=session.context.deadline, tell=session.context.tell
            )
        except AzureApiError as error:
            if error.code == _FORBIDDEN:
                raise StepFailed(f"A policy forbids tokens of registries ({error.said})", fix=_NO_TOKENS, code=Code.KEYS_FORBIDDEN) from None  # fmt: skip
            raise refused(error, f"create the {self.noun}") from None
        session.token_made = self.attempt.created
        return Done("", {}) if session.token_made else Done("another run has just created it", unneeded=True)

    def is_known_own(self, intent: Intent) -> bool:
        return bool(intent["answered"]) if intent.get("lost") else super().is_known_own(intent)

    async def is_of_run(self, shown: Token, intent: Intent) -> bool:
        """A token has no mark; that run has also created the scope map that only it has."""
        if not intent.get("lost"):
            return True  # the registry listed none before
        registry = await self._session.registry()
        scope_map = await self._session.tokens.scope_map(registry, self._session.target.scope_map_name)
        return scope_map is not None and intent["run_id"] in scope_map.description

    async def expected(self) -> Token | None:
        return await self._session.expected_token()

    async def contradiction(self) -> str:
        session = self._session
        if await session.recently_made():
            return "Azure does not show it, and its password was generated minutes ago"
        listed = await session.tokens.all(await session.registry())
        session.token_hidden = session.target.token_name in [one.name for one in listed]
        return "it is listed, and Azure does not show it" if session.token_hidden else ""

    async def removal_of(self, shown: Token) -> Removal:
        used, session = shown.scope_map, self._session
        registry = await session.registry()
        scope_map = await surely(lambda: session.tokens.scope_map(registry, used)) if used else None
        if scope_map is None and used:
            return self.unseen("Azure does not show its scope map")
        if scope_map is None or MARK not in scope_map.description or scope_map.name != shown.name:
            return self.to_keep("it was not created by pullkey")
        return self.to_remove()

    async def delete(self, intent: Intent) -> None:
        await self._session.tokens.delete_token(await self._session.registry(), intent["token"])
        self._session.token_deleted = True

    def delete_command(self) -> str:
        target = self._session.target
        return f"az acr token delete --name {shlex.quote(target.token_name)} {self._session.registry_options()} --yes"

    def script(self) -> Script:
        show = 'az acr token show --name "$TOKEN" "${IN_REGISTRY[@]}" --output none'
        create = 'az acr token create --name "$TOKEN" "${IN_REGISTRY[@]}" --scope-map "$SCOPE_MAP" --no-passwords true --output none'
        return Script(
            do=f"{show} 2>/dev/null ||\n  {create}",
            check=show,
            undo=f'if {show} 2>/dev/null; then az acr token delete --name "$TOKEN" "${{IN_REGISTRY[@]}}" --yes; fi',
            typed=f'az acr token create --name "$TOKEN" {self._session.registry_options()} --scope-map "$SCOPE_MAP" --no-passwords true --output none',
            why="Without passwords: `az acr token create` creates both at once, which leaves no slot to rotate with.",
        )


class TokenKey(Step):
    """One of the token's two passwords: the one that is empty, never the one that Akka holds."""

    name = "key"
    after = ("identity",)
    permissions = (TOKENS_READ, _GENERATE)

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self._slot = SLOTS[0]
        self._before = ""
        self.attempt = Attempt()

    @property
    def title(self) -> str:
        return f"Generate a password of the token {self._session.target.token_name}"

    async def look(self) -> Sighting:
        session = self._session
        try:
            token = await session.token()
        except AzureApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, _MAY_NOT_LOOK)
            raise refused(error, f"show the token {session.target.token_name}") from None
        if token is None:
            return Sighting(State.MISSING, "there is no token yet")
        link, reason = await usable_key(session)
        if link is None:
            return await self._missing(token, reason)
        held = token.password(link.key_id)
        if held is None:
            # That it is gone is not believed of one read.
            seen = await confirm_absent(
                lambda: self._password_now(link.key_id), contradicted_by="Akka's record names it"
            )
            held = seen.value if isinstance(seen, Present) else None
        if held is None:
            return await self._missing(token, f"the password that Akka holds, {link.key_id}, was deleted")
        if held.expired:
            return await self._missing(token, f"the password that Akka holds, {link.key_id}, has expired")
        return Sighting(State.DONE, f"Akka holds {link.key_id}, which is valid")

    async def _missing(self, token: Token, why: str) -> Sighting:
        """A password is to be generated; in which slot, is settled now."""
        slot = await self._session.free_slot(token)
        if slot is not None:
            self._slot = slot
            there = token.slot(slot)
            self._before = there.key_id if there else ""
        return Sighting(State.MISSING, why)

    async def _password_now(self, key_id: str) -> SlotPassword | None:
        token = await self._session.token_now()
        return token.password(key_id) if token is not None else None

    def intent(self) -> Intent:
        return {
            "token": self._session.target.token_name,
            "slot": self._slot,
            "before": self._before,
            "at": clock.now().isoformat(timespec="seconds"),
        }

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, token=self._session.target.token_name)

    async def do(self) -> Done:
        session, name = self._session, self._session.target.token_name
        registry = await session.registry()
        with as_sentence(f"read the token {name}"):
            token = await surely(lambda: session.tokens.token(registry, name))
        if token is None and not session.token_made:
            raise StepFailed(f"Azure does not show the token {name}, so which of its passwords are in use is not known", fix="Run it again in a while.", code=Code.CLOUD_LAG)  # fmt: skip
        there = token.slot(self._slot) if token else None
        if there is not None and there.key_id != self._before:
            raise StepFailed(f"Another program has just generated {self._slot} of the token {name}", fix="Run it again, to see what is free then.", code=Code.CONCURRENT_CHANGE)  # fmt: skip
        ends = clock.now() + session.lifetime
        with as_sentence(f"generate {self._slot} of the token {name}"):
            # Where a call went unanswered its password is known to nobody, and the same slot is generated again.
            made = await wait_out(
                lambda: self._generate(registry, ends),
                why=self._delay,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
            key_id = await self._key_id(made)
        server = await session.server()
        session.credential = Credential(
            server=server,
            username=name,
            password=made.text,
            link=KeyLink(name, key_id, server),
            ends=made.ends or ends,
        )
        created = made.created.isoformat() if made.created else None
        return Done(f"{key_id}, expires {made.ends or ends:%Y-%m-%d}", {"key_id": key_id, "created": created})  # fmt: skip

    async def _generate(self, registry: Registry, ends: dt.datetime) -> Generated:
        session = self._session
        with self.attempt.sending():
            return await session.tokens.generate(registry, session.target.token_name, self._slot, ends)

    async def _key_id(self, made: Generated) -> str:
        """The slot with its time, as Azure will show it from now on; a read may lag what was just told."""
        session, deadline = self._session, Deadline(SETTLE_SECONDS)
        registry = await session.registry()
        told = SlotPassword(self._slot, made.created, made.ends) if made.created else None
        while True:
            token = await session.tokens.token(registry, session.target.token_name)
            seen = token.slot(self._slot) if token else None
            new = seen is not None and seen.key_id != self._before
            if seen is not None and told is not None and seen.key_id == told.key_id:
                return seen.key_id
            if seen is not None and new and (told is None or deadline.passed):
                return seen.key_id
            if deadline.passed:
                if told is None:
                    raise AzureApiError(404, "", f"{self._slot} is not to be seen")
                return told.key_id
            await asyncio.sleep(min(1.0, deadline.left))

    def _delay(self, error: Exception) -> Delay | None:
        if isinstance(error, AzureApiError) and (
            error.code == _NOT_ACTIVE or (error.missing and self._session.token_made)
        ):
            return Delay(
                "Azure has not finished making the token yet; this takes some seconds.", SPREADING_SECONDS
            )
        return busy(error)

    async def undo(self, intent: Intent) -> str:
        session = self._session
        name, slot, key_id = intent["token"], intent["slot"], intent.get("key_id")
        if session.token_made and key_id and not intent.get("identity_stays"):
            return ""  # it goes with the token, which this run made and now removes
        if not (self.attempt.may_exist or intent.get("lost")):
            return ""  # it was refused, or never asked for: what is there is another program's
        try:
            if key_id is None:
                await asyncio.sleep(SETTLE_SECONDS)  # a call without an answer may show late
            token, there = await self._made_by_then(intent)
            if there is None and key_id and not (intent.get("lost") or session.tokens.has_removed(key_id)):
                # Azure has answered that it is there, so that no read shows it is no sign that it is gone.
                raise StillThere(
                    f"{key_id} of the token {name}, which Azure does not show yet",
                    session.delete_key_command(key_id),
                )
            if token is None or there is None or there.key_id in intent.get("in_use", ()):
                return ""
            if key_id is None and not _of_that_call(there.created, intent["at"]):
                raise StillThere(
                    f"{there.key_id} of the token {name}, which may be in use elsewhere",
                    session.delete_key_command(there.key_id),
                )
            if key_id not in (None, there.key_id) or _is_another(there.created, intent.get("created")):
                return ""  # generated again since, by somebody else
            await session.clear(token, slot, session.undo_deadline())
        except AzureApiError as error:
            raise StillThere(f"{slot} of the token {name} ({error.said})", session.delete_key_command(slot)) from None  # fmt: skip
        return f"removed {there.key_id} of the token {name}"

    async def _made_by_then(self, intent: Intent) -> tuple[Token | None, SlotPassword | None]:
        """The password that was generated, as Azure shows it; a read that lags shows none, or the one before it."""
        session = self._session
        registry = await session.registry()
        token: Token | None = None

        async def shown() -> SlotPassword | None:
            nonlocal token
            token = await session.tokens.token(registry, intent["token"])
            there = token.slot(intent["slot"]) if token else None
            return there if there is not None and there.key_id != intent["before"] else None

        answered = "Azure has answered that it was generated" if intent.get("key_id") else ""
        seen = await confirm_absent(shown, contradicted_by=answered)
        return token, seen.value if isinstance(seen, Present) else None

    def script(self) -> Script:
        options = self._session.registry_options()
        names = '$(az acr token show --name "$TOKEN" "${IN_REGISTRY[@]}" --query "credentials.passwords[].name" --output tsv)'
        return Script(
            do=(
                f'TAKEN="{names}"\n'
                "SLOT=password1\n"
                'case "$TAKEN" in *password1*) SLOT=password2 ;; esac\n'
                'case "$TAKEN" in *password1*password2*|*password2*password1*)\n'
                '  echo "Both passwords of $TOKEN exist. If one of them is unused, remove it:" >&2\n'
                '  echo "  az acr token credential delete --name $TOKEN --registry $REGISTRY --password1 (or --password2)" >&2\n'
                "  exit 1 ;;\n"
                "esac\n"
                'SECRET="$(az acr token credential generate --name "$TOKEN" "${IN_REGISTRY[@]}" "--$SLOT" '
                '--expiration "$END_DATE" --query "passwords[?name==\'$SLOT\'].value | [0]" --output tsv)"\n'
                'CREATED="$(az acr token show --name "$TOKEN" "${IN_REGISTRY[@]}" '
                '--query "credentials.passwords[?name==\'$SLOT\'].creationTime | [0]" --output tsv)"\n'
                'KEY_ID="$SLOT-$(seconds_of "$CREATED")"\n'
                'echo "The password is $KEY_ID"'
            ),
            check='[ -n "$SECRET" ] && [ -n "$KEY_ID" ]',
            undo='if [ -n "${KEY_ID:-}" ]; then az acr token credential delete --name "$TOKEN" "${IN_REGISTRY[@]}" "--${KEY_ID%%-*}" --output none || true; fi',
            typed=(
                f'SECRET="$(az acr token credential generate --name "$TOKEN" {options} --{self._slot} --expiration "$END_DATE" --query "passwords[?name==\'{self._slot}\'].value | [0]" --output tsv)"\n'
                f'CREATED="$(az acr token show --name "$TOKEN" {options} --query "credentials.passwords[?name==\'{self._slot}\'].creationTime | [0]" --output tsv)"\n'
                "# With GNU's date, else with that of macOS and BSD.\n"
                f'KEY_ID="{self._slot}-$(date -u -d "$CREATED" +%s 2>/dev/null || date -u -j -f %Y-%m-%dT%H:%M:%S "${{CREATED%%[.+Z]*}}" +%s)"'
            ),
            why="Only an empty slot: generating a password that exists cuts off its users.",
        )


def _is_another(created: dt.datetime | None, ours: str | None) -> bool:
    """Whether a password that bears the id of ours is not it: an id says the second only, in which two may be made."""
    return (
        created is not None and ours is not None and abs(created - dt.datetime.fromisoformat(ours)) > _ROUNDED
    )


def _of_that_call(created: dt.datetime | None, at: str) -> bool:
    return created is not None and abs(created - dt.datetime.fromisoformat(at)) <= _SAME_CALL


def in_use(token: Token) -> str:
    """Both passwords with their days, for a person to tell whose they are."""
    return " and ".join(
        f"{one.slot} of {one.created:%Y-%m-%d}" if one.created else one.slot for one in token.passwords
    )


def wanted_actions(repositories: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(action_of, repositories))
