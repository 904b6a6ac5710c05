"""Cache the answers that the sessions of one command share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from bootstrap.model.deadline import Deadline
from bootstrap.plugin.cache import AsyncOnce
from providers.acr.errors import AzureApiError

T = TypeVar("T")


def _is_transient(error: BaseException) -> bool:
    """Whether an error says nothing about the fact, so that it is not cached: only the callers that wait for
    it now receive it.
    """
    return isinstance(error, AzureApiError) and error.busy


class Facts:
    """Cached answers by key; after a change, `invalidate` discards them."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._answers: dict[Hashable, AsyncOnce[Any]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the cached answer or refusal; call `ask` the first time."""
        once = AsyncOnce(ask, _is_transient, deadline=self._deadline)
        answer: T = await self._answers.setdefault(key, once)()
        return answer

    def invalidate(self) -> None:
        self._answers.clear()
