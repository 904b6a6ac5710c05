"""The identity step of a target with `--auth-kind token`: create the registry's token."""

from __future__ import annotations

import shlex

from bootstrap.plugin.errors import refused
from bootstrap.plugin.retry import read_twice, retry_while
from bootstrap.plugin.step import Done, Intent, Removal, Script, State, StepRole, StepStatus, other_than
from providers.acr import messages_token as messages
from providers.acr.errors import AzureApiError
from providers.acr.token_facts import (
    MARK,
    TOKENS_DELETE,
    TOKENS_READ,
    TOKENS_WRITE,
    RegistryResource,
    TokenFacts,
    may_be_done,
)
from providers.acr.tokens import Token
from providers.acr.waits import not_shown_yet

_FORBIDDEN = "RequestDisallowedByPolicy"


class TokenIdentity(RegistryResource[Token]):
    """The token, without a password."""

    name = StepRole.IDENTITY
    after = (StepRole.GRANT,)
    permissions = (TOKENS_READ, TOKENS_WRITE)
    look_permissions = (TOKENS_READ,)
    undo_permissions = (TOKENS_DELETE,)
    removal_permissions = (TOKENS_READ, TOKENS_DELETE)
    absent = "there is no such token"

    def __init__(self, session: TokenFacts) -> None:
        super().__init__(session)
        self.deleted = False
        """Whether this run has deleted it; the registry's list may still have it for a while."""
        self.listed_only = False
        """Whether the registry's list has it, and a read does not show it."""

    @property
    def noun(self) -> str:
        return f"token {self._session.target.token_name}"

    @property
    def title(self) -> str:
        return f"Create the {self.noun} in the registry {self._session.target.name}"

    async def read(self) -> Token | None:
        return await self._session.token_shown()

    async def seen(self) -> Token | None:
        return await self._session.token()

    def judge(self, shown: Token) -> StepStatus:
        return (
            StepStatus(State.DONE, "exists") if shown.enabled else StepStatus(State.MISSING, "it is disabled")
        )

    def intent(self) -> Intent:
        return {"token": self._session.target.token_name, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, token=self._session.target.token_name)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        registry = await session.registry()

        async def put() -> None:
            # Check the registry's list, although the look showed none: creating a token overwrites one of
            # the same name, and a run that has created one deletes it if it fails.
            if target.token_name.lower() in [one.name.lower() for one in await session.tokens.all(registry)]:
                # Either an attempt of this run went unanswered, or another program was faster, or the look
                # was answered by a replica that lags.
                self.attempt.conclude(ours=self.attempt.may_exist)
                return
            with self.attempt.sending(may_be_done):
                await session.tokens.put_token(registry, target.token_name, target.scope_map_name)

        try:
            await retry_while(
                put, why=not_shown_yet, deadline=session.context.deadline, tell=session.context.tell
            )
        except AzureApiError as error:
            if error.code == _FORBIDDEN:
                raise messages.tokens_forbidden(error) from None
            raise refused(error, f"create the {self.noun}") from None
        created = self.attempt.created
        return Done("", {}) if created else Done("another run has just created it", unneeded=True)

    def is_known_own(self, intent: Intent) -> bool:
        return bool(intent["answered"]) if intent.get("lost") else super().is_known_own(intent)

    async def is_of_run(self, shown: Token, intent: Intent) -> bool:
        """Judge by the scope map that the run created with it: a token itself has no description."""
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
        registry = await session.existing_registry()
        listed = await session.tokens.all(registry) if registry is not None else []
        self.listed_only = session.target.token_name in [one.name for one in listed]
        return "it is listed, and Azure does not show it" if self.listed_only else ""

    async def removal_of(self, shown: Token) -> Removal:
        used, session = shown.scope_map, self._session
        registry = await session.registry()
        scope_map = await read_twice(lambda: session.tokens.scope_map(registry, used)) if used else None
        if scope_map is None and used:
            return self.unseen("Azure does not show its scope map")
        if scope_map is None or MARK not in scope_map.description or scope_map.name != shown.name:
            return self.to_keep("it was not created by pullkey")
        return self.to_remove()

    async def delete(self, intent: Intent) -> None:
        await self._session.tokens.delete_token(await self._session.registry(), intent["token"])
        self.deleted = True

    def delete_command(self) -> str:
        target = self._session.target
        return (
            f"az acr token delete --name {shlex.quote(target.token_name)} "
            f"{self._session.registry_options()} --yes"
        )

    def script(self) -> Script:
        show = 'az acr token show --name "$TOKEN" "${IN_REGISTRY[@]}" --output none'
        create = (
            'az acr token create --name "$TOKEN" "${IN_REGISTRY[@]}" --scope-map "$SCOPE_MAP" '
            "--no-passwords true --output none"
        )
        return Script(
            do=f"{show} 2>/dev/null ||\n  {create}",
            check=show,
            undo=f'if {show} 2>/dev/null; then az acr token delete --name "$TOKEN" "${{IN_REGISTRY[@]}}" '
            "--yes; fi",
            typed=f'az acr token create --name "$TOKEN" {self._session.registry_options()} --scope-map '
            '"$SCOPE_MAP" --no-passwords true --output none',
            why="Without passwords: `az acr token create` creates both at once, which leaves no slot "
            "to rotate with.",
        )
