"""What the steps of a target with `--auth-kind token` share: its token and scope map."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from bootstrap.model.deadline import Deadline
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.server import same_registry
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import ApiError, as_sentence
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.retry import Delay, read_twice
from providers.acr import messages_token as messages
from providers.acr.errors import AzureApiError
from providers.acr.registry_session import RegistrySession
from providers.acr.slot_password import is_new
from providers.acr.target import AcrTarget
from providers.acr.tokens import ScopeMap, Token, Tokens, action_of
from providers.acr.waits import EXPECTED_SECONDS, busy

T = TypeVar("T")
_ACTIONS = "Microsoft.ContainerRegistry/registries"
TOKENS_READ = f"{_ACTIONS}/tokens/read"
TOKENS_WRITE = f"{_ACTIONS}/tokens/write"
SCOPE_MAP_RIGHTS = (f"{_ACTIONS}/scopeMaps/read", f"{_ACTIONS}/scopeMaps/write")
TOKENS_DELETE = f"{_ACTIONS}/tokens/delete"
SCOPE_MAPS_DELETE = f"{_ACTIONS}/scopeMaps/delete"
GENERATE = f"{_ACTIONS}/generateCredentials/action"
MARK = "Made by pullkey"
"""In the description of pullkey's scope maps. A token has none, so its scope map identifies it too."""


class TokenFacts(RegistrySession):
    """The token and its scope map, read once or again."""

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self.tokens = Tokens(self.cloud)
        self.token = AsyncOnce(self.token_shown)
        self.scope_map = AsyncOnce(self.scope_map_now)
        self.expected_token = AsyncOnce(self._expected_token)
        self.actions = tuple(map(action_of, target.repositories))

    async def token_shown(self) -> Token | None:
        registry = await self.existing_registry()
        return await self.tokens.token(registry, self.target.token_name) if registry is not None else None

    async def scope_map_now(self) -> ScopeMap | None:
        registry, name = await self.existing_registry(), self.target.scope_map_name
        return await self.tokens.scope_map(registry, name) if registry is not None else None

    async def token_now(self) -> Token | None:
        """Read the token again.

        Raises:
            StepFailed: it may not be read.
        """
        with as_sentence(f"show the token {self.target.token_name}"):
            return await self.token_shown()

    async def recently_made(self) -> bool:
        """Whether the password in Akka's record is so new that reads may not show its token yet."""
        held = await self.context.held_credential()
        if held is None or held.link is None or not is_new(held.link.key_id):
            return False
        return await self.existing_registry() is not None

    async def _expected_token(self) -> Token | None:
        """Return the token that Akka's record names; wait for it if it may be too new to be shown.

        Raises:
            AzureApiError: it may not be read.
        """
        token = await read_twice(self.token_shown)
        if token is not None or not await self.recently_made():
            return token
        deadline = Deadline(min(EXPECTED_SECONDS, self.context.deadline.left / 2))
        self.context.tell(messages.waiting_for_token(self.target.token_name, deadline.left))
        while not deadline.passed:
            await asyncio.sleep(min(2.0, deadline.left))
            if (token := await self.token_shown()) is not None:
                return token
        return None

    async def links_to(self, token: Token, *, anew: bool = False) -> list[KeyRef]:
        """The passwords of a token that Akka's records name, in all projects that can be read."""
        server = await self.server()
        in_use = await self.context.keys_in_use(anew=anew)
        return [one for one in in_use.links if one.name == token.name and same_registry(one.domain, server)]


class RegistryResource(Resource[T]):
    """An object of the registry: a scope map or a token."""

    def __init__(self, session: TokenFacts) -> None:
        super().__init__(session)
        self._session = session

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)


def may_be_done(error: ApiError) -> bool:
    """Whether a creation may have been carried out: 404 too, since the SDK reads what it has just created."""
    return error.missing or (isinstance(error, AzureApiError) and error.may_be_done)
