"""One Azure target where a token of the registry pulls. Nobody but Resource Manager is asked: no right in the directory."""

from __future__ import annotations

import asyncio
import datetime as dt
import shlex
from collections.abc import Collection, Mapping

from bootstrap.common_steps import same_server
from bootstrap.errors import Problem, ProblemKind, PullkeyError, StepFailed
from bootstrap.handshake import Attempt, Probe, Verdict
from bootstrap.link import KeyLink
from bootstrap.once import Once
from bootstrap.provider import KeyFacts, RunContext
from bootstrap.steps import Findings, Notice, State
from bootstrap.waiting import Deadline, surely, wait_out
from providers.acr.calls import CallRefused, as_sentence
from providers.acr.registry_session import RegistrySession
from providers.acr.steps import busy, take_away
from providers.acr.target import SLOTS, AcrTarget
from providers.acr.token_steps import (
    MARK,
    TOKENS_READ,
    TOKENS_STATUS,
    TOKENS_WRITE,
    ScopeMapGrant,
    TokenIdentity,
    TokenKey,
    in_use,
    wanted_actions,
)
from providers.acr.tokens import ScopeMap, SlotPassword, Token, Tokens

_REMOVAL_SECONDS = 30.0


class TokenSession(RegistrySession):
    """See `bootstrap.provider.Session`."""

    retire_permissions = (TOKENS_READ, TOKENS_WRITE, TOKENS_STATUS)

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self.tokens = Tokens(self.cloud)
        self.token = Once(self._token)
        self.scope_map = Once(self._scope_map)
        self.actions = wanted_actions(target.repositories)
        self.token_made = False
        self.token_deleted = False
        self.token_hidden = False
        """Whether the registry lists the token, and yet does not show it."""
        self._key = TokenKey(self)
        # A token is made with its scope map, so that comes first.
        self.steps = [ScopeMapGrant(self), TokenIdentity(self), self._key]

    # -- facts ---------------------------------------------------------------------------------------------------

    async def _token(self) -> Token | None:
        return await self.tokens.token(await self.registry(), self.target.token_name)

    async def _scope_map(self) -> ScopeMap | None:
        return await self.tokens.scope_map(await self.registry(), self.target.scope_map_name)

    async def token_now(self) -> Token | None:
        """The token, asked anew.

        Raises:
            StepFailed: it may not be read.
        """
        with as_sentence(f"show the token {self.target.token_name}"):
            return await self._token()

    async def free_slot(self, token: Token) -> str | None:
        """The slot for a new password: an empty one, or one that nobody can use any more.

        The password that Akka holds is never touched, nor one that may be somebody else's. What Akka's key has
        replaced is removed before the next is made, so that counts as empty.
        """
        held = await self.context.held_credential()
        link = held.link if held else None
        ours = (
            held is not None and held.username == token.name and same_server(held.server, await self.server())
        )
        used = link.key_id.partition("-")[0] if ours and link else ""
        replaced = link.replaces if ours and link else ""
        for slot in SLOTS:
            there = token.slot(slot)
            if slot != used and (there is None or there.expired or there.key_id == replaced):
                return slot
        return None

    async def clear(self, token: Token, slot: str, deadline: Deadline) -> None:
        """Remove the password in a slot; a token that was just read says which other one stays.

        What this run has made stays too: a read that lags does not show it, and whatever is not named is removed.
        """
        registry = await self.registry()
        made = {self.credential.link.key_id.partition("-")[0]} if self.credential else set()
        staying = ({one.slot for one in token.passwords} | made) - {slot}
        await wait_out(
            lambda: self.tokens.keep_passwords(registry, token.name, staying),
            why=busy,
            deadline=deadline,
            tell=self.context.tell,
        )

    async def delete_token(self, name: str) -> None:
        """Delete a token; one that is gone already is gone.

        Raises:
            CallRefused: it is still there.
        """
        registry = await self.registry()
        await take_away(
            lambda: self.tokens.delete_token(registry, name),
            lambda: self.tokens.token(registry, name),
            deadline=self.undo_deadline(),
            tell=self.context.tell,
        )

    async def delete_scope_map(self, name: str) -> None:
        """Delete a scope map; one that is gone already is gone.

        Raises:
            CallRefused: it is still there.
        """
        registry = await self.registry()
        await take_away(
            lambda: self.tokens.delete_scope_map(registry, name),
            lambda: self.tokens.scope_map(registry, name),
            deadline=self.undo_deadline(),
            tell=self.context.tell,
        )

    # -- as `bootstrap.provider.Session` -------------------------------------------------------------------------

    async def username(self) -> str | None:
        return self.target.token_name

    def holds(self, link: KeyLink) -> bool:
        """Another token may have a password of the same slot and second, which so bears the same id."""
        return link.name == self.target.token_name

    async def preflight(self) -> Findings:
        findings = Findings()
        for found in await asyncio.gather(self.about_registry(), self._about_token()):
            findings.add(found)
        return findings

    async def _about_token(self) -> Findings:
        target = self.target
        try:
            registry, token, scope_map = await asyncio.gather(self.registry(), self.token(), self.scope_map())
        except (CallRefused, PullkeyError):
            return Findings()  # no such registry, or a missing right: both are told by their names
        findings = Findings()
        if registry.abac:
            # None of "Azure ABAC repository permissions", "Non-Microsoft Entra token-based repository permissions" and
            # the tiers' page says whether tokens count in that mode, only that it is about Entra's identities.
            findings.notices.append(Notice(f"{registry.name} is in ABAC mode; Microsoft does not say whether tokens pull there. The handshake will show it."))  # fmt: skip
        theirs = scope_map is not None and MARK not in scope_map.description
        if not target.token and (
            theirs or (token is not None and token.scope_map.lower() != target.scope_map_name.lower())
        ):
            which = "a scope map" if theirs else "a token"
            findings.problems.append(Problem(ProblemKind.QUESTION, f"There is {which} {target.token_name} in {registry.name} that pullkey has not made", "To have one of its own made, give another --app-name, with which its name begins", step="identity"))  # fmt: skip
            return findings
        if scope_map is not None and (more := sorted(set(scope_map.actions) - set(self.actions))):
            findings.notices.append(Notice(f"The scope map {scope_map.name} allows more than to pull these repositories: {', '.join(more)}."))  # fmt: skip
        if target.token and not target.repositories:
            what = "is gone" if token is None else "has no scope map that lets it pull"
            findings.problems.append(Problem(ProblemKind.SETUP, f"The token {target.token} {what}, so what it was for is not known any more", "Onboard anew: pullkey onboard acr --auth-kind token --repository NAME,NAME", step="grant"))  # fmt: skip
            return findings
        if token is None:
            return findings
        if not token.enabled:
            findings.problems.append(Problem(ProblemKind.SETUP, f"The token {token.name} is disabled", f"Find out why; then: az acr token update --name {token.name} --registry {registry.name} --status enabled", step="identity"))  # fmt: skip
        if (await self._key.look()).state is State.MISSING and await self.free_slot(token) is None:
            commands = " or ".join(self._clear_command(slot) for slot in await self._not_held(token))
            findings.problems.append(Problem(ProblemKind.QUESTION, f"Both passwords of the token {token.name} are there ({in_use(token)}), and one may be somebody else's", f"If nobody uses it: {commands}. Else give another --app-name, for a token of its own", step="key"))  # fmt: skip
        return findings

    async def _not_held(self, token: Token) -> list[str]:
        held = await self.context.held_credential()
        used = held.link.key_id if held and held.link else ""
        return [one.slot for one in token.passwords if one.key_id != used]

    async def probe(self) -> Probe:
        # Another repository than those of its scope map is refused to a token, whether it is there or not.
        return Probe(await self.host(), self.target.repository, self.target.reference)

    async def diagnose(self, attempt: Attempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        name, key_id = self.target.token_name, self.credential.link.key_id
        try:
            token, scope_map = await asyncio.gather(self._token(), self._scope_map())
        except (CallRefused, PullkeyError):
            return ""
        if token is None:
            return f"Azure no longer shows the token {name}: somebody or something deleted it."
        if not token.enabled:
            return f"Azure shows the token {name} as disabled."
        if token.password(key_id) is None:
            return f"Azure no longer shows {key_id} of {name}: somebody or something removed it."
        if scope_map is None or not set(self.actions) <= set(scope_map.actions):
            return f"Azure no longer shows these repositories in the scope map {self.target.scope_map_name}."
        return "Azure shows token, password and scope map in place, so they are still spreading."

    # -- the token's passwords, by id ----------------------------------------------------------------------------

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        token = await self.token_now()
        found = token.password(key_id) if token else None
        return KeyFacts(key_id, found.created, found.ends) if found else None

    async def delete_key(self, key_id: str) -> bool:
        token: Token | None = None

        async def shown() -> SlotPassword | None:
            nonlocal token
            token = await self.token_now()
            return token.password(key_id) if token else None

        found = await surely(shown)
        if token is None and self.credential is not None:
            raise StepFailed(f"Azure does not show the token {self.target.token_name}, of which this run has just made a password", mend=self.delete_key_command(key_id))  # fmt: skip
        if token is None or found is None:
            return False
        with as_sentence(f"remove {key_id} of the token {token.name}"):
            await self.clear(token, found.slot, Deadline(self.context.deadline.within(_REMOVAL_SECONDS)))
        return True

    def delete_key_command(self, key_id: str) -> str:
        return self._clear_command(key_id.partition("-")[0])

    def _clear_command(self, slot: str) -> str:
        name = shlex.quote(self.target.token_name)
        return f"az acr token credential delete --name {name} --registry {self.target.name} --{slot}"

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        token = await self.token_now()
        if token is None:
            return []
        # What has expired serves nobody.
        others = [one for one in token.passwords if one.key_id not in ours and not one.expired]
        return [*map(_described, others), *(f"certificate {name}" for name in token.certificates)]

    async def keys_of_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        """Both passwords of a token that pullkey has made: its scope map says so."""
        with as_sentence(f"show the token {self.target.token_name}"):
            token, scope_map = await asyncio.gather(self._token(), self._scope_map())
        if token is None or scope_map is None or MARK not in scope_map.description:
            return []
        return [KeyFacts(one.key_id, one.created, one.ends) for one in token.passwords if not one.expired]

    # -- scripts -------------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        target = self.target
        ends = dt.datetime.now(dt.UTC) + self.lifetime
        named = {
            "REGISTRY": target.name,
            "SUBSCRIPTION": target.subscription,
            "TOKEN": target.token_name,
            "SCOPE_MAP": target.scope_map_name,
            "END_DATE": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        }
        return {name: shlex.quote(value) for name, value in named.items()}

    def script_preamble(self) -> str:
        return "\n".join([
            'IN_REGISTRY=(--registry "$REGISTRY" ${SUBSCRIPTION:+--subscription "$SUBSCRIPTION"})',
            'SERVER="$(az acr show --query loginServer --output tsv \\',
            '  --name "$REGISTRY" ${SUBSCRIPTION:+--subscription "$SUBSCRIPTION"})"',
            "seconds_of() {  # GNU's date, else that of macOS and BSD",
            '  date -u -d "$1" +%s 2>/dev/null || date -u -j -f %Y-%m-%dT%H:%M:%S "${1%%[.+Z]*}" +%s',
            "}",
        ])  # fmt: skip

    @property
    def script_credential(self) -> Mapping[str, str]:
        return {
            "server": '"$SERVER"',
            "username": '"$TOKEN"',
            "email": '"$TOKEN+$KEY_ID@$SERVER"',
            "password": '"$SECRET"',
        }


def _described(one: SlotPassword) -> str:
    return f"{one.slot} of {one.created:%Y-%m-%d}" if one.created else one.slot
