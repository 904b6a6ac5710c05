"""A memoised async call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class AsyncOnce(Generic[T]):
    """Memoise an async call; concurrent callers share one request.

    `invalidate()` drops the answer, after a change.

    Args:
        ask: sends the request.
        passing: whether an error is transient, so that the next caller sends the request again.
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
        """Start the call in advance. A failure is raised to those who await the answer."""
        if self._task is None or self._failed_in_passing(self._task):
            self._task = asyncio.create_task(self._ask())
            self._task.add_done_callback(_heard)
        return self._task

    def __call__(self) -> Awaitable[T]:
        # Cancelling one caller must not cancel the request of the others.
        return asyncio.shield(self.start())

    def _failed_in_passing(self, task: asyncio.Task[T]) -> bool:
        if not task.done() or task.cancelled():
            return False
        error = task.exception()
        return error is not None and self._passing(error)

    def invalidate(self) -> None:
        self._task = None


def _heard(task: asyncio.Task[Any]) -> None:
    """Mark the exception as retrieved: asyncio would log a failure that nobody awaits."""
    if not task.cancelled():
        task.exception()
