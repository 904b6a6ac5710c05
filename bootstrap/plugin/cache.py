"""Memoised async calls."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bootstrap.plugin import messages

if TYPE_CHECKING:
    from bootstrap.model.deadline import Deadline

T = TypeVar("T")


class AsyncOnce(Generic[T]):
    """Memoise an async call; concurrent callers share one request.

    `invalidate()` drops the answer, after a change.

    Args:
        ask: sends the request.
        passing: whether an error is transient, so that the next caller sends the request again.
        deadline: of the run, for an answer that several targets share. The request then has time of its own
            (`Deadline.begin`), and each caller waits for it as long as its own time lasts.
    """

    def __init__(
        self,
        ask: Callable[[], Coroutine[Any, Any, T]],
        passing: Callable[[BaseException], bool] = lambda _: False,
        *,
        deadline: Deadline | None = None,
    ) -> None:
        self._ask = ask
        self._passing = passing
        self._deadline = deadline
        self._task: asyncio.Task[T] | None = None

    def start(self) -> asyncio.Task[T]:
        """Start the call in advance. A failure is raised to those who await the answer."""
        if self._task is None or self._failed_in_passing(self._task):
            self._task = asyncio.create_task(self._ask_in_time())
            self._task.add_done_callback(_heard)
        return self._task

    def __call__(self) -> Awaitable[T]:
        # Cancelling one caller must not cancel the request of the others.
        answer = asyncio.shield(self.start())
        return answer if self._deadline is None or answer.done() else _within(self._deadline, answer)

    async def _ask_in_time(self) -> T:
        if self._deadline is not None:
            self._deadline.begin()
        return await self._ask()

    def _failed_in_passing(self, task: asyncio.Task[T]) -> bool:
        if not task.done() or task.cancelled():
            return False
        error = task.exception()
        return error is not None and self._passing(error)

    def invalidate(self) -> None:
        self._task = None


class AsyncOnceByKey:
    """Memoised async calls by key; the arguments are those of `AsyncOnce`."""

    def __init__(
        self, passing: Callable[[BaseException], bool] = lambda _: False, *, deadline: Deadline | None = None
    ) -> None:
        self._passing = passing
        self._deadline = deadline
        self._by_key: dict[Hashable, AsyncOnce[Any]] = {}

    def of(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> AsyncOnce[T]:
        """The call of a key. `ask` is that of the first caller: whatever it depends on belongs to the key."""
        once = self._by_key.get(key)
        if once is None:
            once = self._by_key[key] = AsyncOnce(ask, self._passing, deadline=self._deadline)
        return once

    def invalidate(self, *keys: Hashable) -> None:
        """Forget the calls of these keys, or all."""
        for key in keys or tuple(self._by_key):
            self._by_key.pop(key, None)


async def _within(deadline: Deadline, answer: asyncio.Future[T]) -> T:
    """The answer, if it comes within the caller's own time.

    Raises:
        StepFailed: it does not; the request continues for the others.
    """
    try:
        async with asyncio.timeout(deadline.clip(math.inf)) as limit:
            return await answer
    except TimeoutError:
        if not limit.expired():
            raise
        raise messages.no_answer_in_time() from None


def _heard(task: asyncio.Task[Any]) -> None:
    """Mark the exception as retrieved: asyncio would log a failure that nobody awaits."""
    if not task.cancelled():
        task.exception()
