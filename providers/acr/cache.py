"""What many sessions of one command ask, asked once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from bootstrap.plugin.cache import AsyncOnce
from providers.acr.errors import AzureApiError

T = TypeVar("T")


def _passing(error: BaseException) -> bool:
    """Whether an error says nothing of the fact: of many targets, only those that wait for it now are to
    have it.
    """
    return isinstance(error, AzureApiError) and error.busy


class Facts:
    """Answers by what was asked; whoever changes something forgets them."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, AsyncOnce[Any]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer, a refusal included, asked for now if it is the first time."""
        answer: T = await self._asked.setdefault(key, AsyncOnce(ask, _passing))()
        return answer

    def invalidate(self) -> None:
        self._asked.clear()
