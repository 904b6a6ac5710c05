"""How long a delay is waited out: as its reason allows, and as the service asks."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from bootstrap.fleet.scheduler import TurnDeadline
from bootstrap.model.clock import use
from bootstrap.model.deadline import Deadline
from bootstrap.plugin.retry import Delay, retry_while
from bootstrap.testing.simulation.loop import VirtualClock, VirtualLoop


class Busy(Exception):
    pass


def _wait(delay: Delay | str | None, *, seconds: float, failures: int) -> tuple[float, int, list[str]]:
    """Seconds taken, calls made, lines shown; a call fails `failures` times."""
    calls, lines = 0, list[str]()

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls <= failures:
            raise Busy

    begin = time.monotonic()
    try:
        asyncio.run(retry_while(call, why=lambda _: delay, deadline=Deadline(seconds), tell=lines.append))
    except Busy:
        lines.append("refused")
    return time.monotonic() - begin, calls, lines


def test_a_reason_without_a_bound_is_waited_for_until_the_deadline() -> None:
    _, calls, lines = _wait("busy", seconds=20, failures=1)
    assert (calls, lines) == (2, ["busy"])


def test_a_reason_that_can_no_longer_explain_it_is_a_refusal() -> None:
    took, _, lines = _wait(Delay("new account", at_most=0.2), seconds=20, failures=10**6)
    assert lines == ["new account", "refused"]
    assert took < 5


@pytest.mark.parametrize("after", [0.0, 0.6])
def test_a_pause_is_as_long_as_the_service_asks_and_never_none(after: float) -> None:
    took, calls, _ = _wait(Delay("rate limit", after=after), seconds=20, failures=1)
    assert calls == 2
    assert took >= 0.5


def test_a_pause_that_does_not_fit_is_not_begun() -> None:
    took, calls, lines = _wait(Delay("rate limit", after=30), seconds=2, failures=10**6)
    assert (calls, lines) == (1, ["refused"])
    assert took < 1


@pytest.mark.parametrize("takes", [0.0, 0.7])
def test_no_try_is_begun_that_cannot_end_by_the_deadline(takes: float) -> None:
    async def call() -> None:
        await asyncio.sleep(takes)
        raise Busy

    begin = time.monotonic()
    with pytest.raises(Busy):
        asyncio.run(retry_while(call, why=lambda _: "busy", deadline=Deadline(2.5), tell=lambda _: None))
    assert time.monotonic() - begin < 2.9


def test_a_call_has_no_longer_than_is_left() -> None:
    assert Deadline(3).clip(60) <= 3
    assert Deadline(3).clip(1) == 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


@pytest.mark.parametrize("of_a_file", [False, True])
def test_calls_that_hang_one_after_another_outlast_the_deadline_by_little(
    clock: Clock, of_a_file: bool
) -> None:
    deadline = Deadline(10)
    if of_a_file:
        turns = TurnDeadline(10)
        turns.begin()
        deadline = turns
    for _ in range(3):
        clock.now += deadline.clip(60)
    assert clock.now <= 12


@pytest.mark.parametrize("of_a_file", [False, True])
def test_a_call_that_undoes_or_completes_has_a_time_of_its_own(clock: Clock, of_a_file: bool) -> None:
    deadline = Deadline(10)
    if of_a_file:
        turns = TurnDeadline(10)
        turns.begin()
        deadline = turns
    deadline.settle()
    assert deadline.clip(60) == 10
    clock.now = 30
    assert deadline.clip(60) == 5
    assert deadline.clip(2) == 2


def test_one_target_that_is_undone_gives_another_no_more_time(clock: Clock) -> None:
    turns = TurnDeadline(10)

    async def undone() -> None:
        turns.begin()
        turns.settle()

    async def other() -> float:
        turns.begin()
        clock.now = 30
        return turns.clip(60)

    async def both() -> float:
        await asyncio.create_task(undone())
        return await asyncio.create_task(other())

    assert asyncio.run(both()) < 1


def test_a_wait_of_half_a_day_ends_at_its_deadline() -> None:
    """Its pauses neither grow out of all bounds, nor shrink at the end until no clock moves in them."""
    loop = VirtualLoop()
    with use(VirtualClock(loop, random.Random(0))):
        deadline = Deadline(12 * 3600)

        async def call() -> None:
            raise Busy

        with pytest.raises(Busy):
            loop.run_until_complete(
                retry_while(call, why=lambda _: "busy", deadline=deadline, tell=lambda _: None)
            )
        assert deadline.left <= 1
    loop.close()
