"""What clears up fails too, or meets a world that others have changed meanwhile: nothing is lost, nothing is untold."""

from __future__ import annotations

import functools
import re

import pytest

from tests.conftest import fork_server
from tests.killing import Point, Victim, is_named, scene

SECOND = "second"
MAKES_A_KEY = {"gcr": "iam.CreateServiceAccountKey", "acr": "graph.AddPassword", "acr-token": "arm.GenerateCredentials"}  # fmt: skip


def _pulls(victim: Victim, name: str) -> bool:
    world = victim.life.world
    return "a pull was done" in world.run("verify", name, "--credential-stdin", stdin=world.held(name).password).err  # fmt: skip


def _all_is_named(victim: Victim, text: str, since: set[str]) -> None:
    told = re.sub(r"\n\s+remove it with:", " delete:", text)
    assert [line for line in victim.life.there() - since if not _is_named(line, told)] == [], text


def _is_named(line: str, text: str) -> bool:
    words = line.split()
    if "deleted:serviceAccount:" in line:
        return f"--member='{words[4]}'" in text
    if line.startswith("azure secret "):
        return is_named(line, text) or "az ad app delete" in text  # it goes with its application
    if line.startswith("azure password "):
        return is_named(line, text) or f"az acr token delete --name {words[2]}" in text
    return is_named(line, text)


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


# -- the undoing fails too ---------------------------------------------------------------------------------------------

REFUSED = "akka.docker.add-credentials=403*forever"
"""The last step fails, so that there is everything to undo."""
QUICK = [("docker-hub-user", "403")]
FULL = [
    (kind, fault)
    for kind in ("gcr", "gcr-upload", "acr", "acr-token", "docker-hub-user", "docker-hub-organization")
    for fault in ("403", "401", "404", "503", "reset", "malformed", "types")
    if (kind, fault) not in QUICK
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "fault"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.full) for one in FULL)]
)  # fmt: skip
def test_what_cannot_be_undone_is_named_with_what_removes_it_and_stops_nothing_else(
    kind: str, fault: str
) -> None:
    """Each call of the undoing in turn fails, forever."""
    for call in undoing(kind):
        with scene(fork_server(), kind, "onboard") as victim:
            life = victim.life
            life.world.fault(REFUSED)
            life.world.fault(f"{call}={fault}*forever")
            failed = victim.run()
            assert failed.code in (1, 6), f"{call}: {failed.text}"
            assert "does not expect" not in failed.text, f"{call}: {failed.text}"
            left = life.there() - life.before
            assert bool(left) <= (failed.code == 6), f"{call}: {left} {failed.text}"
            _all_is_named(victim, failed.text, life.before)
            # What is left is found by the next run, which ends with one key.
            _clear_faults(victim)
            done = victim.run()
            assert done.code in (0, 6), f"{call}: {done.text}"
            gone = life.command("offboard", life.name)
            assert gone.code in (0, 6), f"{call}: {gone.text}"
            _all_is_named(victim, failed.text + done.text + gone.text, life.before)


def test_a_role_that_could_not_be_taken_back_is_named_as_google_shows_it_then() -> None:
    """Its account is deleted all the same, and what takes the role from the account does not take it from that."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        victim.life.world.fault(REFUSED)
        victim.life.world.fault("artifactregistry.SetIamPolicy#2=403")
        failed = victim.run()
        assert failed.code == 6, failed.text
        (left,) = victim.life.there() - victim.life.before
        assert "deleted:serviceAccount:akka-docker-reader@" in left
        _all_is_named(victim, failed.text, victim.life.before)


@functools.cache
def undoing(kind: str) -> list[str]:
    """The calls to the cloud of a run that undoes all that it made, as it is shown by one whose undoing goes well."""
    with scene(fork_server(), kind, "onboard") as victim:
        victim.life.world.fault(REFUSED)
        assert victim.run().code == 1
        calls = list(victim.life.world.running.sandbox.log.calls)
        begin = next(number for number, call in enumerate(calls) if call.method == "docker.add-credentials")
        seen: dict[str, int] = {}
        found = []
        for number, call in enumerate(calls):
            name = f"{call.api}.{call.method}"
            seen[name] = seen.get(name, 0) + 1
            if number > begin and call.changes and call.api != "akka":
                found.append(f"{name}#{seen[name]}")
        return found
