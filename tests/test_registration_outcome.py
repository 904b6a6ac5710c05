"""`add-credentials` ends in an error, or the run is killed in it, while Akka's list lags: nobody can see
whether it wrote.

A key that Akka may pull with is never taken away; it is named, and goes once Akka is seen to hold another
one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from bootstrap.sandbox.akka_platform import Listing
from bootstrap.testing.harness.credential_life import akka_pulls, new_keys, secret_name
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Point, Victim, scene

ADD = "akka.docker.add-credentials"


@pytest.fixture(params=["gcr", "acr-token"])
def victim(request: pytest.FixtureRequest) -> Iterator[Victim]:
    with scene(fork_server(), request.param, "rotate") as one:
        yield one


def listed(victim: Victim) -> None:
    """Akka shows what it holds again."""
    victim.life.world.akka.listing = Listing()


# -- the CLI ends in an error --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "fault"),
    [
        ("fails-after", ""),  # Internal
        ("half-done", ""),  # PermissionDenied, of the second of two writings
        ("current", f"{ADD}=lost*forever"),
        ("current", f"{ADD}=cut*forever"),
        ("current", f"{ADD}=lost {ADD}=403*forever"),  # the refusal is not of the call that wrote
    ],
)
def test_a_rotation_keeps_both_keys_where_the_error_is_no_refusal(mode: str, fault: str) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life, world = victim.life, victim.life.world
        (old,) = new_keys(life)
        world.akka.listing = Listing(lag=math.inf)
        world.akka.mode, world.akka.mode_applies_to = mode, "docker.add-credentials"  # type: ignore[assignment]
        for spec in fault.split():
            world.fault(spec)
        done = victim.run()

        assert akka_pulls(life), done.text
        assert done.code == 6, done.text
        assert new_keys(life) >= {old}
        (new,) = new_keys(life) - {old}
        assert new in done.err
        assert old in done.err

        world.akka.mode = "current"
        world.running.sandbox.faults.faults.clear()
        listed(victim)
        again = victim.run()
        assert again.code == 0, again.text
        assert akka_pulls(life)


REFUSALS = {
    "not logged in": "401;message=not%20logged%20in",
    "not allowed": "403",
    "no such project": "404",
    "not valid": "400",
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_clear_refusal_is_undone(refusal: str) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        there = new_keys(life)
        life.world.fault(f"{ADD}={REFUSALS[refusal]}*forever")
        done = victim.run()
        assert done.code == 1, done.text
        assert new_keys(life) == there
        assert akka_pulls(life)


def test_a_cli_that_asks_has_done_nothing() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        there = new_keys(life)
        life.world.akka.mode, life.world.akka.mode_applies_to = "asks", "docker.add-credentials"
        done = victim.run()
        assert done.code == 1, done.text
        assert new_keys(life) == there
        assert akka_pulls(life)


# -- the run is killed in it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["rotate", "onboard"])
def test_a_key_of_a_killed_run_that_a_list_that_lags_does_not_show_stays(
    victim: Victim, command: str
) -> None:
    life = victim.life
    (old,) = new_keys(life)
    name = secret_name(life)
    life.world.akka.listing = Listing(lag=math.inf)
    assert victim.killed(Point(ADD, 1, "after"))
    (new,) = new_keys(life) - {old}
    assert akka_pulls(life)

    recovered = life.onboard() if command == "onboard" else victim.run()
    assert recovered.code == 6, recovered.text
    assert akka_pulls(life), recovered.text
    assert {old, new} <= new_keys(life)
    assert new in recovered.err

    listed(victim)
    again = life.command("rotate", name)
    assert again.code == 0, again.text
    assert akka_pulls(life)
    assert life.command("offboard", name).code == 0
    assert life.there() == life.before


def test_a_key_that_never_arrived_is_named_and_goes_with_the_next_rotation() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        (old,) = new_keys(life)
        assert victim.killed(Point(ADD, 1, "before"))
        (new,) = new_keys(life) - {old}
        for _ in range(2):
            looked = life.onboard()
            assert looked.code == 6, looked.text
            assert new in looked.err
            assert new_keys(life) == {old, new}
        done = victim.run()
        assert done.code == 0, done.text
        assert new not in new_keys(life)
        assert akka_pulls(life)
        assert life.onboard().code == 0


def test_a_key_that_never_arrived_goes_with_the_credential(victim: Victim) -> None:
    life = victim.life
    assert victim.killed(Point(ADD, 1, "before"))
    gone = life.command("offboard", secret_name(life))
    assert gone.code == 0, gone.text
    assert life.there() == life.before


def test_a_key_of_which_akka_was_never_asked_is_deleted() -> None:
    """The journal says so: what it has of the registration was written before Akka was asked."""
    lists = "akka.docker.list-credentials"
    with scene(fork_server(), "gcr", "rotate") as alone:
        log = alone.life.world.running.sandbox.log.calls
        begin = len(log)
        assert alone.run().code == 0
        names = [f"{call.api}.{call.method}" for call in log[begin:]]
        looks_before = names[: names.index(ADD)].count(lists)
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        (old,) = new_keys(life)
        assert victim.killed(Point(lists, looks_before, "before"))
        assert len(new_keys(life)) == 2
        done = life.onboard()
        assert done.code == 0, done.text
        assert new_keys(life) == {old}
