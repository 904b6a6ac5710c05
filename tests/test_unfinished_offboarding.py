"""An offboarding was killed, declined, or cannot go on: the next run ends it, and what is left is listed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bootstrap.sandbox.akka_platform import Listing
from bootstrap.testing.harness.credential_life import KEY_CREATION, akka_pulls
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import JOURNAL, Point, keys_of, scene, verifies
from tests.harness.concurrent_change import during
from tests.harness.google_state import ACCOUNT, REPLACE_IDENTITY
from tests.harness.rollback import assert_all_named, clear_faults
from tests.harness.terminal import run_in_terminal


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcr", "acr"])
def test_an_offboarding_that_was_lost_is_ended_by_an_onboarding_too(kind: str) -> None:
    """Akka has forgotten which keys it held; the journal has not, nor the one that was on its way out."""
    with scene(fork_server(), kind, "onboard") as victim:
        life = victim.life
        assert victim.run().code == 0
        if kind == "gcr":
            assert life.command("rotate", life.name).code == 0
        victim.command, victim.name = "offboard", life.name
        old = set(keys_of(victim))
        assert len(old) == (2 if kind == "gcr" else 1)
        assert victim.killed(Point("akka.secrets.delete", 1, "after"))
        done = life.onboard()
        assert done.code == 0, done.text
        assert set(keys_of(victim)) == {life.link.key_id}
        assert all(f"undone: deleted key {key}" in done.err for key in old)
        assert life.command("offboard", life.name).code == 0
        assert life.there() == life.before


@pytest.mark.parametrize("kind", ["gcr", "acr", "acr-token"])
def test_a_key_that_akka_still_holds_stays_where_its_record_shows_no_e_mail(kind: str) -> None:
    """The offboarding was killed before it changed anything, and the next run cannot replace the key."""
    with scene(fork_server(), kind, "offboard") as victim:
        life = victim.life
        assert victim.killed(Point("akka.docker.remove-credentials", 1, "before"))
        life.world.akka.listing = Listing(shows_email=False)
        life.world.fault(f"{KEY_CREATION[kind]}=403*forever")
        failed = life.onboard("--timeout", "20s")
        assert failed.code in (1, 6), failed.text
        assert akka_pulls(life), failed.text


@pytest.mark.parametrize("kind", ["gcr", "acr"])
def test_a_key_that_was_rotated_elsewhere_since_keeps_its_grace_period(kind: str, tmp_path: Path) -> None:
    with scene(fork_server(), kind, "offboard") as victim:
        life = victim.life
        old = life.link.key_id
        assert victim.killed(Point("akka.docker.remove-credentials", 1, "before"))
        elsewhere = {"PULLKEY_STATE_DIR": str(tmp_path), "PULLKEY_OVERLAP": "0"}
        rotated = life.world.run("rotate", life.name, "--yes", env=elsewhere)
        assert rotated.code == 0, rotated.text
        done = life.onboard()
        assert done.code == 0, done.text
        assert {old, life.link.key_id} == set(keys_of(victim)), done.text


@pytest.mark.full
def test_an_offboarding_that_was_lost_twice_is_ended_by_the_third() -> None:
    """The second was killed as it began: what the first was about is still known then."""
    with scene(fork_server(), "gcr", "offboard") as victim:
        assert victim.killed(Point("akka.secrets.delete", 1, "after"))
        assert victim.killed(Point(JOURNAL, 1, "after"))
        done = victim.run()
        assert done.code == 0, done.text
        assert victim.life.there() == victim.life.before


@pytest.mark.full
def test_a_replaced_key_that_another_record_names_outlives_a_lost_offboarding() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        assert victim.run().code == 0
        first, held = life.link.key_id, life.world.held(life.name)
        life.world.akka.projects["billing"].put_credential("copied", held, life.world.running.sandbox.now())
        assert life.command("rotate", life.name).code == 0
        victim.command, victim.name = "offboard", life.name
        assert victim.killed(Point("akka.secrets.delete", 1, "after"))
        done = life.onboard()
        assert done.code == 0, done.text
        assert set(keys_of(victim)) == {first, life.link.key_id}


def test_keys_of_a_lost_offboarding_that_cannot_be_deleted_are_named() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        assert victim.run().code == 0
        assert life.command("rotate", life.name).code == 0
        victim.command, victim.name = "offboard", life.name
        old = set(keys_of(victim))
        assert victim.killed(Point("akka.secrets.delete", 1, "after"))
        life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        told = life.onboard("--output", "json")
        assert told.code == 6, told.text
        commands = [left["command"] for left in told.json["left_over"]]
        assert all(any(f"keys delete {key}" in command for command in commands) for key in old), told.text


@pytest.mark.full
def test_an_offboarding_that_is_declined_changes_nothing() -> None:
    with scene(fork_server(), "gcr", "offboard") as victim:
        there = victim.life.there()
        code, text = run_in_terminal(victim.life.world, "offboard", victim.name, answer="n")
        assert code == 130, text
        assert victim.life.there() == there


@pytest.mark.full
@pytest.mark.parametrize(
    ("call", "there"), [("akka.docker.remove-credentials", True), ("akka.secrets.delete", False)]
)
def test_nothing_behind_a_credential_goes_that_akka_still_has(call: str, there: bool) -> None:
    with scene(fork_server(), "gcr", "offboard") as victim:
        life = victim.life
        before = life.there()
        life.world.fault(f"{call}=403*forever")
        failed = victim.run()
        assert failed.code == (1 if there else 6), failed.text
        assert (life.there() == before) is there
        gone = before - life.there()
        assert all(" reference " in line for line in gone), gone
        if not there:
            assert_all_named(
                victim, failed.text, life.before | {line for line in before if line.startswith("akka")}
            )
        clear_faults(victim)
        assert victim.run().code == 0
        assert life.there() == life.before


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcr", "acr", "acr-token"])
def test_what_an_offboarding_cannot_remove_is_named_and_the_rest_goes(kind: str) -> None:
    calls = {
        "gcr": ("iam.DeleteServiceAccountKey", "artifactregistry.SetIamPolicy", "iam.DeleteServiceAccount"),
        "acr": ("graph.RemovePassword", "arm.DeleteRoleAssignment", "graph.DeleteApplication"),
        "acr-token": ("arm.PutToken", "arm.DeleteToken", "arm.DeleteScopeMap"),
    }[kind]
    for call in calls:
        with scene(fork_server(), kind, "offboard") as victim:
            victim.life.world.fault(f"{call}=403*forever")
            told = victim.run()
            assert told.code in (0, 6), f"{call}: {told.text}"
            assert_all_named(victim, told.text, victim.life.before)
            assert not any(line.startswith("akka shop") for line in victim.life.there())


@pytest.mark.full
def test_an_offboarding_that_is_interrupted_is_gone_on_with() -> None:
    with scene(fork_server(), "gcr", "offboard") as victim:
        with victim.held_at("akka.docker.remove-credentials#1=slow=2") as (_, ending):
            victim.signal(signal.SIGINT)
            ended = ending.result()
        assert ended.code == 130, ended.text
        assert "some resources were not removed" in ended.err
        again = victim.run()
        assert again.code == 0, again.text
        assert victim.life.there() == victim.life.before


@pytest.mark.full
def test_where_nothing_is_left_behind_a_replaced_record_there_is_nothing_to_remove() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        state = life.world.cloud.state
        state.delete_account(state.account(ACCOUNT))
        done = life.onboard(*REPLACE_IDENTITY)
        assert done.code == 0, done.text
        assert verifies(victim, victim.name)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["acr", "acr-token"])
def test_an_offboarding_whose_cloud_can_be_asked_no_more_names_the_rest(kind: str) -> None:
    with scene(fork_server(), kind, "offboard") as victim:
        world = victim.life.world

        def all_is_denied() -> None:
            for api in ("graph", "arm"):
                world.fault(f"{api}.*=403*forever")

        with during(victim, "akka.secrets.delete", all_is_denied):
            done = victim.run()
        assert done.code == 6, done.text
        assert_all_named(victim, done.text, victim.life.before)
