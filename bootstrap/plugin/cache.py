"""No fact is asked for twice in one run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class AsyncOnce(Generic[T]):
    """An awaitable fact: the first to ask starts the call, all others wait for the same answer.

    `forget()` makes the next one ask anew, after something was changed.

    Args:
        ask: asks for it.
        passing: whether an error may be another one the next time; the next one then asks anew.
    """

    def __init__(
        self,
        ask: Callable[[], Coroutine[Any, Any, T]],
        passing: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        self._ask = ask
        self._passing = passing
        self._task: asyncio.Task[T] | None = None

    def start(self) -> asyncio.Task[T]:
        """Start the call, so that its answer is ready when it is needed. A failure is raised to the caller
        that asks.
        """
        if self._task is None or self._failed_in_passing(self._task):
            self._task = asyncio.create_task(self._ask())
            self._task.add_done_callback(_heard)
        return self._task

    def __call__(self) -> Awaitable[T]:
        # One impatient reader must not take the answer away from the others.
        return asyncio.shield(self.start())

    def _failed_in_passing(self, task: asyncio.Task[T]) -> bool:
        if not task.done() or task.cancelled():
            return False
        error = task.exception()
        return error is not None and self._passing(error)

    def invalidate(self) -> None:
        self._task = None


def _heard(task: asyncio.Task[Any]) -> None:
    """A failure that nobody asks about is none; asyncio would print it."""
    if not task.cancelled():
        task.exception()
