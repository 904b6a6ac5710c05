"""Ctrl-C, SIGTERM and a terminal that closes, at every call that changes something, and once more while it
is undone.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.figures import count
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.inventory import is_key, key_id
from bootstrap.testing.harness.kill_points import JOURNAL, Point, Victim, keys_of, points, scene, wait_until
from tests.harness.rollback import REFUSED, assert_all_named, clear_faults, undo_calls

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CALL_SECONDS = 15
"""What a call under way is given to answer."""


def _calls(kind: str, command: str) -> list[Point]:
    return [
        one for one in points(fork_server(), kind, command) if one.where != JOURNAL and one.when == "after"
    ]


def _signalled(victim: Victim, point: Point, number: int) -> None:
    """It comes while a call is on its way, whose answer is waited for; then all is undone, or named."""
    before = victim.life.there()
    with victim.held_at(f"{point.where}#{point.number}=slow=1.5") as (fault, ending):
        reached = fault.times == 0 or fault.taken
        victim.signal(number)
        ended = ending.result()
    undone = ended.code == 130 and victim.life.there() == before
    count(
        "signals",
        {
            "sent at a call": 1,
            "of these, undone whole, exit code 130": int(undone),
            "of these, left over and listed, exit code 6": int(ended.code == 6),
            "of these, too late for anything to undo, exit code 0": int(ended.code == 0),
            "of these, otherwise": int(not undone and ended.code not in (0, 6)),
        },
    )
    assert reached, f"{point} was not reached: {ended.text}"
    # After the last call there may be nothing left to be interrupted.
    assert ended.code in (0, 6, 130), f"{point}: {ended.text}"
    if ended.code == 130:
        assert "Interrupted: " in ended.err
        assert victim.life.there() == before, f"{point}: {ended.text}"
    if ended.code == 6:
        assert_all_named(victim, ended.text, before)


def test_a_signal_while_a_key_is_made_undoes_all() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        _signalled(victim, Point("iam.CreateServiceAccountKey", 1, "after"), signal.SIGTERM)


@pytest.mark.full
def test_a_key_that_was_on_its_way_when_a_signal_came_is_waited_for_and_taken_back() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        there = victim.life.there()
        with victim.held_at("iam.CreateServiceAccountKey#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 130, ended.text
        assert victim.life.there() == there, ended.text


@pytest.mark.full
def test_a_signal_while_a_lost_runs_key_is_deleted_waits_for_that() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        there = victim.life.there()
        assert victim.killed(Point("registry.GetManifest", 1, "before"))
        with victim.held_at("iam.DeleteServiceAccountKey#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 130, ended.text
        assert "Interrupted: waiting for the calls in progress, then rolling back." in ended.err
        assert "undone: deleted key" in ended.err
        assert victim.life.there() == there, ended.text


@pytest.mark.full
def test_a_signal_after_the_registration_rolls_nothing_back_and_does_not_say_so() -> None:
    """A key that Akka may hold is deleted once Akka shows the next one."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        before = {key_id(one) for one in victim.life.there() if is_key(one)}
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        with victim.held_at("iam.DeleteServiceAccountKey#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 0, ended.text
        assert "Interrupted: waiting for the calls in progress, then ending, since every step is" in ended.err
        assert "rolling back" not in ended.err
        assert "deleted key" in ended.text
        keys = {key_id(one) for one in victim.life.there() if is_key(one)}
        assert len(keys - before) == 1, keys


ENDING = "Interrupted: waiting for the calls in progress, then ending, since Akka has the new key"


def test_a_signal_while_the_old_key_is_disabled_ends_as_done() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        old = victim.life.link.key_id
        with victim.held_at("iam.DisableServiceAccountKey#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 0, ended.text
        assert ENDING in ended.err
        assert f"Disabled key {old}" in ended.err
        assert "left over" not in ended.text
        assert keys_of(victim)[old].endswith("disabled=True")
        assert victim.life.world.run("list").code == 0


@pytest.mark.full
def test_a_signal_while_pulls_with_the_old_key_get_their_time_leaves_that_key_on_record() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        old = victim.life.link.key_id
        calls = victim.life.world.running.sandbox.log.calls
        begin = len(calls)

        def registered() -> bool:
            methods = [one.method for one in calls[begin:]]
            return "docker.list-credentials" in methods[methods.index("docker.add-credentials") :]

        with victim.running(PULLKEY_OVERLAP="5m") as ending:
            wait_until(lambda: any(one.method == "docker.add-credentials" for one in calls[begin:]))
            wait_until(registered)
            time.sleep(1)
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 6, ended.text
        assert ENDING in ended.err
        assert f"left over: key {old}, which Akka no longer holds" in ended.err
        assert ended.err.count("left over: ") == 1, ended.err
        listed = victim.life.world.run("list")
        assert listed.code == 6, listed.text
        assert old in listed.text
        done = victim.run()
        assert done.code == 0, done.text
        assert f"undone: disabled key {old}" in done.err


@pytest.mark.full
def test_a_signal_while_akka_takes_the_new_key_leaves_the_old_one_on_record() -> None:
    """It cannot be rolled back, since Akka has replaced its record."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        old = victim.life.link.key_id
        with victim.held_at("akka.docker.add-credentials#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 6, ended.text
        assert "then rolling back, unless Akka has the new key by then" in ended.err
        assert f"left over: key {old}, which Akka no longer holds" in ended.err
        assert ended.err.count("left over: ") == 1, ended.err
        done = victim.run()
        assert done.code == 0, done.text
        assert f"undone: disabled key {old}" in done.err


def test_a_signal_while_a_key_is_enabled_again_waits_for_that_and_reports_it(tmp_path: Path) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        old, trail = victim.life.link.key_id, tmp_path / "trail.jsonl"
        assert victim.run().code == 0
        victim.command = f"rotate --restore --audit {trail} --output json"
        with victim.held_at("iam.EnableServiceAccountKey#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 0, ended.text
        assert "Interrupted: waiting for the calls in progress, then ending." in ended.err
        assert "No changes were made" not in ended.text
        assert keys_of(victim)[old].endswith("disabled=False")
        assert [one["result"] for one in ended.json["results"]] == ["done"]
        assert [json.loads(line)["outcome"] for line in trail.read_text().splitlines()] == ["done"]


@pytest.mark.full
def test_no_further_credential_is_begun_after_a_signal_to_one_that_ends_as_done() -> None:
    with scene(fork_server(), "gcr", "rotate --all") as victim:
        life = victim.life
        more = life.onboard("--secret-name", "another", "--service-account", "akka-second-reader")
        assert more.code == 0, more.text
        victim.name = "--all"
        victim.command = "rotate"
        with victim.held_at("iam.DisableServiceAccountKey#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 130, ended.text
        assert "1 of 2 credentials were done before the interruption." in ended.err
        assert "failed" not in ended.err


def test_no_further_registry_of_a_project_is_begun_after_a_signal() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        host = "europe-west1-docker.pkg.dev/acme-shop"
        services = victim.life.world.akka.projects["shop"].services
        services.update(checkout=f"{host}/containers/checkout:1.0", drill=f"{host}/tools/drill:1")
        victim.command, victim.name = "onboard --output json", "--from-project"
        with victim.held_at("iam.CreateServiceAccount#1=slow=1.5") as (_, ending):
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert ended.code == 130, ended.text
        assert victim.life.there() == victim.life.before, ended.text
        first, second = (one["registry"] for one in ended.json["registries"])
        assert f"0 of 2 registries done. Not done: {first}. Not begun: {second}." in ended.err
        assert [one["exit_code"] for one in ended.json["registries"]] == [130, None]


@pytest.mark.full
@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        # Until a key pulls it may take minutes, and to ask changes nothing.
        ("registry.GetManifest#2=403*forever", CALL_SECONDS),
        ("iam.CreateServiceAccountKey=hang*forever", 2 * CALL_SECONDS),
    ],
)
def test_a_signal_does_not_wait_for_what_may_never_come(fault: str, seconds: float) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        victim.more = ("--timeout", "2m")
        never = Fault.parse(fault)
        victim.life.world.running.sandbox.faults.faults.append(never)
        with victim.running() as ending:
            wait_until(lambda: never.taken > 0)
            begin = time.monotonic()
            victim.signal(signal.SIGTERM)
            ended = ending.result()
        assert time.monotonic() - begin < seconds, ended.text
        assert ended.code == 130, ended.text
        assert victim.life.there() == victim.life.before, ended.text


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_at_any_call_of_an_onboarding_undoes_all(kind: str, number: int) -> None:
    for point in _calls(kind, "onboard"):
        with scene(fork_server(), kind, "onboard") as victim:
            _signalled(victim, point, number)


def _signalled_again(kind: str, call: str, number: int) -> None:
    """Once more while it is undone: it stops at once, says what may be left, and the next run clears it
    up.
    """
    with scene(fork_server(), kind, "onboard") as victim:
        life = victim.life
        life.world.fault(REFUSED)
        hangs = Fault.parse(f"{call}=hang")
        life.world.running.sandbox.faults.faults.append(hangs)
        with victim.running() as ending:
            wait_until(lambda: hangs.taken > 0 or ending.done())
            assert hangs.taken, ending.result().text
            for _ in range(2):
                victim.signal(number)
            ended = ending.result()
        count(
            "signals",
            {
                "sent twice while it was undone": 1,
                "of these, not stopped at once with exit code 130": int(ended.code != 130),
            },
        )
        assert ended.code == 130, f"{call}: {ended.text}"
        assert "Stopped at once" in ended.err
        assert "Not rolled back: " in ended.err
        assert "Run the command again; it cleans up first" in ended.err
        clear_faults(victim)
        done = victim.run()
        assert done.code in (0, 6), f"{call}: {done.text}"
        keys = {key_id(line) for line in life.there() - life.before if is_key(line)}
        assert all(key == life.link.key_id or key in done.text for key in keys), f"{call}: {done.text}"
        gone = life.command("offboard", life.name)
        assert_all_named(victim, done.text + gone.text, life.before)


def test_a_second_signal_while_a_key_is_undone_leaves_it_to_the_next_run() -> None:
    _signalled_again("gcr", "iam.DeleteServiceAccountKey", signal.SIGINT)


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].creates_key])
def test_a_second_signal_at_any_call_of_the_undoing_leaves_the_rest_to_the_next_run(
    kind: str, number: int
) -> None:
    for call in undo_calls(kind):
        _signalled_again(kind, call, number)
