"""What clears up fails too, or meets a world that others have changed meanwhile: nothing is lost, nothing is untold."""

from __future__ import annotations

import pytest

from tests.conftest import fork_server
from tests.killing import Point, Victim, is_named, scene

SECOND = "second"
MAKES_A_KEY = {"gcr": "iam.CreateServiceAccountKey", "acr": "graph.AddPassword", "acr-token": "arm.GenerateCredentials"}  # fmt: skip


def _pulls(victim: Victim, name: str) -> bool:
    world = victim.life.world
    return "a pull was done" in world.run("verify", name, "--credential-stdin", stdin=world.held(name).password).err  # fmt: skip


def _all_is_named(victim: Victim, text: str, since: set[str]) -> None:
    left = victim.life.there() - since
    assert [line for line in left if not is_named(line, text)] == [], text


def _clear_faults(victim: Victim) -> None:
    victim.life.world.running.sandbox.faults.faults.clear()


# -- what a lost run has made, and what others need of it --------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["gcr", pytest.param("acr", marks=pytest.mark.full), pytest.param("acr-token", marks=pytest.mark.full)]
)  # fmt: skip
def test_a_pull_that_works_outlives_a_run_that_fails_after_one_that_was_killed(kind: str) -> None:
    """It was killed after Akka had its key, so its identity and role are that key's, and no more a lost run's."""
    with scene(fork_server(), kind, "onboard") as victim:
        assert victim.killed(Point("akka.docker.add-credentials", 1, "after"))
        (name,) = victim.life.world.names()
        there = victim.life.there()
        victim.life.world.fault(f"{MAKES_A_KEY[kind]}=403*forever")
        failed = victim.life.command("rotate", name)
        assert failed.code == 1, failed.text
        assert victim.life.there() == there, failed.text
        _clear_faults(victim)
        assert _pulls(victim, name)


@pytest.mark.parametrize(
    "kind", ["gcr", pytest.param("acr", marks=pytest.mark.full), pytest.param("acr-token", marks=pytest.mark.full)]
)  # fmt: skip
def test_an_identity_that_another_record_came_to_need_stays_when_the_next_run_fails(kind: str) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        life = victim.life
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        other = life.onboard("--secret-name", SECOND)
        assert other.code == 0, other.text
        life.world.fault(f"{MAKES_A_KEY[kind]}=403*forever")
        failed = victim.run()
        assert failed.code in (1, 6), failed.text
        _clear_faults(victim)
        assert _pulls(victim, SECOND), failed.text
