"""The calls of Resource Manager for a registry's tokens and scope maps.

Sources: "Non-Microsoft Entra token-based repository permissions"; `az acr token`, for how a password is
removed. Every tier has tokens ("Azure Container Registry SKU features and limits": 100 in Basic, 500 in
Standard).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from bootstrap.model.secret import Secret
from providers.acr.arm_objects import Registry
from providers.acr.cloud import Azure, call_refused
from providers.acr.errors import AzureApiError
from providers.acr.slot_password import Generated, SlotPassword, key_id_of

if TYPE_CHECKING:
    from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient

T = TypeVar("T")
_READ = "/content/read"
_REPOSITORIES = "repositories/"
# Between polls, if an answer has no Retry-After; the creation of a token takes about five seconds.
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class ScopeMap:
    """What tokens may do; `actions` are of the form `repositories/NAME/content/read`."""

    id: str
    name: str
    description: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class Token:
    """A token; `scope_map` is the name of what it may do, "" where it has none."""

    id: str
    name: str
    scope_map: str
    enabled: bool
    passwords: tuple[SlotPassword, ...]
    certificates: tuple[str, ...] = ()

    def password(self, key_id: str) -> SlotPassword | None:
        """The password of that id; None if its slot is empty or was generated again."""
        return next((one for one in self.passwords if one.key_id == key_id), None)

    def slot(self, name: str) -> SlotPassword | None:
        return next((one for one in self.passwords if one.slot == name), None)


def action_of(repository: str) -> str:
    return f"{_REPOSITORIES}{repository}{_READ}"


def repositories_of(scope_map: ScopeMap) -> tuple[str, ...]:
    """The repositories that a scope map lets a token pull."""
    return tuple(
        sorted(
            action.removeprefix(_REPOSITORIES).removesuffix(_READ)
            for action in scope_map.actions
            if action.startswith(_REPOSITORIES) and action.endswith(_READ)
        )
    )


class Tokens:
    """The calls. Each change waits until Azure reports its operation as completed."""

    def __init__(self, azure: Azure) -> None:
        self._azure = azure
        # Passwords whose removal Azure has confirmed: a read that still shows one is of a replica that lags.
        self._removed: set[tuple[str, str, dt.datetime | None]] = set()

    def _client(self, registry: Registry) -> ContainerRegistryManagementClient:
        return self._azure.registries_client(registry.subscription)

    async def scope_map(self, registry: Registry, name: str) -> ScopeMap | None:
        async def got() -> ScopeMap:
            return _scope_map(await self._client(registry).scope_maps.get(*_path(registry, name)))

        return await self._or_none("GetScopeMap", registry, name, got)

    async def scope_maps(self, registry: Registry) -> list[ScopeMap]:
        async def listed() -> list[ScopeMap]:
            found = self._client(registry).scope_maps.list(registry.resource_group, registry.name)
            return [_scope_map(one) async for one in found]

        return await self._azure.call("ListScopeMaps", registry.id, listed)

    async def put_scope_map(
        self, registry: Registry, name: str, actions: Sequence[str], description: str
    ) -> ScopeMap:
        """Create the scope map, or update the one of that name to these actions and this description.

        Idempotent.
        """
        from azure.mgmt.containerregistry import models

        body = models.ScopeMap(
            properties=models.ScopeMapProperties(actions=list(actions), description=description)
        )

        async def put() -> ScopeMap:
            return _scope_map(await _created(self._client(registry).scope_maps, registry, name, body))

        return await self._azure.call("PutScopeMap", f"{registry.id} {name}", put)

    async def delete_scope_map(self, registry: Registry, name: str) -> None:
        async def delete() -> None:
            await _delete(self._client(registry).scope_maps, registry, name)

        await self._azure.call("DeleteScopeMap", f"{registry.id} {name}", delete)

    async def token(self, registry: Registry, name: str) -> Token | None:
        async def got() -> Token:
            found = await self._client(registry).tokens.get(*_path(registry, name))
            return self._without_removed(_token(found))

        return await self._or_none("GetToken", registry, name, got)

    async def all(self, registry: Registry) -> list[Token]:
        async def listed() -> list[Token]:
            found = self._client(registry).tokens.list(registry.resource_group, registry.name)
            return [self._without_removed(_token(one)) async for one in found]

        return await self._azure.call("ListTokens", registry.id, listed)

    async def put_token(self, registry: Registry, name: str, scope_map: str) -> Token:
        """Create the token, without a password. Idempotent."""
        from azure.mgmt.containerregistry import models

        body = models.Token(
            properties=models.TokenProperties(
                scope_map_id=f"{registry.id}/scopeMaps/{scope_map}", status="enabled"
            )
        )

        async def put() -> Token:
            return _token(await _created(self._client(registry).tokens, registry, name, body))

        return await self._azure.call("PutToken", f"{registry.id} {name}", put)

    async def delete_token(self, registry: Registry, name: str) -> None:
        async def delete() -> None:
            await _delete(self._client(registry).tokens, registry, name)

        await self._azure.call("DeleteToken", f"{registry.id} {name}", delete)

    async def generate(self, registry: Registry, token: str, slot: str, ends: dt.datetime) -> Generated:
        """Generate a new password in a slot; this deletes the one that was in it."""
        from azure.mgmt.containerregistry import models

        body = models.GenerateCredentialsParameters(
            token_id=f"{registry.id}/tokens/{token}", name=slot, expiry=ends
        )

        async def post() -> Generated:
            poller = await self._client(registry).registries.begin_generate_credentials(
                registry.resource_group, registry.name, body, polling_interval=_POLL_SECONDS
            )
            with _accepted():
                result = await poller.result()
            for one in result.passwords or ():
                if _text(one.name) == slot and one.value:
                    return Generated(one.creation_time, one.expiry, Secret(one.value))
            # It was generated nevertheless.
            raise AzureApiError(0, "", "its answer holds no password")

        return await self._azure.call("GenerateCredentials", f"{registry.id} {token} {slot}", post)

    def has_removed(self, key_id: str) -> bool:
        """Whether Azure has confirmed the removal of the password of that id."""
        return any(key_id_of(slot, created) == key_id for _, slot, created in self._removed)

    def _without_removed(self, token: Token) -> Token:
        left = tuple(
            one for one in token.passwords if (token.id.lower(), one.slot, one.created) not in self._removed
        )
        return replace(token, passwords=left)

    async def keep_passwords(self, registry: Registry, token: Token, slots: Collection[str]) -> None:
        """Remove all passwords of a token except those in these slots.

        There is no call that removes one: a token is updated with the names of those that are kept, as `az
        acr token credential delete` does it.
        """
        from azure.mgmt.containerregistry import models

        kept = [models.TokenPassword(name=slot) for slot in sorted(slots)]
        body = models.TokenUpdateParameters(
            properties=models.TokenUpdateProperties(
                credentials=models.TokenCredentialsProperties(passwords=kept)
            )
        )

        async def patch() -> None:
            tokens, path = self._client(registry).tokens, _path(registry, token.name)
            poller = await tokens.begin_update(*path, body, polling_interval=_POLL_SECONDS)
            with _accepted():
                await _settled(poller, lambda: tokens.get(*path))

        await self._azure.call("UpdateToken", f"{registry.id} {token.name}", patch)
        self._removed |= {
            (token.id.lower(), one.slot, one.created) for one in token.passwords if one.slot not in slots
        }

    async def _or_none(
        self, method: str, registry: Registry, name: str, got: Callable[[], Awaitable[T]]
    ) -> T | None:
        try:
            return await self._azure.call(method, f"{registry.id} {name}", got)
        except AzureApiError as error:
            if error.missing:
                return None
            raise


def _path(registry: Registry, name: str) -> tuple[str, str, str]:
    """The arguments by which the SDK names a token or a scope map."""
    return registry.resource_group, registry.name, name


async def _created(operations: Any, registry: Registry, name: str, body: Any) -> Any:
    """Create or update an object; return it once Azure has completed that.

    Args:
        operations: the SDK's of its kind: `tokens`, `scope_maps`.
        registry: of the object.
        name: of the object.
        body: the SDK's model of it.
    """
    path = _path(registry, name)
    poller = await operations.begin_create(*path, body, polling_interval=_POLL_SECONDS)
    with _accepted():
        return await _settled(poller, lambda: operations.get(*path))


async def _delete(operations: Any, registry: Registry, name: str) -> None:
    """Delete an object; return once Azure has completed that. For the arguments see `_created`."""
    path = _path(registry, name)
    poller = await operations.begin_delete(*path, polling_interval=_POLL_SECONDS)
    with _accepted():
        await _gone(poller, lambda: operations.get(*path))


async def _settled(poller: Any, read: Callable[[], Awaitable[Any]]) -> Any:
    """Wait for an accepted change; return the object. Poll its operation, or the object if the operation may
    not be read.

    The permissions on tokens do not include those on their operations.
    """
    if await _ended(poller):
        return await poller.result()
    while True:
        found = await read()
        state = _text(found.properties.provisioning_state).lower()
        if state in ("failed", "canceled"):
            raise AzureApiError(409, state, "Azure has ended the change without making it")
        if state in ("", "succeeded"):
            return found
        await asyncio.sleep(_POLL_SECONDS)


async def _gone(poller: Any, read: Callable[[], Awaitable[Any]]) -> None:
    """Wait for an accepted deletion. Its operation belongs to the subscription (recorded: `Location` is at
    `/subscriptions/S/providers/Microsoft.ContainerRegistry/locations/L/operationResults/`), which no
    permission on the registry covers, so that the object is polled instead.
    """
    from azure.core.exceptions import ResourceNotFoundError

    if await _ended(poller):
        return
    with contextlib.suppress(ResourceNotFoundError):
        while True:
            await read()
            await asyncio.sleep(_POLL_SECONDS)


async def _ended(poller: Any) -> bool:
    """Wait for an accepted operation; False if its status may not be read, which says nothing about its
    success.
    """
    from azure.core.exceptions import HttpResponseError

    try:
        await poller.result()
    except HttpResponseError as error:
        if error.status_code != 403:
            raise
        return False
    return True


@contextlib.contextmanager
def _accepted() -> Iterator[None]:
    """Mark each error inside as one after Azure has accepted the change: the operation failed, its status may
    not be read, or the login gives no token any more.
    """
    from azure.core.exceptions import DecodeError, HttpResponseError

    try:
        yield
    except DecodeError:
        raise  # an answer that cannot be read counts as none
    except HttpResponseError as error:
        refusal = call_refused(error)
        refusal.accepted = True
        raise refusal from None
    except AzureApiError as error:
        error.accepted = True
        raise


def _text(value: Any) -> str:
    return str(getattr(value, "value", value) or "")


def _scope_map(found: Any) -> ScopeMap:
    properties = found.properties
    return ScopeMap(
        id=str(found.id),
        name=str(found.name),
        description=properties.description or "",
        actions=tuple(properties.actions or ()),
    )


def _token(found: Any) -> Token:
    properties = found.properties
    credentials = properties.credentials
    return Token(
        id=str(found.id),
        name=str(found.name),
        scope_map=(properties.scope_map_id or "").rpartition("/")[2],
        enabled=_text(properties.status).lower() != "disabled",
        passwords=tuple(
            SlotPassword(_text(one.name), one.creation_time, one.expiry)
            for one in (credentials.passwords if credentials else None) or ()
        ),
        certificates=tuple(
            _text(one.name) for one in (credentials.certificates if credentials else None) or ()
        ),
    )
