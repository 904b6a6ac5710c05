"""Run the asynchronous part of a command, and end its background tasks before the event loop closes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_CONNECTS_PIPES = "BaseSubprocessTransport._connect_pipes"


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, which also ends if a background task is just starting a process.

    `asyncio.run` cancels asyncio's own task that connects a new process's pipes together with the task that
    started the process. The latter then waits for ever for the end of the process
    (https://github.com/python/cpython/issues/125502, in Python 3.11 and 3.12).
    """
    return asyncio.run(_with_tasks_ended(main))  # noqa: TID251


async def _with_tasks_ended(main: Coroutine[Any, Any, T]) -> T:
    try:
        return await main
    finally:
        this = asyncio.current_task()
        while others := {task for task in asyncio.all_tasks() if task is not this}:
            for task in others:
                if not _connects_pipes(task):
                    task.cancel()
            await asyncio.wait(others)


def _connects_pipes(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "") == _CONNECTS_PIPES
