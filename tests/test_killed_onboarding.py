"""An onboarding was killed: the next run removes what no one needs, and keeps what others came to need."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bootstrap.testing.harness.credential_life import KEY_CREATION
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import JOURNAL, Point, keys_of, scene, verifies
from providers.docker_hub.emulator.seed import USER
from providers.docker_hub.emulator.state import Pat
from tests.harness.azure_state import shop
from tests.harness.concurrent_change import during
from tests.harness.google_state import ACCOUNT
from tests.harness.marks import full_case
from tests.harness.rollback import REFUSED, SECOND, clear_faults, fail_while


@pytest.mark.parametrize("kind", ["gcr", full_case("acr"), full_case("acr-token")])
def test_a_pull_that_works_outlives_a_run_that_fails_after_one_that_was_killed(kind: str) -> None:
    """It was killed after Akka had its key, so its identity and role are that key's, and no more a lost
    run's.
    """
    with scene(fork_server(), kind, "onboard") as victim:
        assert victim.killed(Point("akka.docker.add-credentials", 1, "after"))
        (name,) = victim.life.world.names()
        there = victim.life.there()
        victim.life.world.fault(f"{KEY_CREATION[kind]}=403*forever")
        failed = victim.life.command("rotate", name)
        assert failed.code == 1, failed.text
        assert victim.life.there() == there, failed.text
        assert "this stays" not in failed.err  # it was never this run's
        clear_faults(victim)
        assert verifies(victim, name)


@pytest.mark.parametrize("kind", ["gcr", full_case("acr"), full_case("acr-token")])
def test_an_identity_that_another_record_came_to_need_stays_when_the_next_run_fails(kind: str) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        life = victim.life
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        other = life.onboard("--secret-name", SECOND)
        assert other.code == 0, other.text
        life.world.fault(f"{KEY_CREATION[kind]}=403*forever")
        failed = victim.run()
        assert failed.code in (1, 6), failed.text
        assert "this stays" not in failed.err
        clear_faults(victim)
        assert verifies(victim, SECOND), failed.text


@pytest.mark.full
def test_an_identity_that_was_all_of_a_lost_run_stays_once_another_record_needs_it() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        assert victim.killed(Point("iam.CreateServiceAccount", 1, "after"))
        other = life.onboard("--secret-name", SECOND)
        assert other.code == 0, other.text
        life.world.fault(f"{KEY_CREATION['gcr']}=403*forever")
        failed = victim.run()
        assert failed.code == 1, failed.text
        assert "this stays" not in failed.err
        clear_faults(victim)
        # The key of the one is in use, and so no stray of the other.
        second = keys_of(victim)
        done = victim.run()
        assert done.code == 0, done.text
        assert not any(f"Key {key} of" in done.err for key in second)
        assert verifies(victim, SECOND)


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "point"),
    [
        # A Google key is recognised only by its id, which the journal has then.
        ("gcr", Point(JOURNAL, 7, "after")),
        ("acr", Point(KEY_CREATION["acr"], 1, "after")),
        ("acr-token", Point(KEY_CREATION["acr-token"], 1, "after")),
    ],
)
def test_what_a_lost_run_made_beside_its_key_goes_if_the_next_one_fails(kind: str, point: Point) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        assert victim.killed(point)
        (lost,) = keys_of(victim)
        victim.life.world.fault(f"{KEY_CREATION[kind]}=403*forever")
        failed = victim.run()
        assert failed.code == 1, failed.text
        assert victim.life.there() == victim.life.before
        assert "did not end. Clearing up after it" in failed.err
        assert re.search(f"undone: (deleted key|removed|removed secret) {lost}", failed.err)


def test_a_list_that_still_shows_a_deleted_key_keeps_nothing_of_a_lost_run() -> None:
    """It is this run that has deleted it, so it is no other run's that needs the identity."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        assert victim.killed(Point(JOURNAL, 7, "after"))
        life.world.fault("iam.CreateServiceAccountKey=403*forever")
        with during(
            victim,
            "iam.DeleteServiceAccountKey",
            lambda: life.world.fault("iam.ListServiceAccountKeys=stale*forever"),
        ):
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert life.there() == life.before, failed.text


def test_a_lost_secret_is_deleted_though_its_application_is_not_shown_for_a_while() -> None:
    with scene(fork_server(), "acr", "onboard") as victim:
        assert victim.killed(Point(KEY_CREATION["acr"], 1, "after"))
        (lost,) = keys_of(victim)
        victim.life.world.fault("graph.GetApplication=404;code=Request_ResourceNotFound*8")

        done = victim.run()

        assert f"undone: removed secret {lost}" in done.err
        assert done.code == 0, done.text
        assert lost not in keys_of(victim)


def test_what_a_lost_run_for_another_target_has_made_is_for_that_target_to_end() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        assert victim.killed(Point("iam.CreateServiceAccountKey", 1, "after"))
        there = victim.life.there()
        name = "europe-west1-docker-pkg-dev-acme-shop-containers"
        other = victim.life.onboard(
            "--server", "europe-west1-docker.pkg.dev/acme-shop/tools", "--image", "", "--secret-name", name
        )
        assert other.code == 1, other.text
        assert "has this same Akka secret" in other.err
        assert "End it first: pullkey onboard gcr" in other.err
        assert victim.life.there() == there


@pytest.mark.full
def test_nothing_is_cleared_up_before_akka_can_be_asked() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        there = victim.life.there()
        victim.life.world.akka.mode = "logged-out"
        refused = victim.run()
        assert refused.code == 3, refused.text
        assert victim.life.there() == there
        victim.life.world.akka.mode = "current"
        assert victim.run().code == 0


@pytest.mark.full
def test_a_key_whose_account_is_gone_needs_no_undoing() -> None:
    """Its creation went unanswered, and so did nothing else of the run that was killed there."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        assert victim.killed(Point("iam.CreateServiceAccountKey", 1, "after"))
        state = victim.life.world.cloud.state
        state.delete_account(state.account(ACCOUNT))
        done = victim.run()
        assert done.code == 0, done.text
        assert set(keys_of(victim)) == {victim.life.link.key_id}


@pytest.mark.full
def test_what_somebody_has_taken_over_of_a_lost_run_stays() -> None:
    with scene(fork_server(), "acr-token", "onboard") as victim:
        assert victim.killed(Point("arm.PutScopeMap", 1, "after"))
        (name, ours), *_ = (
            (key, one)
            for key, one in shop(victim.life.world).scope_maps.items()
            if "pullkey" in (one.description or "")
        )
        text = fail_while(victim, lambda: setattr(ours, "description", "Somebody else's."))
        assert "deleted the scope map" not in text
        assert name in shop(victim.life.world).scope_maps


@pytest.mark.full
def test_a_token_that_somebody_else_has_made_where_a_lost_run_was_about_to_stays() -> None:
    """The lost run found the scope map there, so nothing says that the token is of its making."""
    with scene(fork_server(), "acr-token", "offboard") as victim:
        tokens, name = shop(victim.life.world).tokens, victim.life.link.name
        assert victim.life.command("offboard", victim.name, "--keep-identity").code == 0
        del tokens[name]
        victim.command = "onboard"
        assert victim.killed(Point("arm.PutToken", 1, "before"))
        victim.life.world.cloud.state.add_token(shop(victim.life.world), name, name)
        text = fail_while(victim, lambda: None)
        assert "deleted the token" not in text
        assert name in tokens


@pytest.mark.full
@pytest.mark.parametrize("brings", ["a login", "a token"])
def test_of_a_lost_run_to_which_a_token_was_brought_there_is_nothing_to_delete(brings: str) -> None:
    with scene(fork_server(), "docker-hub-user", "onboard") as victim:
        life = victim.life
        theirs = Pat("Somebody's own", ("repo:read",), life.world.running.sandbox.now())
        life.world.cloud.state.user(USER).tokens.append(theirs)
        login = life.kind
        life.kind = replace(login, options=("--token-stdin",), stdin=theirs.text)
        assert victim.killed(Point(JOURNAL, 1, "after"))
        if brings == "a login":
            life.kind = login
        done = victim.run()
        assert done.code == 0, done.text
        assert "undone" not in done.err
        assert theirs in life.world.cloud.state.user(USER).tokens


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcr", "acr-token"])
def test_what_somebody_else_has_made_in_the_place_of_a_lost_runs_stays(kind: str) -> None:
    """It bears another run's mark, or none: so it is not the lost run's to take away."""
    call = {"gcr": "iam.CreateServiceAccount", "acr-token": "arm.PutScopeMap"}[kind]
    with scene(fork_server(), kind, "onboard") as victim:
        state = victim.life.world.cloud.state
        assert victim.killed(Point(call, 1, "after"))
        if kind == "gcr":
            state.account(ACCOUNT).description = "Somebody else's."
        else:
            (scope_map,) = [
                one
                for one in state.registry("acmeshop").scope_maps.values()
                if "pullkey" in (one.description or "")
            ]
            scope_map.description = "Somebody else's."
        there = victim.life.there()
        victim.life.world.fault(REFUSED)
        failed = victim.run()
        assert failed.code in (1, 3, 6), failed.text
        assert there <= victim.life.there(), failed.text
