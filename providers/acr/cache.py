"""Cache the answers that the sessions of one command share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from bootstrap.model.deadline import Deadline
from bootstrap.plugin.cache import AsyncOnceByKey
from providers.acr.errors import is_transient

T = TypeVar("T")


class Facts(AsyncOnceByKey):
    """Cached answers by key; after a change, `invalidate` discards them."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(is_transient, deadline=deadline)

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the cached answer or refusal; call `ask` the first time."""
        return await self.of(key, ask)()
