"""A target of a file works in a turn of its own, with its time and within the bounds, whatever happened to
those that share its identity.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from bootstrap.fleet.scheduler import Bounds, Failure, Scheduler, TurnDeadline
from tests.harness.virtual_time import Play

TURN = 10.0
ROTATION = ("key", "handoff")


def target(registry: str, identity: str = "reader") -> Any:
    shared = SimpleNamespace(shared_identity_key=identity, lock_key=registry)
    return SimpleNamespace(group="acme-shop", provider=SimpleNamespace(name="gcr"), target=shared)


async def fail_at_the_grant(scheduler: Scheduler, seconds: float) -> None:
    """A target uses up its time at a step that the others of its identity may need."""
    async with scheduler.changing(target("containers"), ("grant", *ROTATION)) as turn:
        await asyncio.sleep(seconds)
        turn.failed = Failure("grant", "refused", waited=True)


def test_a_target_that_does_not_need_the_failed_step_has_its_whole_time(
    play: Play,
) -> None:
    async def left() -> float:
        deadline = TurnDeadline(TURN)
        scheduler = Scheduler(Bounds(), deadline)
        await fail_at_the_grant(scheduler, TURN)
        async with scheduler.changing(target("containers"), ROTATION):
            return deadline.left

    assert play(asyncio.wait_for(left(), 60)) == TURN


def test_it_takes_a_place_among_those_that_run_in_parallel(
    play: Play,
) -> None:
    async def begun() -> list[str]:
        scheduler = Scheduler(Bounds(cloud=1), TurnDeadline(TURN))
        await fail_at_the_grant(scheduler, 1)
        order: list[str] = []

        async def work(name: str, of: Any) -> None:
            async with scheduler.changing(of, ROTATION):
                order.append(f"{name} begins")
                await asyncio.sleep(1)
                order.append(f"{name} ends")

        await asyncio.gather(
            work("another", target("tools", "other-reader")), work("this", target("containers"))
        )
        return order

    assert play(begun()) == ["another begins", "another ends", "this begins", "this ends"]


def test_a_target_that_needs_the_failed_step_is_not_tried(
    play: Play,
) -> None:
    async def why() -> str:
        scheduler = Scheduler(Bounds(), TurnDeadline(TURN))
        await fail_at_the_grant(scheduler, TURN)
        async with scheduler.changing(target("containers"), ("grant", *ROTATION)) as turn:
            return turn.failure.what if turn.failure else ""

    assert play(why()) == "refused"
