"""The session of a target with `--auth-kind token`. It calls Resource Manager only, so it needs no permission
in the directory.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence

from bootstrap.model import clock
from bootstrap.model.errors import Problem, PullkeyError
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import PreflightFindings, State
from providers.acr import messages_token as messages
from providers.acr.errors import AzureApiError
from providers.acr.scope_map import ScopeMapGrant
from providers.acr.target import AcrTarget
from providers.acr.token import TokenIdentity
from providers.acr.token_facts import MARK, TOKENS_READ, TOKENS_WRITE, TokenFacts
from providers.acr.token_password import TokenKey
from providers.acr.tokens import Token


class TokenSession(TokenFacts):
    """See `bootstrap.plugin.session.Session`."""

    retire_permissions = (TOKENS_READ, TOKENS_WRITE)

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        identity = TokenIdentity(self)
        self._password = TokenKey(self, identity)
        self.key = self._password
        # A token is created with its scope map, so that comes first.
        self.steps = [ScopeMapGrant(self, identity), identity, self._password]

    # -- as `bootstrap.plugin.session.Session` ---------------------------------------------------------------

    async def username(self) -> str | None:
        return self.target.token_name

    async def preflight(self) -> PreflightFindings:
        findings = PreflightFindings()
        for found in await asyncio.gather(self.about_registry(), self._about_token()):
            findings.add(found)
        return findings

    async def _about_token(self) -> PreflightFindings:
        target = self.target
        try:
            registry, token, scope_map = await asyncio.gather(self.registry(), self.token(), self.scope_map())
        except (AzureApiError, PullkeyError):
            return PreflightFindings()  # the registry or a permission is missing: other checks report both
        findings = PreflightFindings()
        if registry.abac:
            # None of "Azure ABAC repository permissions", "Non-Microsoft Entra token-based repository
            # permissions" and the tiers' page says whether tokens count in that mode, only that it is about
            # Entra's identities.
            findings.notices.append(messages.registry_in_abac_mode(registry.name))
        theirs = scope_map is not None and MARK not in scope_map.description
        if not target.token and (
            theirs or (token is not None and token.scope_map.lower() != target.scope_map_name.lower())
        ):
            which = "a scope map" if theirs else "a token"
            findings.problems.append(messages.token_name_taken(which, target.token_name, registry.name))
            return findings
        if scope_map is not None and (more := sorted(set(scope_map.actions) - set(self.actions))):
            findings.notices.append(messages.scope_map_allows_more(scope_map.name, more))
        if target.token and not target.repositories:
            findings.problems.append(messages.token_scope_unknown(target.token, deleted=token is None))
            return findings
        if token is None:
            return findings
        if not token.enabled:
            findings.problems.append(messages.token_disabled(token.name, self.registry_options()))
        if (await self._password.look()).state is State.MISSING and await self._password.free_slot(
            token
        ) is None:
            findings.problems.append(await self._both_taken(token))
        return findings

    async def _both_taken(self, token: Token) -> Problem:
        """Report that neither slot is free. A password in a record of Akka's is never offered for removal."""
        held = {link.key_id for link in await self.links_to(token)}
        slots = await self._password.slots_of_new_passwords(token)
        unused = [one.slot for one in token.passwords if one.key_id not in held and one.slot not in slots]
        if not unused:
            return messages.both_passwords_of_akka(token.name)
        return messages.both_passwords_taken(
            token.name, in_use(token), [self._password.clear_command(slot) for slot in unused]
        )

    async def probe(self) -> Probe:
        # The registry refuses a token every repository outside of its scope map, whether it exists or not.
        return Probe(await self.host(), self.target.repository, self.target.reference)

    async def diagnose(self, attempt: PullAttempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        name, key_id = self.target.token_name, self.credential.link.key_id
        try:
            token, scope_map = await asyncio.gather(self.token_shown(), self.scope_map_now())
        except (AzureApiError, PullkeyError):
            return ""
        if token is None:
            return messages.shown_deleted(name)
        if not token.enabled:
            return messages.shown_disabled(name)
        if token.password(key_id) is None:
            return messages.shown_without_password(key_id, name)
        if scope_map is None or not set(self.actions) <= set(scope_map.actions):
            return messages.shown_without_repositories(self.target.scope_map_name)
        return messages.SHOWN_IN_PLACE

    # -- scripts ---------------------------------------------------------------------------------------------

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
        return "\n".join(
            [
                'IN_REGISTRY=(--registry "$REGISTRY" ${SUBSCRIPTION:+--subscription "$SUBSCRIPTION"})',
                'SERVER="$(az acr show --query loginServer --output tsv \\',
                '  --name "$REGISTRY" ${SUBSCRIPTION:+--subscription "$SUBSCRIPTION"})"',
                "ms_of() {  # GNU's date, else that of macOS and BSD",
                "  local second fraction",
                '  second="$(date -u -d "$1" +%s 2>/dev/null ||',
                '    date -u -j -f %Y-%m-%dT%H:%M:%S "${1%%[.+Z]*}" +%s)"',
                '  fraction="$(sed -n \'s/.*\\.\\([0-9]*\\).*/\\1/p\' <<<"$1")000"',
                '  echo "$second${fraction:0:3}"',
                "}",
            ]
        )

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


def in_use(token: Token) -> str:
    """Describe both passwords with their dates, so that the user can recognise them."""
    return " and ".join(
        f"{one.slot} of {one.created:%Y-%m-%d}" if one.created else one.slot for one in token.passwords
    )
