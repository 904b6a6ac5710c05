"""The product is killed where it hurts, and run again. The full form of this is `scripts/kill-suite`."""

from __future__ import annotations

import datetime as dt
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.fork_server import ForkServer, fork_server
from bootstrap.testing.harness.inventory import is_key, key_id
from bootstrap.testing.harness.kill_points import JOURNAL, Point, points, run, scene, wait_until
from bootstrap.testing.harness.kill_verdict import Verdict, tried
from bootstrap.testing.harness.world import World
from tests.harness.azure_state import applications, secrets
from tests.harness.concurrent_runs import raced

_PARTS = 4


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return fork_server()


def _all_good(verdicts: Sequence[Verdict], *, beside: str = "nothing") -> None:
    """All are good and were reached, but for calls that name `beside`, which may have been done before."""
    assert verdicts
    wrong = [f"{one}\n{one.said}" for one in verdicts if not one.good]
    assert not wrong, "\n\n".join(wrong)
    assert [one.points for one in verdicts if not one.reached and beside not in one.points[-1]] == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(_PARTS))
def test_an_onboarding_that_is_killed_anywhere_is_ended_by_the_next(server: ForkServer, part: int) -> None:
    every = points(server, "gcr", "onboard")
    calls = [one for one in every if one.where != JOURNAL]
    # Of the journal's writings every third is enough here; the full form has them all.
    chosen = calls + [one for one in every if one.where == JOURNAL][::3]
    _all_good([tried(server, "gcr", "onboard", one) for one in chosen[part::_PARTS]])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("machine", ["same", "another"])
def test_a_rotation_that_is_killed_at_any_call_is_ended_by_the_next(server: ForkServer, machine: str) -> None:
    calls = [one for one in points(server, "acr", "rotate") if one.where != JOURNAL]
    _all_good([tried(server, "acr", "rotate", one, machine=machine) for one in calls])


@pytest.mark.timeout(600)
def test_an_offboarding_that_is_killed_at_any_call_is_gone_on_with(server: ForkServer) -> None:
    calls = [one for one in points(server, "gcr", "offboard") if one.where != JOURNAL]
    _all_good([tried(server, "gcr", "offboard", one) for one in calls])


def test_an_offboarding_that_was_killed_when_all_was_gone_is_ended(server: ForkServer) -> None:
    """With its application gone, a target is found as another one than the journal has."""
    _all_good([tried(server, "acr", "offboard", Point("graph.DeleteApplication", 1, "after"))])


@pytest.mark.timeout(600)
def test_a_recovery_that_is_killed_is_recovered_from(server: ForkServer) -> None:
    first = Point("iam.CreateServiceAccountKey", 1, "after")
    calls = [one for one in points(server, "gcr", "onboard", first) if one.where != JOURNAL]
    # The role is granted beside the key: whether it was when the first run was killed, is not the same each
    # time.
    _all_good([tried(server, "gcr", "onboard", first, one) for one in calls], beside="SetIamPolicy")


def test_of_two_machines_at_once_one_credential_stays(server: ForkServer) -> None:
    _all_good([raced(server, "gcr", "onboard", late=late) for late in (0.0, 0.3)])


def test_a_password_of_a_token_that_a_killed_rotation_has_generated_does_not_block_the_next(
    server: ForkServer,
) -> None:
    """Both of a token's passwords are taken then, which the preflight refuses, were it asked first."""
    _all_good([tried(server, "acr-token", "rotate", Point("arm.GenerateCredentials", 1, "after"))])


def test_a_key_that_a_run_on_another_machine_has_left_is_named_and_not_deleted(server: ForkServer) -> None:
    point = Point("akka.docker.add-credentials", 1, "before")
    for kind in ("gcr", "acr", "docker-hub-user"):
        verdict = tried(server, kind, "onboard", point, machine="another")
        _all_good([verdict])
        assert any(is_key(line) for line in verdict.named), verdict


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("command", "point"),
    [
        ("onboard", Point("iam.UploadServiceAccountKey", 1, "after")),
        ("rotate", Point("akka.docker.add-credentials", 1, "before")),
    ],
)
def test_an_uploaded_key_that_a_run_has_left_is_deleted_by_a_later_run_on_another_machine(
    server: ForkServer, command: str, point: Point
) -> None:
    """Its mark says whose it is; until that run must have ended, the key is named and not deleted."""
    for machine in ("another", "later"):
        verdict = tried(server, "gcr-auto", command, point, machine=machine)
        _all_good([verdict])
        assert any(map(is_key, verdict.named)) == (machine == "another"), verdict


def test_an_offboarding_instead_of_the_same_command_clears_up_too(server: ForkServer) -> None:
    """The journal of a rotation that was killed must not be written over."""
    with scene(server, "gcr", "rotate") as victim:
        life = victim.life
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        gone = life.command("offboard", victim.name)
        assert gone.code == 0, gone.text
        assert life.there() == life.before


def test_what_a_lost_run_has_made_goes_if_the_next_one_fails(server: ForkServer) -> None:
    for kind in ("gcr", "acr", "acr-token"):
        # The identity and the grant are there then.
        last = next(
            one
            for one in points(server, kind, "onboard")
            if "Key" in one.where or "Password" in one.where or "Credentials" in one.where
        )
        with scene(server, kind, "onboard") as victim:
            life = victim.life
            assert victim.killed(last)
            assert life.there() != life.before
            life.world.fault("akka.docker.add-credentials=400*forever")
            failed = victim.run()
            assert failed.code in (1, 6), failed.text
            left = life.there() - life.before
            assert all(key_id(line) in failed.text for line in left if is_key(line)), failed.text
            assert bool(left) == (failed.code == 6), (left, failed.text)


@pytest.mark.parametrize(
    "point", [Point("graph.RestoreDeletedItem", 1, "after"), Point("graph.RemovePassword", 1, "before")]
)
def test_an_old_secret_of_an_application_that_a_lost_run_was_restoring_is_removed(
    server: ForkServer, point: Point
) -> None:
    with scene(server, "acr", "onboard") as victim:
        world = victim.life.world
        assert victim.run().code == 0
        (application,) = applications(world)
        (old,) = secrets(application)
        old.start -= dt.timedelta(hours=1)
        principal = world.cloud.state.principal_by_app_id(application.app_id)
        application.lifetime.removed = principal.lifetime.removed = world.cloud.state.now()
        world.akka.projects["shop"].registries.remove(victim.life.name, None)
        assert victim.killed(point)

        done = victim.run()

        assert done.code == 0, done.text
        (left,) = secrets(application)
        assert left.key_id != old.key_id


def test_a_registration_that_outlives_its_run_keeps_the_next_one_waiting(server: ForkServer) -> None:
    """The CLI goes on when the product is killed: it may register a key that the next run has just
    deleted.
    """
    with scene(server, "gcr", "onboard") as victim:
        life = victim.life
        with victim.held_at("akka.docker.add-credentials#1=slow=4") as (_, ending):
            victim.signal(signal.SIGKILL)
            wait_until(ending.done)
            early = victim.run()
        assert early.code == 1, early.text
        assert "Another pullkey is at work" in early.err
        wait_until(lambda: life.world.calls("akka.docker.add-credentials") == 1)
        time.sleep(0.3)
        late = victim.run()
        assert late.code == 0, late.text
        keys = [line for line in life.there() - life.before if is_key(line)]
        link = KeyRef.parse(life.world.held(life.name).email)
        assert link is not None
        assert [key_id(line) for line in keys] == [link.key_id]


# -- signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_a_call_waits_for_its_answer_and_undoes(server: ForkServer, number: int) -> None:
    with scene(server, "gcr", "onboard") as victim:
        for call in (
            "iam.CreateServiceAccount",
            "iam.CreateServiceAccountKey",
            "akka.docker.add-credentials",
        ):
            with victim.held_at(f"{call}#1=slow=2") as (_, ending):
                victim.signal(number)
                ended = ending.result()
            assert ended.code == 130, ended.text
            assert "undone: " in ended.err
            assert victim.life.there() == victim.life.before, ended.text


def test_a_second_signal_stops_at_once_and_says_what_may_be_left(server: ForkServer) -> None:
    with scene(server, "gcr", "onboard") as victim:
        life = victim.life
        with victim.held_at("iam.CreateServiceAccountKey#1=hang", done=True) as (_, ending):
            victim.signal(signal.SIGINT)
            time.sleep(0.5)
            victim.signal(signal.SIGINT)
            begin = time.monotonic()
            ended = ending.result()
        assert time.monotonic() - begin < 5
        assert ended.code == 130, ended.text
        assert "Stopped at once" in ended.err
        assert "Create a JSON key" in ended.err
        again = victim.run()
        assert again.code == 6, again.text
        keys = {key_id(line) for line in life.there() - life.before if is_key(line)}
        link = KeyRef.parse(life.world.held(life.name).email)
        assert link is not None
        assert all(key in again.text for key in keys - {link.key_id})


# -- two at once ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 4])
def test_targets_side_by_side_lose_no_binding(server: ForkServer, count: int) -> None:
    """Each has an account of its own, and the policy that they write is the same one."""
    with scene(server, "gcr", "onboard") as victim:
        life = victim.life

        def one(number: int) -> int:
            more = ("--service-account", f"akka-reader-{number}", "--secret-name", f"registry-{number}")
            return run(server, life, *victim.arguments, *more).code

        with ThreadPoolExecutor(count) as beside:
            codes = list(beside.map(one, range(count)))
        assert codes == [0] * count
        bindings = {line for line in life.there() - life.before if line.startswith("google binding")}
        assert len(bindings) == count, bindings
        assert life.before <= life.there()


def test_an_application_that_another_run_was_faster_to_make_is_not_taken_for_ours(acr: World) -> None:
    """An update of it that gets no answer looks like a creation that got none: our notes stand on it in
    both cases.
    """
    state = acr.cloud.state

    class Rival(Fault):
        def hits(self) -> bool:
            theirs = state.add_application("akka-docker-reader", unique_name="pullkey-akka-docker-reader")
            state.add_service_principal(theirs)
            return super().hits()

    acr.running.sandbox.faults.faults.append(Rival("graph.UpsertApplication", "lost"))
    acr.fault("graph.AddPassword=403*forever")
    failed = acr.onboard()
    assert failed.code == 1, failed.text
    assert acr.calls("graph.AddPassword") > 0
    (there,) = [one for one in state.applications if one.unique_name == "pullkey-akka-docker-reader"]
    assert there.lifetime.exists
    assert "run " in there.properties.get("notes", "")
