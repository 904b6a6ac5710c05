"""Presence is believed early, absence late."""

from __future__ import annotations

import asyncio

import pytest

from bootstrap.model.deadline import Deadline
from bootstrap.plugin.observe import (
    Absent,
    Observation,
    Present,
    Unknown,
    Unlisted,
    confirm_absent,
    confirm_unlisted,
    read_settled,
)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by itself."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("bootstrap.plugin.observe.asyncio.sleep", sleep)
    return pauses


def observe(*answers: str | None, contradicted_by: str = "", seconds: float = 60) -> Observation[str]:
    left = list(answers)

    async def read() -> str | None:
        return left.pop(0)

    return asyncio.run(confirm_absent(read, contradicted_by=contradicted_by, deadline=Deadline(seconds)))


def test_one_read_that_shows_it_is_enough(slept: list[float]) -> None:
    assert observe("it") == Present("it")
    assert slept == []


@pytest.mark.parametrize("lagging", range(1, 4))
def test_a_lagging_read_is_not_believed(slept: list[float], lagging: int) -> None:
    answers = [*[None] * lagging, "it"]
    assert observe(*answers, contradicted_by="Akka's record names it") == Present("it")
    assert sum(slept) <= 7


def test_absence_needs_a_second_read_and_more_where_something_contradicts_it(slept: list[float]) -> None:
    assert observe(None, None) == Absent()
    assert observe(None, None, None, None, contradicted_by="Akka's record names it") == Absent()
    assert sum(slept) == 2 + 7


def test_without_the_time_to_look_again_it_is_unknown(slept: list[float]) -> None:
    assert observe(None, contradicted_by="Akka's record names it", seconds=0.5) == Unknown(
        "Akka's record names it"
    )
    assert isinstance(observe(None, seconds=0), Unknown)
    assert slept == []


@pytest.mark.parametrize(
    ("answers", "shown", "seconds"),
    [
        ("aaaa", "a", 7),
        ("bbaa", "a", 7),  # a replica that lags has shown the one before
        ("abaa", "a", 7),
        ("aaabb", "b", 11),  # the last two do not agree
        ("aaabab", "b", 15),
    ],
)
def test_what_is_shown_in_the_end_counts(
    slept: list[float], answers: str, shown: str, seconds: float
) -> None:
    left = list(answers)

    async def read() -> str:
        return left.pop(0)

    assert asyncio.run(read_settled(read)) == shown
    assert (left, sum(slept)) == ([], seconds)


def unlisted(
    things: str, *lists: str, contradicted_by: str = "", seconds: float = 60
) -> tuple[Unlisted[str], int]:
    """What is not listed of single letters, and how many of the lists were read."""
    left = list(lists)

    async def named() -> str:
        return left.pop(0)

    asked = confirm_unlisted(things, named, contradicted_by=contradicted_by, deadline=Deadline(seconds))
    return asyncio.run(asked), len(lists) - len(left)


def test_what_any_list_names_is_listed(slept: list[float]) -> None:
    why = "it was created for this secret"
    assert unlisted("abc", "a", "", "", "b", contradicted_by=why) == (Unlisted(["c"], certain=True), 4)
    assert sum(slept) == 7
    assert unlisted("ab", "a", "b", contradicted_by=why) == (Unlisted([], certain=True), 2)
    assert unlisted("abc", "a", "") == (Unlisted(["b", "c"], certain=True), 2)


def test_what_few_lists_do_not_name_is_not_certain(slept: list[float]) -> None:
    assert unlisted("ab", "a", seconds=0) == (Unlisted(["b"], certain=False), 1)
    assert slept == []
