"""What is done in a registry where a token of its own pulls, one class a step: scope map, token, password."""

from __future__ import annotations

import asyncio
import datetime as dt
import shlex
from typing import TYPE_CHECKING

from bootstrap.codes import Code
from bootstrap.common_steps import held_link
from bootstrap.credential import Credential
from bootstrap.errors import StepFailed
from bootstrap.link import KeyLink
from bootstrap.observe import Present, confirm_absent
from bootstrap.steps import Done, Fate, Intent, Removal, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Deadline, Delay, surely, wait_out
from providers.acr.calls import AzureApiError, as_sentence, refused
from providers.acr.steps import SPREADING_SECONDS, busy
from providers.acr.target import SLOTS
from providers.acr.tokens import Generated, SlotPassword, Token, action_of

if TYPE_CHECKING:
    from providers.acr.cloud import Registry
    from providers.acr.token_session import TokenSession
    from providers.acr.tokens import ScopeMap

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
_SETTLE_SECONDS = 4.0
# How far from a lost call the time of a password may be for it to be that call's.
_SAME_CALL = dt.timedelta(minutes=10)
_ROUNDED = dt.timedelta(milliseconds=1)  # how much less exact a time may be where Azure shows it again


class ScopeMapGrant(Step):
    """The scope map: what the token may do, and that is to pull these repositories."""

    name = "grant"
    permissions = _SCOPE_MAP_RIGHTS

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self._seen: ScopeMap | None = None
        self._may_be_made = False

    @property
    def title(self) -> str:
        target = self._session.target
        pulls = f", which may pull {', '.join(target.repositories)}" if target.repositories else ""
        return f"Create the scope map {target.scope_map_name}{pulls}"

    async def look(self) -> Sighting:
        try:
            scope_map = await self._session.scope_map()
        except AzureApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, _MAY_NOT_LOOK)
            raise refused(error, f"show the scope map {self._session.target.scope_map_name}") from None
        self._seen = scope_map
        if scope_map is None:
            return Sighting(State.MISSING, "there is no such scope map")
        lacking = [one for one in self._session.actions if one not in scope_map.actions]
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
        with as_sentence(f"read the scope map {name}"):
            before = await self._before(registry)
        # What somebody has added is not taken away again.
        actions = sorted({*session.actions, *(before.actions if before else ())})
        description = before.description if before else f"Pulls images for Akka. {MARK}, run {session.context.run_id}."  # fmt: skip
        # Whatever is answered: what it makes may not be shown for a while.
        self._may_be_made = before is None
        with as_sentence(f"create the scope map {name}"):
            await wait_out(
                lambda: session.tokens.put_scope_map(registry, name, actions, description),
                why=not_shown_yet,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        return Done("", {}) if before is None else Done("added what it lacked")

    async def _before(self, registry: Registry) -> ScopeMap | None:
        """The scope map; where the look showed none, as the registry lists it: to make one is to write over it."""
        session, name = self._session, self._session.target.scope_map_name
        if self._seen is not None:
            return await session.tokens.scope_map(registry, name) or self._seen
        listed = await session.tokens.scope_maps(registry)
        return next((one for one in listed if one.name.lower() == name.lower()), None)

    async def undo(self, intent: Intent) -> str:
        session = self._session
        name = intent["scope_map"]
        try:
            registry = await session.registry()
            found = await session.tokens.scope_map(registry, name)
            # The run's id in it says that it is this run's, whether or not its making was answered.
            ours = self._may_be_made if found is None else intent["run_id"] in found.description
            if not ours:
                return ""
            await session.delete_scope_map(name)
        except AzureApiError as error:
            raise StillThere(f"the scope map {name} ({error.said})", self._delete_command()) from None
        return f"deleted the scope map {name}"

    async def removal(self) -> Removal:
        session = self._session
        name = session.target.scope_map_name
        what = f"scope map {name}"
        registry = await session.registry()
        with as_sentence(f"show the scope map {name}"):
            await session.expected_token()  # with which it was made
            found = await surely(lambda: session.tokens.scope_map(registry, name))
            if found is None and await session.recently_made():
                why = "Azure does not show it, and it may have been created minutes ago"
                return Removal(Fate.UNSEEN, what, why, self._delete_command())
            if found is None:
                token = await session.tokens.token(registry, session.target.token_name)
                if token is not None and token.scope_map == name:
                    return Removal(Fate.UNSEEN, what, "its token names it, and Azure does not show it", self._delete_command())  # fmt: skip
                return Removal(Fate.GONE, what, "there is no such scope map")
            if MARK not in found.description:
                return Removal(Fate.KEEP, what, "it was not created by pullkey", self._delete_command())
            users = [one.name for one in await session.tokens.all(registry) if one.scope_map == name]
        others = [one for one in users if one != session.target.token_name]
        if others:
            why = f"other tokens use it: {', '.join(others)}"
            return Removal(Fate.KEEP, what, why, self._delete_command())
        return Removal(Fate.REMOVE, what, command=self._delete_command())

    async def remove(self) -> str:
        session = self._session
        name = session.target.scope_map_name
        registry = await session.registry()
        try:
            users = {one.name for one in await session.tokens.all(registry) if one.scope_map == name}
            # One that this run has deleted may be listed for a while.
            if users - ({session.target.token_name} if session.token_deleted else set()):
                if session.token_hidden:
                    raise StillThere(
                        f"the scope map {name}, once its token is deleted", self._delete_command()
                    )
                # It was asked for to stay; without its scope map it would pull nothing.
                return f"the scope map {name} kept for the token that uses it"
            await session.delete_scope_map(name)
        except AzureApiError as error:
            raise StillThere(f"the scope map {name} ({error.said})", self._delete_command()) from None
        return f"deleted the scope map {name}"

    def _delete_command(self) -> str:
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


def not_shown_yet(error: Exception) -> Delay | None:
    """Why to try again: the SDK reads what it has made, and takes for a failure that this is not shown yet."""
    if isinstance(error, AzureApiError) and error.missing:
        return Delay("Azure does not show everywhere yet what was just created.", SPREADING_SECONDS)
    return busy(error)


class TokenIdentity(Step):
    """The token, without a password."""

    name = "identity"
    after = ("grant",)
    permissions = (TOKENS_READ, TOKENS_WRITE)

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self._sent = False

    @property
    def title(self) -> str:
        target = self._session.target
        return f"Create the token {target.token_name} in the registry {target.name}"

    async def look(self) -> Sighting:
        try:
            token = await self._session.token()
        except AzureApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, _MAY_NOT_LOOK)
            raise refused(error, f"show the token {self._session.target.token_name}") from None
        if token is None:
            return Sighting(State.MISSING, "there is no such token")
        if not token.enabled:
            return Sighting(State.MISSING, "it is disabled")
        return Sighting(State.DONE, "exists")

    def intent(self) -> Intent:
        return {"token": self._session.target.token_name, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, token=self._session.target.token_name)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        registry = await session.registry()

        async def put() -> bool:
            # As the registry lists it, since the look showed none: to make one is to write over it, and whoever makes one
            # also takes it away again.
            listed = [one.name.lower() for one in await session.tokens.all(registry)]
            if target.token_name.lower() in listed:
                # Either a try of ours went unanswered, or somebody was faster, or the look was answered by a server that lags.
                return self._sent
            try:
                await session.tokens.put_token(registry, target.token_name, target.scope_map_name)
            except AzureApiError as error:
                self._sent = self._sent or error.unanswered or error.missing
                raise
            return True

        try:
            session.token_made = await wait_out(
                put, why=not_shown_yet, deadline=session.context.deadline, tell=session.context.tell
            )
        except AzureApiError as error:
            if error.code == _FORBIDDEN:
                raise StepFailed(f"A policy forbids tokens of registries ({error.said})", fix=_NO_TOKENS, code=Code.KEYS_FORBIDDEN) from None  # fmt: skip
            raise refused(error, f"create the token {target.token_name}") from None
        return Done("", {}) if session.token_made else Done("another run has just created it", unneeded=True)

    async def undo(self, intent: Intent) -> str:
        session = self._session
        if not (session.token_made or self._sent or intent.get("lost")):
            return ""
        try:
            registry = await session.registry()
            if intent.get("lost") and not await self._made_by(intent, registry):
                return ""
            await session.delete_token(intent["token"])
        except AzureApiError as error:
            raise StillThere(f"the token {intent['token']} ({error.said})", self._delete_command()) from None
        return f"deleted the token {intent['token']}"

    async def _made_by(self, intent: Intent, registry: Registry) -> bool:
        """Whether a lost run has made the token: it was told so, or has also made the scope map that only it has."""
        if intent["answered"]:
            return True
        scope_map = await self._session.tokens.scope_map(registry, self._session.target.scope_map_name)
        return scope_map is not None and intent["run_id"] in scope_map.description

    async def removal(self) -> Removal:
        session, target = self._session, self._session.target
        what = f"token {target.token_name}"
        registry = await session.registry()
        with as_sentence(f"show the token {target.token_name}"):
            token = await session.expected_token()
            if token is None and await session.recently_made():
                why = "Azure does not show it, and its password was generated minutes ago"
                return Removal(Fate.UNSEEN, what, why, self._delete_command())
            if token is None:
                listed = await session.tokens.all(registry)
                session.token_hidden = target.token_name in [one.name for one in listed]
                if session.token_hidden:
                    return Removal(Fate.UNSEEN, what, "it is listed, and Azure does not show it", self._delete_command())  # fmt: skip
                return Removal(Fate.GONE, what, "there is no such token")
            used = token.scope_map
            scope_map = await surely(lambda: session.tokens.scope_map(registry, used)) if used else None
        if scope_map is None and used:
            return Removal(Fate.UNSEEN, what, "Azure does not show its scope map", self._delete_command())
        if scope_map is None or MARK not in scope_map.description or scope_map.name != token.name:
            return Removal(Fate.KEEP, what, "it was not created by pullkey", self._delete_command())
        return Removal(Fate.REMOVE, what, command=self._delete_command())

    async def remove(self) -> str:
        session, name = self._session, self._session.target.token_name
        try:
            await session.delete_token(name)
            session.token_deleted = True
        except AzureApiError as error:
            raise StillThere(f"the token {name} ({error.said})", self._delete_command()) from None
        return f"deleted the token {name}"

    def _delete_command(self) -> str:
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
        self._sent = False
        self._lost = False

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
        link, reason = await held_link(session, session.context)
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
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
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
        ends = dt.datetime.now(dt.UTC) + session.lifetime
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
        self._sent = True
        try:
            return await session.tokens.generate(registry, session.target.token_name, self._slot, ends)
        except AzureApiError as error:
            self._lost = self._lost or error.unanswered
            raise

    async def _key_id(self, made: Generated) -> str:
        """The slot with its time, as Azure will show it from now on; a read may lag what was just told."""
        session, deadline = self._session, Deadline(_SETTLE_SECONDS)
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
        if not (self._sent or intent.get("lost")):
            return ""  # nothing was asked for, so what is there is somebody else's
        try:
            if key_id is None and (self._lost or intent.get("lost")):
                await asyncio.sleep(_SETTLE_SECONDS)  # a call without an answer may show late
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
