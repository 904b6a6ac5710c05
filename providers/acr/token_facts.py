"""What the steps of an Azure target share where a token of the registry pulls: what Azure has shown of it."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TypeVar

from bootstrap.model import clock
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import StepFailed
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.server import same_registry
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.retry import Delay, read_twice
from providers.acr import messages_token as messages
from providers.acr.errors import as_sentence, refused
from providers.acr.registry_session import RegistrySession
from providers.acr.target import AcrTarget
from providers.acr.tokens import ScopeMap, Token, Tokens, action_of
from providers.acr.waits import EXPECTED_SECONDS, NEW_PASSWORD, busy

T = TypeVar("T")
_RIGHTS = "Microsoft.ContainerRegistry/registries"
TOKENS_READ = f"{_RIGHTS}/tokens/read"
TOKENS_WRITE = f"{_RIGHTS}/tokens/write"
SCOPE_MAP_RIGHTS = (f"{_RIGHTS}/scopeMaps/read", f"{_RIGHTS}/scopeMaps/write")
GENERATE = f"{_RIGHTS}/generateCredentials/action"
MARK = "Made by pullkey"
"""What tells our scope maps from others; a token has no description, so its scope map stands for it."""


class TokenFacts(RegistrySession):
    """The token and its scope map: asked once, or anew, and what this run has made of them."""

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self.tokens = Tokens(self.cloud)
        self.token = AsyncOnce(self.token_shown)
        self.scope_map = AsyncOnce(self.scope_map_now)
        self.expected_token = AsyncOnce(self._expected_token)
        self.actions = tuple(map(action_of, target.repositories))
        self.token_made = False
        self.token_deleted = False
        self.token_hidden = False
        """Whether the registry lists the token, and yet does not show it."""

    async def token_shown(self) -> Token | None:
        return await self.tokens.token(await self.registry(), self.target.token_name)

    async def scope_map_now(self) -> ScopeMap | None:
        return await self.tokens.scope_map(await self.registry(), self.target.scope_map_name)

    async def token_now(self) -> Token | None:
        """The token, asked anew.

        Raises:
            StepFailed: it may not be read.
        """
        with as_sentence(f"show the token {self.target.token_name}"):
            return await self.token_shown()

    async def recently_made(self) -> bool:
        """Whether the password that Akka's record names was generated so lately that reads may not show
        its token yet.
        """
        held = await self.context.held_credential()
        return held is not None and held.link is not None and is_new(held.link.key_id)

    async def _expected_token(self) -> Token | None:
        """The token that Akka's record names, waited for where reads do not show it and it may be new.

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

    async def links_to(self, token: Token) -> list[KeyRef]:
        """The passwords of a token that Akka's records name, in all projects that can be read."""
        server = await self.server()
        in_use = await self.context.keys_in_use()
        return [one for one in in_use.links if one.name == token.name and same_registry(one.domain, server)]


class RegistryResource(Resource[T]):
    """An object of the registry: a scope map or a token."""

    def __init__(self, session: TokenFacts) -> None:
        super().__init__(session)
        self._session = session

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return refused(error, doing)

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)


def may_be_done(error: ApiError) -> bool:
    """As `ApiError.unanswered`; the SDK reads what it has created, so that this is not shown yet is no
    refusal either.
    """
    return error.unanswered or error.missing


def _moment_in(key_id: str) -> dt.datetime | None:
    """When a password was generated, by its id (`SlotPassword.key_id`)."""
    seconds = key_id.rpartition("-")[2]
    try:
        return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def is_new(key_id: str) -> bool:
    """Whether a password was generated so lately that not every read shows it."""
    made = _moment_in(key_id)
    return made is not None and clock.now() - made < NEW_PASSWORD
