"""A key that a rotation replaced: when it is disabled and deleted, when not, and what a plan says of it."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest

from bootstrap.testing.harness.credential_life import living
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Victim, keys_of, scene, verifies
from bootstrap.testing.harness.puller import pulls
from tests.harness.concurrent_change import during
from tests.harness.google_state import ACCOUNT, REPLACE_IDENTITY
from tests.harness.rollback import clear_faults


@pytest.mark.full
def test_a_replaced_key_that_is_gone_when_its_turn_comes_is_gone() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        account = victim.life.world.cloud.state.account(ACCOUNT)
        old = victim.life.link.key_id
        with during(victim, "akka.docker.add-credentials", lambda: account.keys.pop(old)):
            done = victim.run()
        assert done.code == 0, done.text
        assert f"Key {old} was already deleted" in done.err
        # So it is with the one whose grace is cut short by the next.
        assert victim.run().code == 0
        older = victim.life.link.replaces
        with during(victim, "iam.DeleteServiceAccountKey", lambda: account.keys.pop(older)):
            done = victim.run()
        assert done.code == 0, done.text
        assert f"Key {older} was already deleted" in done.err


@pytest.mark.full
def test_a_replaced_key_that_may_not_be_switched_off_fails_nothing_and_is_named() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        old = victim.life.link.key_id
        victim.life.world.fault("iam.DisableServiceAccountKey=403*forever")
        done = victim.run()
        assert done.code == 6, done.text
        assert f"keys delete {old}" in done.err
        assert verifies(victim, victim.name)
        # Nor does the run after it fail, which deletes it before it makes the next.
        clear_faults(victim)
        assert victim.run().code == 0
        assert old not in keys_of(victim)


@pytest.mark.full
def test_a_rotation_that_cannot_be_taken_back_says_why() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        account = life.world.cloud.state.account(ACCOUNT)

        def restored() -> str:
            told = life.command("rotate", victim.name, "--restore")
            assert told.code in (0, 1), told.text
            return told.err

        assert "names no replaced key that still exists" in restored()
        old = life.link.key_id
        assert victim.run().code == 0
        assert f"Key {old} is enabled again" in restored()
        assert f"Key {old} is enabled already" in restored()
        del account.keys[old]
        assert f"Key {old} was deleted and cannot be restored" in restored()


@pytest.mark.full
def test_a_key_that_azure_cannot_switch_off_was_never_off() -> None:
    with scene(fork_server(), "acr", "rotate") as victim:
        assert victim.run().code == 0
        told = victim.life.command("rotate", victim.name, "--restore")
        assert told.code == 0, told.text
        assert "was never disabled" in told.err


@pytest.mark.full
def test_a_replaced_key_goes_at_once_where_the_one_after_it_is_gone() -> None:
    """Nobody can say since when Akka holds a key that is not there."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        old = life.link.key_id
        assert victim.run().code == 0
        del life.world.cloud.state.account(ACCOUNT).keys[life.link.key_id]
        done = life.onboard()
        assert done.code == 0, done.text
        assert old not in keys_of(victim)
        assert verifies(victim, victim.name)


@pytest.mark.full
def test_keys_of_another_identity_are_not_this_ones_to_retire() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        assert victim.run().code == 0
        first = set(keys_of(victim))
        life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        done = life.onboard(*REPLACE_IDENTITY, "--output", "json")
        assert done.code == 6, done.text
        assert done.json["changed"]
        assert all(f"keys delete {key}" in done.err for key in first), done.text


@pytest.mark.full
def test_a_file_that_gives_akkas_secret_to_another_identity_has_no_old_key_to_retire(tmp_path: Path) -> None:
    """What stood behind the record goes with its identity, and is not this one's to switch off."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        assert victim.run().code == 0
        first = set(keys_of(victim))
        file = tmp_path / "registries.yaml"
        file.write_text(
            "version: 1\ntargets:\n  - {provider: gcr, server: "
            "europe-west1-docker.pkg.dev/acme-shop/containers, "
            "akka-project: shop, service-account: akka-second-reader, replace: true}\n"
        )
        done = victim.life.world.run("apply", "-f", str(file), "--yes", "--output", "json")
        assert done.code == 0, done.text
        assert {step["name"] for step in done.json["targets"][0]["steps"]} == {
            "identity",
            "grant",
            "key",
            "handshake",
            "handoff",
        }
        assert not first & set(keys_of(victim))


def _planned(victim: Victim, *more: str) -> dict[str, Any]:
    """What a rotation would do, by step; nothing where it is not due."""
    told = victim.life.command("rotate", victim.name, "--dry-run", "--output", "json", *more)
    assert told.code == 0, told.text
    return {step["name"]: step for result in told.json["results"] for step in result["steps"]}


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "grace", "title"),
    [
        ("gcr", "1d", "Disable the key that Akka held"),
        ("gcr", "0", "Delete the key that Akka held"),
        ("acr-token", "1d", "Leave the old key valid for its grace period"),
        ("private", "1d", "Leave the old password, which only its owner can revoke"),
    ],
)
def test_a_plan_says_what_becomes_of_the_key_that_akka_holds(kind: str, grace: str, title: str) -> None:
    with scene(fork_server(), kind, "rotate") as victim:
        key = victim.life.link.key_id
        planned = _planned(victim, "--keep-old", grace)
        assert planned["retire"]["title"] == title
        assert planned["retire"]["reason"] == f"Akka holds key {key}"
        if victim.life.kind.creates_key:
            assert key.partition("-")[0] in planned["retire"]["command"]
        assert "clear" not in planned
        assert "retire" not in _planned(victim, "--due")


@pytest.mark.full
def test_a_plan_says_what_becomes_of_the_key_that_was_replaced_before() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        old = victim.life.link.key_id
        assert victim.run().code == 0
        planned = _planned(victim)["clear"]
        assert planned["title"] == "Delete the key that was replaced before"
        assert planned["reason"] == f"key {old} is deleted before the next one is replaced"
        assert f"keys delete {old}" in planned["command"]
        assert "clear" not in _planned(victim, "--due")
        time.sleep(1.1)
        assert (
            _planned(victim, "--due", "--keep-old", "1s")["clear"]["reason"]
            == f"the grace period of key {old} is over"
        )
        # An onboarding replaces nothing, and leaves it as it is.
        assert victim.life.onboard().code == 0
        assert keys_of(victim)[old].endswith("disabled=True")


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "grace", "cut_off_by"),
    [
        ("gcr", "1d", "iam.DisableServiceAccountKey"),
        ("acr-token", "0", "arm.UpdateToken"),
        ("acr-token", "1d", ""),
    ],
)
def test_pulls_that_are_under_way_get_their_time_before_the_old_key_is_cut_off(
    kind: str, grace: str, cut_off_by: str
) -> None:
    with scene(fork_server(), kind, "rotate") as victim:
        world = victim.life.world
        assert "get 0 s" not in victim.run().err
        old = victim.life.link.key_id
        done = world.run("rotate", victim.name, "--yes", "--keep-old", grace, "--overlap", "2s")
        assert done.code == 0, done.text
        assert ("Pulls that began with the old key get 2 s to end." in done.err) is bool(cut_off_by)
        assert (f"Deleted key {old}" in done.err) is (grace == "0")
        if cut_off_by:
            calls = [
                (f"{call.api}.{call.method}", dt.datetime.fromisoformat(call.time))
                for call in world.running.sandbox.log.calls
            ]
            # Before it deletes the old key, the run looks once more whether somebody else holds it.
            given = max(at for name, at in calls if name == "akka.docker.add-credentials")
            shown = min(at for name, at in calls if name == "akka.docker.list-credentials" and at > given)
            assert max(at for name, at in calls if name == cut_off_by) - shown >= dt.timedelta(seconds=2)


def test_a_key_replaced_before_is_not_forgotten_while_a_project_cannot_be_read() -> None:
    """The next record does not name it, so nothing else would."""
    with living("acr") as life:
        assert life.onboard().code == 0
        first, key = life.world.held(life.name), life.link.key_id
        assert life.command("rotate", life.name).code == 0
        life.world.akka.unavailable = {"billing"}
        done = life.command("rotate", life.name)
        assert done.code == 6, done.text
        assert f"left over: key {key}" in done.text
        # Once the project is seen not to have it, the key is deleted.
        life.world.akka.unavailable = set()
        done = life.command("rotate", life.name, "--due")
        assert done.code == 0, done.text
        assert not pulls(life.world.running.environment, first, patience=0)


def test_a_password_replaced_before_is_not_overwritten_while_a_project_cannot_be_read() -> None:
    with living("acr-token") as life:
        assert life.onboard().code == 0
        world, held = life.world, life.world.held(life.name)
        world.akka.projects["billing"].put_credential("copied", held, world.running.sandbox.now())
        assert life.command("rotate", life.name).code == 0
        world.akka.unavailable = {"billing"}
        done = life.command("rotate", life.name)
        assert done.code == 3, done.text
        assert "billing" in done.text
        assert pulls(world.running.environment, held, patience=0)
