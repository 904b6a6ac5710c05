"""The overlap of a rotation may be longer than the time limit: waiting for it is no part of the work."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from bootstrap.fleet.scheduler import Bounds, Scheduler, TurnDeadline
from bootstrap.model.deadline import Deadline
from bootstrap.plugin.context import RunContext

SECONDS = 0.2


def context_of(deadline: Deadline) -> RunContext:
    return RunContext(deadline, lambda _: None, lambda _: None)


def test_of_one_credential() -> None:
    async def rotate() -> float:
        context = context_of(Deadline(SECONDS))
        await context.pause(2 * SECONDS)
        return context.deadline.left

    assert asyncio.run(rotate()) > SECONDS / 2


def test_of_a_target_in_a_file_while_its_other_steps_are_at_work() -> None:
    target = SimpleNamespace(shared_identity_key="reader", lock_key="gcr containers")
    entry: Any = SimpleNamespace(group="acme-shop", provider=SimpleNamespace(name="gcr"), target=target)

    async def rotate() -> float:
        deadline = TurnDeadline(SECONDS)
        context = context_of(deadline)
        async with Scheduler(Bounds(), deadline).changing(entry, ["key"]) as turn:
            context.sleep = turn.pause
            # The key that was replaced is switched off in a task of its own.
            await asyncio.create_task(context.pause(2 * SECONDS))
            return deadline.left

    assert asyncio.run(rotate()) > SECONDS / 2
