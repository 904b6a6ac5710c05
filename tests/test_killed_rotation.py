"""A rotation was killed: the next run, whichever it is, retires the replaced key or lists what it cannot
remove.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import REGISTERED, Point, Victim, keys_of, scene, verifies
from bootstrap.testing.harness.puller import pulls
from tests.harness.azure_state import shop
from tests.harness.concurrent_change import during
from tests.harness.google_state import REPLACE_IDENTITY
from tests.harness.marks import full_case
from tests.harness.rollback import assert_all_named, clear_faults
from tests.harness.terminal import run_in_terminal

SWITCHED = [("gcr", "rotate"), ("gcr", "rotate --keep-old 0")]


@pytest.mark.full
@pytest.mark.parametrize(("kind", "command"), SWITCHED)
def test_a_key_that_a_lost_rotation_replaced_is_taken_out_of_use(
    kind: str, command: str, tmp_path: Path
) -> None:
    with scene(fork_server(), kind, command) as victim:
        old = victim.life.link.key_id
        assert victim.killed(REGISTERED)
        registered = victim.life.link.key_id
        # Whichever command comes next does it, not only the same.
        trail = tmp_path / "audit.jsonl"
        done = victim.life.onboard("--output", "json", "--audit", str(trail))
        assert done.code == 0, done.text
        assert victim.life.link.key_id == registered != old
        (change,) = map(json.loads, trail.read_text().splitlines())
        assert (change["step"], change["outcome"], change["as"]) == ("recovery", "undone", done.json["as"])
        assert any(old in undone for undone in done.json["undone"])
        if command == "rotate":
            assert keys_of(victim)[old].endswith("disabled=True")
            assert f"undone: disabled key {old}" in done.err
        else:
            assert old not in keys_of(victim)
            assert f"undone: deleted key {old}" in done.err
        assert verifies(victim, victim.name)


@pytest.mark.full
def test_a_key_that_somebody_has_switched_off_or_deleted_meanwhile_is_left_as_it_is() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        old = life.link.key_id
        account = life.world.cloud.state.account("akka-docker-reader@acme-shop.iam.gserviceaccount.com")
        assert victim.killed(REGISTERED)
        account.keys[old].disabled = True
        done = life.onboard()
        assert done.code == 0, done.text
        assert account.keys[old].disabled
        assert victim.killed(Point("akka.docker.add-credentials", 1, "after"))
        del account.keys[life.link.replaces]
        done = life.onboard()
        assert done.code == 0, done.text


@pytest.mark.full
@pytest.mark.parametrize("command", ["rotate", "rotate --keep-old 0"])
def test_a_replaced_key_that_cannot_be_taken_out_of_use_is_named(command: str) -> None:
    with scene(fork_server(), "gcr", command) as victim:
        old = victim.life.link.key_id
        assert victim.killed(REGISTERED)
        victim.life.world.fault("iam.DisableServiceAccountKey=403*forever")
        victim.life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        told = victim.life.onboard("--output", "json")
        assert told.code == 6, told.text
        (left,) = told.json["left_over"]
        assert f"keys delete {old}" in left["command"]
        assert verifies(victim, victim.name)


def _replaced_and_killed(victim: Victim) -> tuple[str, set[str]]:
    """A run that gave Akka's secret to another identity, killed before it could part with the first one."""
    first = set(keys_of(victim))
    victim.command, victim.more = "onboard", REPLACE_IDENTITY
    assert victim.killed(REGISTERED)
    return victim.life.name, first


@pytest.mark.parametrize("command", [*map(full_case, ["onboard", "rotate"]), "offboard"])
def test_what_stood_behind_a_record_that_a_lost_run_replaced_is_named_and_stays(command: str) -> None:
    """It is another identity's, and only the journal says so: a person removes it, by the command that is
    shown.
    """
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        name, first = _replaced_and_killed(victim)
        (key,) = first
        done = victim.run() if command == "onboard" else life.command(command, name)
        assert done.code == 6, done.text
        assert f"keys delete {key} --iam-account=akka-docker-reader@" in done.err
        assert "service-accounts delete akka-docker-reader@" in done.err
        assert first <= set(keys_of(victim)), done.text
        if command == "offboard":
            assert all("akka-docker-reader@" in line or key in line for line in life.there() - life.before)


@pytest.mark.full
@pytest.mark.parametrize("command", ["onboard", "offboard"])
def test_what_stood_behind_a_record_that_a_lost_run_replaced_is_named_where_it_cannot_be_found(
    command: str,
) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        name, first = _replaced_and_killed(victim)
        (key,) = first
        life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        done = victim.run() if command == "onboard" else life.command(command, name)
        assert done.code == 6, done.text
        assert f"keys delete {key}" in done.text


@pytest.mark.full
def test_a_key_that_nobody_may_delete_is_named_by_each_run_that_clears_up() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        held = victim.life.link.key_id
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        (lost,) = set(keys_of(victim)) - {held}
        victim.life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        told = victim.life.onboard("--output", "json")
        assert told.code == 6, told.text
        assert told.json["error"] is None
        assert not any(lost in notice for notice in told.json["notices"])  # once is enough
        (left,) = told.json["left_over"]
        assert lost in left["what"]
        # Akka may have been given it, so it goes once a newer key works.
        assert left["command"].startswith(f"pullkey rotate {victim.name}")
        # The one that Akka goes on with is as good as before.
        assert victim.life.link.key_id == held
        assert keys_of(victim)[held].endswith("disabled=False")
        # Each run names it, until a newer key works.
        clear_faults(victim)
        again = victim.life.onboard()
        assert again.code == 6, again.text
        assert lost in again.err
        rotated = victim.life.command("rotate", victim.name)
        assert rotated.code == 0, rotated.text
        assert lost not in keys_of(victim)
        assert victim.life.onboard().code == 0


@pytest.mark.full
@pytest.mark.parametrize("command", ["onboard", "offboard"])
def test_nothing_is_cleared_up_without_being_asked(command: str) -> None:
    with scene(fork_server(), "gcr", "rotate --keep-old 0") as victim:
        assert victim.killed(REGISTERED)
        there = victim.life.there()
        arguments = ("onboard", "gcr") if command == "onboard" else ("offboard", victim.name)
        code, text = run_in_terminal(victim.life.world, *arguments, answer="n")
        assert code == 130, text
        assert "Remove what it created that is unused?" in text
        assert "No changes were made" in text
        assert victim.life.there() == there
        if command == "onboard":  # an offboarding asks once more
            code, text = run_in_terminal(victim.life.world, *arguments, answer="y")
            assert code == 0, text
            assert victim.life.there() != there


@pytest.mark.full
def test_what_stood_behind_a_replaced_record_is_named_where_nobody_can_be_asked() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        world = victim.life.world

        def all_is_denied() -> None:
            for api in ("iam", "artifactregistry", "cloudresourcemanager"):
                world.fault(f"{api}.*=403*forever")

        with during(victim, "akka.docker.add-credentials", all_is_denied):
            done = victim.life.onboard(*REPLACE_IDENTITY)
        assert done.code == 6, done.text
        assert "cloud resources of the replaced credential" in done.err
        assert verifies(victim, victim.name)


@pytest.mark.full
def test_a_password_that_is_not_of_the_lost_call_is_named_and_not_removed_on_a_guess() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        state, token = victim.life.world.cloud.state, shop(victim.life.world).tokens[victim.life.link.name]
        assert victim.killed(Point("arm.GenerateCredentials", 1, "before"))
        theirs = state.add_password(token, "password2", created=state.now() - dt.timedelta(hours=1))
        told = victim.life.onboard("--output", "json")
        assert told.code == 6, told.text
        (left,) = told.json["left_over"]
        assert "which may be in use elsewhere" in left["what"]
        assert left["command"].endswith("--password2")
        assert token.passwords["password2"] is theirs


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("gcr", "iam.CreateServiceAccountKey"),
        ("gcr-upload", "iam.UploadServiceAccountKey"),
        ("acr", "graph.AddPassword"),
        ("acr-token", "arm.GenerateCredentials"),
        ("docker-hub-user", "hub.CreateAccessToken"),
    ],
)
@pytest.mark.parametrize("denied", [False, True])
def test_a_key_that_a_lost_rotation_may_have_made_goes_or_is_named(
    kind: str, call: str, denied: bool
) -> None:
    removes = {"acr": "graph.RemovePassword", "acr-token": "arm.*Token"}.get(kind, "*.Delete*")
    with scene(fork_server(), kind, "rotate") as victim:
        life = victim.life
        there = life.there()
        assert victim.killed(Point(call, 1, "after"))
        assert there < life.there()
        if denied:
            life.world.fault(f"{removes}=403*2")
        done = life.onboard()
        assert done.code in (0, 1, 6), done.text
        assert_all_named(victim, done.text, there)
        if kind != "gcr" and not denied:
            assert life.there() == there, done.text  # it bears the run's mark, so it is no guess
        clear_faults(victim)
        # `verify` says it of no credential of Docker Hub: everybody gets a token there.
        assert pulls(life.world.running.environment, life.world.held(victim.name), life.kind.image)
