"""Someone else changes a key, a role or Akka's record while a run is at work."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Callable
from functools import partial

import pytest

from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.credential_life import KEY_CREATION
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import keys_of, scene, verifies
from bootstrap.testing.harness.world import World
from providers.gcr.emulator.state import generate_private_key
from tests.harness.azure_state import application_deleted, shop
from tests.harness.concurrent_change import During, during
from tests.harness.google_state import ACCOUNT, account_deleted
from tests.harness.marks import full_case
from tests.harness.rollback import REFUSED, fail_while


@pytest.mark.full
def test_an_identity_for_which_another_machine_has_made_a_key_meanwhile_stays() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        state = victim.life.world.cloud.state
        public = generate_private_key().public_key()
        with during(
            victim,
            "akka.docker.add-credentials",
            lambda: state.add_key(state.account(ACCOUNT), public),
            status=403,
        ):
            victim.more = ("--output", "json")
            failed = victim.run()
        assert failed.code == 1, failed.text
        (theirs,) = keys_of(victim)
        assert failed.err.count(f"kept, since another run has created key {theirs}, which needs it") == 2
        assert (
            sum(f"created key {theirs}, which needs it" in notice for notice in failed.json["notices"]) == 2
        )
        left = victim.life.there() - victim.life.before
        assert sum(line.startswith(("google account", "google binding")) for line in left) == 2
        # It is the other run's now, and no more this one's to undo.
        done = victim.run()
        assert "Clearing up after it" not in done.err
        # Nobody can know from here that it is in use: it is named, and the key that Akka has now is not.
        assert f"Key {theirs} of {ACCOUNT}, created 20" in done.err
        assert f"keys delete {theirs}" in done.err
        assert f"Key {victim.life.link.key_id} of" not in done.err


def test_an_identity_for_which_another_machine_makes_a_key_while_it_is_undone_stays() -> None:
    """Its deletion is refused as busy; the key appears before it is sent again."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        world = victim.life.world
        state, public = world.cloud.state, generate_private_key().public_key()
        with during(
            victim,
            "iam.DeleteServiceAccount",
            lambda: state.add_key(state.account(ACCOUNT), public),
            status=503,
        ):
            world.fault(REFUSED)
            failed = victim.run()
        assert failed.code == 1, failed.text
        (theirs,) = keys_of(victim)
        assert failed.err.count(f"kept, since another run has created key {theirs}, which needs it") == 1


@pytest.mark.parametrize(
    ("kind", "lose_identity"), [("gcr", account_deleted), full_case("acr", application_deleted)]
)
def test_a_key_that_another_run_has_deleted_with_its_identity_is_not_said_to_pull(
    kind: str, lose_identity: Callable[[World], None]
) -> None:
    """The other run was undone, and had not seen the key: it was created a moment ago."""
    with scene(fork_server(), kind, "onboard") as victim:
        world = victim.life.world
        there = world.names()
        with during(victim, "akka.docker.add-credentials", lambda: lose_identity(world)):
            victim.more = ("--timeout", "8s")
            failed = victim.run()
        assert failed.code in (1, 6), failed.text
        assert "does not pull" in failed.err
        assert world.names() == there


@pytest.mark.parametrize("command", [full_case("onboard"), "rotate"])
def test_a_key_that_akka_may_hold_stays_when_the_cli_goes_away(command: str) -> None:
    with scene(fork_server(), "gcr", command) as victim:
        cli = victim.life.world.akka.cli
        hidden = cli.with_name("hidden")
        with during(victim, "akka.docker.add-credentials", lambda: cli.rename(hidden)):
            failed = victim.run()
        hidden.rename(cli)
        assert failed.code == 6, failed.text
        assert "its key, role and identity were kept" in failed.err
        assert verifies(victim, victim.life.name)


@pytest.mark.full
def test_a_key_that_akka_may_hold_stays_where_its_list_shows_an_older_one() -> None:
    """Somebody had taken that away; it may be there again, or the list lags. Either way nobody knows of
    the new one.
    """
    with scene(fork_server(), "gcr", "rotate") as victim:
        world, name, older = victim.life.world, victim.name, victim.life.world.held(victim.name)
        for words in (("docker", "remove-credentials"), ("secrets", "delete")):
            command = [str(world.akka.cli), *words, name, "--project=shop"]
            subprocess.run(command, env=world.running.process_environment(), check=True, capture_output=True)
        there = set(keys_of(victim))
        shows = During("akka.docker.list-credentials", "slow")
        shows.happens = partial(
            world.akka.projects["shop"].put_credential, name, older, world.running.sandbox.now()
        )
        faults = world.running.sandbox.faults.faults
        with during(victim, "akka.docker.add-credentials", lambda: faults.append(shows)):
            told = victim.life.onboard()
        assert told.code == 6, told.text
        assert "though it shows the one before it" in told.err
        assert there < set(keys_of(victim))


@pytest.mark.full
@pytest.mark.parametrize(
    ("call", "how"), [("akka.docker.add-credentials", {"status": 403}), ("iam.CreateServiceAccountKey", {})]
)
def test_a_record_that_another_run_has_put_there_meanwhile_is_not_taken_away(
    call: str, how: dict[str, int]
) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        world = victim.life.world
        theirs = AkkaCredential(
            "https://europe-west1-docker.pkg.dev", "_json_key", "ops@example.com", "theirs"
        )
        name = "europe-west1-docker-pkg-dev-acme-shop-containers"
        register = partial(
            world.akka.projects["shop"].put_credential, name, theirs, world.running.sandbox.now()
        )
        with during(victim, call, register, **how):
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert world.held(name).password == "theirs"
        assert not keys_of(victim)


@pytest.mark.parametrize("key", ["another", "theirs"])
def test_a_record_that_was_registered_since_it_was_read_is_not_offboarded(key: str) -> None:
    """Of another registry by now, or of a rotation on another machine: it is removed by its name only."""
    with scene(fork_server(), "gcr", "offboard") as victim:
        world = victim.life.world
        state = world.cloud.state
        made = state.add_key(state.account(ACCOUNT), generate_private_key().public_key())
        server, email = (
            ("https://registry.acme.example", "ops@example.com")
            if key == "another"
            else ("https://europe-west1-docker.pkg.dev", ACCOUNT.replace("@", f"+{made.id}@"))
        )
        theirs = AkkaCredential(server, "_json_key", email, "theirs")
        there = set(keys_of(victim))
        put = partial(
            world.akka.projects["shop"].put_credential, victim.name, theirs, world.running.sandbox.now()
        )
        with during(victim, "akka.docker.list-credentials#3", put):
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert world.held(victim.name).password == "theirs"
        assert set(keys_of(victim)) == there


@pytest.mark.full
def test_a_look_for_strays_that_fails_fails_nothing() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        world = victim.life.world
        denied = partial(world.fault, "iam.ListServiceAccountKeys=403*forever")
        with during(victim, KEY_CREATION["gcr"], denied):
            done = victim.run()
        assert done.code == 0, done.text


@pytest.mark.full
def test_a_password_that_somebody_else_was_faster_to_generate_stays() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        token = shop(victim.life.world).tokens[victim.life.link.name]
        theirs = partial(victim.life.world.cloud.state.add_password, token, "password2")
        with during(victim, "arm.GetToken#4", theirs):
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert "Another program has just generated password2" in failed.err
        assert set(token.passwords) == {"password1", "password2"}


@pytest.mark.full
def test_a_password_that_was_generated_again_since_is_not_this_runs_to_remove() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        state, token = victim.life.world.cloud.state, shop(victim.life.world).tokens[victim.life.link.name]
        later = state.now() + dt.timedelta(hours=1)
        text = fail_while(victim, lambda: state.add_password(token, "password2", created=later))
        assert "removed password2" not in text
        assert token.passwords["password2"].created == later


@pytest.mark.full
def test_a_record_that_is_of_another_identity_by_the_time_of_a_rotation_is_not_retired() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        world = victim.life.world
        old = victim.life.link.key_id
        theirs = AkkaCredential(
            "https://europe-west1-docker.pkg.dev", "_json_key", "ops@example.com", "theirs"
        )
        put = partial(
            world.akka.projects["shop"].put_credential, victim.name, theirs, world.running.sandbox.now()
        )
        with during(victim, "akka.docker.list-credentials#2", put):
            done = victim.run()
        assert done.code in (0, 1, 3), done.text
        assert not keys_of(victim)[old].endswith("disabled=True")
