"""A user name that belongs to the key, as a robot account's does: a rotation changes it in Akka's record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.engine.unrecorded_keys import unrecorded_keys
from bootstrap.model.key_facts import KeyFacts
from bootstrap.testing.simulation.ended import CommandResult
from bootstrap.testing.simulation.scenario import Command, Scenario, Verb
from bootstrap.testing.simulation.seams import simulated
from bootstrap.testing.simulation.world import Played, simulate


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with simulated():
        yield


def play(*verbs: Verb, labels: bool = True, robots: bool = True) -> Played:
    played = simulate(Scenario(1, tuple((Command(verb),) for verb in verbs), robots=robots, labels=labels))
    assert not played.failures, "\n".join(played.log)
    assert all(ended.succeeded for ended in played.ended), "\n".join(played.log)
    return played


def steps_of(ended: CommandResult) -> list[tuple[str, str]]:
    return [(one.step, one.outcome) for one in ended.says]


@pytest.mark.parametrize("labels", [True, False], ids=["marked", "unmarked"])
def test_a_rotation_replaces_the_key_of_the_identity(labels: bool) -> None:
    """Its steps are those of one whose keys share a user name: it is no other identity's credential that
    is replaced.
    """
    robots, shared = (play("onboard", "rotate", "rotate", labels=labels, robots=one) for one in (True, False))

    assert [steps_of(one) for one in robots.ended] == [steps_of(one) for one in shared.ended]
    assert ("retire", "done") in steps_of(robots.ended[1])


def test_what_is_in_place_is_left_alone() -> None:
    played = play("onboard", "rotate")

    assert played.ended[-1].result == "unchanged"


def test_an_offboarding_leaves_nothing() -> None:
    played = play("onboard", "rotate", "offboard")

    assert ("identity", "removed") in steps_of(played.ended[2]), steps_of(played.ended[2])


def test_a_key_that_is_its_own_identity_is_named_with_its_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not "of", and then nothing."""

    class OwnIdentity:
        key = SimpleNamespace(deleted=(), delete_command="acme robots delete {}".format)

        async def identity(self) -> str:
            return ""

        async def host(self) -> str:
            return "registry.acme.example"

    async def keys(*_: object) -> list[KeyFacts]:
        return [KeyFacts("6b5401fde69f", None)]

    monkeypatch.setattr("bootstrap.engine.unrecorded_keys.keys_without_record", keys)
    session: Any = OwnIdentity()
    akka: Any = None
    (said,) = asyncio.run(unrecorded_keys(session, akka, set(), "", keys=keys))

    assert said.startswith("Key 6b5401fde69f of registry.acme.example is in no record")
