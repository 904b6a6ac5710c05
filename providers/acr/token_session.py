"""One Azure target where a token of the registry pulls. Nobody but Resource Manager is asked: no right in the directory."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shlex
from collections.abc import Collection, Mapping, Sequence

from bootstrap.codes import Code
from bootstrap.errors import NotShown, Problem, ProblemKind, PullkeyError, StepFailed
from bootstrap.link import KeyLink
from bootstrap.observe import Present, confirm_absent
from bootstrap.once import Once
from bootstrap.plugin import clock
from bootstrap.provider import KeyFacts, RunContext
from bootstrap.registry import Attempt, Probe, Verdict
from bootstrap.server import same_registry
from bootstrap.steps import Findings, Notice, State
from bootstrap.waiting import Deadline, surely, wait_out
from providers.acr.calls import AzureApiError, as_sentence
from providers.acr.registry_session import RegistrySession
from providers.acr.target import SLOTS, AcrTarget
from providers.acr.token_steps import (
    MARK,
    TOKENS_READ,
    TOKENS_WRITE,
    ScopeMapGrant,
    TokenIdentity,
    TokenKey,
    in_use,
    wanted_actions,
)
from providers.acr.tokens import ScopeMap, SlotPassword, Token, Tokens
from providers.acr.waits import EXPECTED_SECONDS, NEW_PASSWORD, PASSWORD_REMOVAL_SECONDS, not_shown_yet


class TokenSession(RegistrySession):
    """See `bootstrap.provider.Session`."""

    retire_permissions = (TOKENS_READ, TOKENS_WRITE)
    holds_two_keys = True

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self.tokens = Tokens(self.cloud)
        self.token = Once(self._token)
        self.scope_map = Once(self._scope_map)
        self.expected_token = Once(self._expected_token)
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

    async def recently_made(self) -> bool:
        """Whether the password that Akka's record names was generated so lately that reads may not show its token yet."""
        held = await self.context.held_credential()
        return held is not None and held.link is not None and _is_new(held.link.key_id)

    async def _expected_token(self) -> Token | None:
        """The token that Akka's record names, waited for where reads do not show it and it may be new.

        Raises:
            AzureApiError: it may not be read.
        """
        token = await surely(self._token)
        if token is not None or not await self.recently_made():
            return token
        deadline = Deadline(min(EXPECTED_SECONDS, self.context.deadline.left / 2))
        self.context.tell(f"Azure does not show the token {self.target.token_name}, which Akka's record names, yet. It is new; waiting for up to {deadline.left:.0f} s.")  # fmt: skip
        while not deadline.passed:
            await asyncio.sleep(min(2.0, deadline.left))
            if (token := await self._token()) is not None:
                return token
        return None

    async def free_slot(self, token: Token) -> str | None:
        """The slot for a new password: an empty one, or one that nobody can use any more.

        The password that Akka holds is never touched, nor one that may be somebody else's. What Akka's key has
        replaced is removed before the next is made, so that counts as empty. That a slot is empty is not believed of a
        read where a record of Akka's names a password in it that is minutes old: to generate is to write over.
        """
        held = await self.context.held_credential()
        link = held.link if held else None
        ours = (
            held is not None
            and held.username == token.name
            and same_registry(held.server, await self.server())
        )
        used = link.key_id.partition("-")[0] if ours and link else ""
        replaced = link.replaces if ours and link else ""
        for slot in SLOTS:
            there = token.slot(slot)
            if (
                slot != used
                and (there is None or there.expired or there.key_id == replaced)
                and slot not in await self._slots_of_new_passwords(token)
            ):
                return slot
        return None

    async def _slots_of_new_passwords(self, token: Token) -> set[str]:
        """Where the passwords are that records of Akka's name, and that are so new that a read may not show them yet."""
        return {link.key_id.partition("-")[0] for link in await self._links_to(token) if _is_new(link.key_id)}

    async def _links_to(self, token: Token) -> list[KeyLink]:
        """The passwords of a token that Akka's records name, in all projects that can be read."""
        server = await self.server()
        in_use = await self.context.keys_in_use()
        return [one for one in in_use.links if one.name == token.name and same_registry(one.domain, server)]

    async def clear(self, token: Token, slot: str, deadline: Deadline) -> None:
        """Remove the password in a slot; a token that was just read says which other one stays.

        What this run has made stays too, and what is new and named by a record of Akka's: a read that lags does not show
        it, and whatever is not named is removed.
        """
        registry = await self.registry()
        made = {self.credential.link.key_id.partition("-")[0]} if self.credential else set()
        with contextlib.suppress(PullkeyError):
            made |= await self._slots_of_new_passwords(token)
        staying = ({one.slot for one in token.passwords} | made) - {slot}
        await wait_out(
            lambda: self.tokens.keep_passwords(registry, token, staying),
            why=not_shown_yet,  # the token was just read
            deadline=deadline,
            tell=self.context.tell,
        )

    # -- as `bootstrap.provider.Session` -------------------------------------------------------------------------

    async def username(self) -> str | None:
        return self.target.token_name

    def holds(self, link: KeyLink) -> bool:
        """Another token may have a password of the same slot and second, which so bears the same id.

        The link's domain is a server of the registry: `NAME.azurecr.io`, `NAME-LABEL.azurecr.io`, `NAME.REGION.geo.azurecr.io`;
        or what Akka has left of it.
        """
        label, dot, _ = link.domain.lower().partition(".")
        name, of = self.target.name.lower(), label.partition("-")[0]
        return link.name == self.target.token_name and (of == name if dot else name.startswith(of))

    async def preflight(self) -> Findings:
        findings = Findings()
        for found in await asyncio.gather(self.about_registry(), self._about_token()):
            findings.add(found)
        return findings

    async def _about_token(self) -> Findings:
        target = self.target
        try:
            registry, token, scope_map = await asyncio.gather(self.registry(), self.token(), self.scope_map())
        except (AzureApiError, PullkeyError):
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
            findings.problems.append(Problem(ProblemKind.QUESTION, f"There is {which} {target.token_name} in {registry.name} that pullkey did not create", "Pass another --app-name, so that pullkey creates its own", step="identity", code=Code.IDENTITY_NAME_TAKEN))  # fmt: skip
            return findings
        if scope_map is not None and (more := sorted(set(scope_map.actions) - set(self.actions))):
            findings.notices.append(Notice(f"The scope map {scope_map.name} allows more than to pull these repositories: {', '.join(more)}."))  # fmt: skip
        if target.token and not target.repositories:
            what = "was deleted" if token is None else "has no scope map that lets it pull"
            findings.problems.append(Problem(ProblemKind.SETUP, f"The token {target.token} {what}, so what it was for is not known any more", "Onboard again: pullkey onboard acr --auth-kind token --repository NAME,NAME", step="grant", code=Code.SCOPE_UNKNOWN))  # fmt: skip
            return findings
        if token is None:
            return findings
        if not token.enabled:
            findings.problems.append(Problem(ProblemKind.SETUP, f"The token {token.name} is disabled", f"Find out why; then: az acr token update --name {token.name} {self.registry_options()} --status enabled", step="identity", code=Code.IDENTITY_DISABLED))  # fmt: skip
        if (await self._key.look()).state is State.MISSING and await self.free_slot(token) is None:
            findings.problems.append(await self._both_taken(token))
        return findings

    async def _both_taken(self, token: Token) -> Problem:
        """Neither slot is free. What a record of Akka's names is never offered for removal."""
        held = {link.key_id for link in await self._links_to(token)}
        slots = {key_id.partition("-")[0] for key_id in held if _is_new(key_id)}
        unused = [one.slot for one in token.passwords if one.key_id not in held and one.slot not in slots]
        another = "pass another --app-name, for a token of its own"
        if not unused:
            return Problem(ProblemKind.QUESTION, f"Akka uses both passwords of the token {token.name}", another.capitalize(), step="key", code=Code.TOKEN_PASSWORDS_IN_USE)  # fmt: skip
        removals = " or ".join(f"`{self._clear_command(slot)}`" for slot in unused)
        return Problem(ProblemKind.QUESTION, f"Both passwords of the token {token.name} are there ({in_use(token)}), and one may be in use elsewhere", f"If it is unused: {removals}. Else {another}", step="key", code=Code.TOKEN_PASSWORDS_IN_USE)  # fmt: skip

    async def probe(self) -> Probe:
        # Another repository than those of its scope map is refused to a token, whether it is there or not.
        return Probe(await self.host(), self.target.repository, self.target.reference)

    async def diagnose(self, attempt: Attempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        name, key_id = self.target.token_name, self.credential.link.key_id
        try:
            token, scope_map = await asyncio.gather(self._token(), self._scope_map())
        except (AzureApiError, PullkeyError):
            return ""
        if token is None:
            return f"Azure no longer shows the token {name}: it was deleted outside of pullkey."
        if not token.enabled:
            return f"Azure shows the token {name} as disabled."
        if token.password(key_id) is None:
            return f"Azure no longer shows {key_id} of {name}: it was removed outside of pullkey."
        if scope_map is None or not set(self.actions) <= set(scope_map.actions):
            return f"Azure no longer shows these repositories in the scope map {self.target.scope_map_name}."
        return "Azure shows token, password and scope map in place, so they are still spreading."

    # -- the token's passwords, by id ----------------------------------------------------------------------------

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        token = await self.token_now()
        if token is None and await self.recently_made():
            seen = await confirm_absent(self.token_now, contradicted_by="it was created minutes ago")
            token = seen.value if isinstance(seen, Present) else None
            if token is None:
                raise NotShown(f"Azure does not show the token {self.target.token_name}, of which Akka's record names a password that was generated minutes ago")  # fmt: skip
        found = token.password(key_id) if token else None
        return KeyFacts(key_id, found.created, found.ends) if found else None

    async def delete_key(self, key_id: str) -> bool:
        token: Token | None = None

        async def shown() -> SlotPassword | None:
            nonlocal token
            token = await self.token_now()
            return token.password(key_id) if token else None

        found = await surely(shown)
        if token is None and (self.credential is not None or await self.recently_made()):
            raise StepFailed(f"Azure does not show the token {self.target.token_name}, of which a password has just been generated", fix=self.delete_key_command(key_id), code=Code.CLOUD_LAG)  # fmt: skip
        if token is None or found is None:
            return False
        with as_sentence(f"remove {key_id} of the token {token.name}"):
            await self.clear(
                token, found.slot, Deadline(self.context.deadline.within(PASSWORD_REMOVAL_SECONDS))
            )
        return True

    def delete_key_command(self, key_id: str) -> str:
        return self._clear_command(key_id.partition("-")[0])

    def _clear_command(self, slot: str) -> str:
        name = shlex.quote(self.target.token_name)
        return f"az acr token credential delete --name {name} {self.registry_options()} --{slot}"

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        with as_sentence(f"show the token {self.target.token_name}"):
            token = await self.expected_token()
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
        ends = clock.now() + self.lifetime
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
    def named_repositories(self) -> Sequence[str]:
        return self.target.repositories

    def script_lookups(self) -> Mapping[str, str]:
        return self.script_registry()

    @property
    def script_credential(self) -> Mapping[str, str]:
        return {
            "server": '"$SERVER"',
            "username": '"$TOKEN"',
            "email": '"$TOKEN+$KEY_ID@$SERVER"',
            "password": '"$SECRET"',
        }


def _moment_in(key_id: str) -> dt.datetime | None:
    """When a password was generated, by its id (`SlotPassword.key_id`)."""
    seconds = key_id.rpartition("-")[2]
    try:
        return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _is_new(key_id: str) -> bool:
    """Whether a password was generated so lately that not every read shows it."""
    made = _moment_in(key_id)
    return made is not None and clock.now() - made < NEW_PASSWORD


def _described(one: SlotPassword) -> str:
    return f"{one.slot} of {one.created:%Y-%m-%d}" if one.created else one.slot
