"""No fact is asked for twice in one run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """An awaitable fact: the first to ask starts the call, all others wait for the same answer.

    `forget()` makes the next one ask anew, after something was changed.
    """

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._ask = ask
        self._task: asyncio.Task[T] | None = None

    def __call__(self) -> Awaitable[T]:
        if self._task is None:
            self._task = asyncio.create_task(self._ask())
        # One impatient reader must not take the answer away from the others.
        return asyncio.shield(self._task)

    def forget(self) -> None:
        self._task = None
