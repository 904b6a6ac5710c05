"""What clears up fails too, or meets a world that others have changed meanwhile: nothing is lost, nothing is untold."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bootstrap.sandbox.akka import AkkaCredential
from bootstrap.sandbox.faults import Fault
from providers.docker_hub.emulator.seed import USER
from providers.docker_hub.emulator.state import Pat
from providers.gcr.emulator.state import generate_private_key
from tests.harness.fork_server import fork_server
from tests.harness.inventory import is_key, key_id
from tests.harness.kill_points import JOURNAL, Point, Victim, scene
from tests.harness.rollback import REFUSED, assert_all_named, clear_faults, undo_calls
from tests.harness.terminal import run_in_terminal
from tests.harness.undo_failure import SAID

SECOND = "second"
MAKES_A_KEY = {"gcr": "iam.CreateServiceAccountKey", "acr": "graph.AddPassword", "acr-token": "arm.GenerateCredentials"}  # fmt: skip


def _full(*values: object) -> Any:
    """A case that takes long enough to be left to scripts/test-full."""
    return pytest.param(*values, marks=pytest.mark.full)


def _pulls(victim: Victim, name: str) -> bool:
    world = victim.life.world
    return "Pull verified" in world.run("verify", name, "--credential-stdin", stdin=world.held(name).password).err  # fmt: skip


# -- what a lost run has made, and what others need of it --------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["gcr", _full("acr"), _full("acr-token")]
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
        assert "this stays" not in failed.err  # it was never this run's
        clear_faults(victim)
        assert _pulls(victim, name)


@pytest.mark.parametrize(
    "kind", ["gcr", _full("acr"), _full("acr-token")]
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
        assert "this stays" not in failed.err
        clear_faults(victim)
        assert _pulls(victim, SECOND), failed.text


@pytest.mark.full
def test_an_identity_that_was_all_of_a_lost_run_stays_once_another_record_needs_it() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        assert victim.killed(Point("iam.CreateServiceAccount", 1, "after"))
        other = life.onboard("--secret-name", SECOND)
        assert other.code == 0, other.text
        life.world.fault(f"{MAKES_A_KEY['gcr']}=403*forever")
        failed = victim.run()
        assert failed.code == 1, failed.text
        assert "this stays" not in failed.err
        clear_faults(victim)
        # The key of the one is in use, and so no stray of the other.
        second = _keys(victim)
        done = victim.run()
        assert done.code == 0, done.text
        assert not any(f"Key {key} of" in done.err for key in second)
        assert _pulls(victim, SECOND)


# -- the undoing fails too ---------------------------------------------------------------------------------------------

QUICK = [("docker-hub-user", "403")]
FULL = [
    (kind, fault)
    for kind in ("gcr", "gcr-upload", "acr", "acr-token", "docker-hub-user", "docker-hub-organization")
    for fault in ("403", "401", "503", "reset", "malformed", "types")
    if (kind, fault) not in QUICK
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "fault"), [*QUICK, *(_full(*one) for one in FULL)]
)  # fmt: skip
def test_what_cannot_be_undone_is_named_with_what_removes_it_and_stops_nothing_else(
    kind: str, fault: str
) -> None:
    """Each call of the undoing in turn fails, forever."""
    for call in undo_calls(kind):
        with scene(fork_server(), kind, "onboard") as victim:
            life = victim.life
            life.world.fault(REFUSED)
            life.world.fault(f"{call}={fault}*forever")
            failed = victim.run()
            assert failed.code in (1, 6), f"{call}: {failed.text}"
            assert "does not expect" not in failed.text, f"{call}: {failed.text}"
            left = life.there() - life.before
            assert bool(left) <= (failed.code == 6), f"{call}: {left} {failed.text}"
            assert_all_named(victim, failed.text, life.before)
            # What is left is found by the next run, which ends with one key.
            clear_faults(victim)
            done = victim.run()
            assert done.code in (0, 6), f"{call}: {done.text}"
            gone = life.command("offboard", life.name)
            assert gone.code in (0, 6), f"{call}: {gone.text}"
            assert_all_named(victim, failed.text + done.text + gone.text, life.before)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        ("gcr", ("iam.DeleteServiceAccountKey", "artifactregistry.SetIamPolicy#2", "iam.DeleteServiceAccount")),
        ("acr", ("arm.DeleteRoleAssignment", "graph.DeleteApplication")),
    ],
)  # fmt: skip
def test_a_cloud_that_hangs_altogether_is_not_waited_for_at_each_step(
    kind: str, calls: Sequence[str]
) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        life = victim.life
        life.world.fault(REFUSED)
        for call in calls:
            life.world.fault(f"{call}=hang*forever")
        begin = time.monotonic()
        failed = victim.run(PULLKEY_TIMEOUT="5s")
        seconds = time.monotonic() - begin
        assert failed.code == 6, failed.text
        assert_all_named(victim, failed.text, life.before)
        # A minute for all of the undoing, in which each step is tried for some seconds at least.
        assert seconds < 5 + 60 + 20


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("gcr", "iam.DeleteServiceAccount"),
        ("gcr", "iam.DeleteServiceAccountKey"),
        _full("acr", "graph.DeleteApplication"),
        _full("acr", "graph.RemovePassword"),
        _full("acr", "arm.DeleteRoleAssignment"),
        _full("acr-token", "arm.DeleteToken"),
        _full("acr-token", "arm.DeleteScopeMap"),
    ],
)  # fmt: skip
def test_what_a_cloud_says_is_gone_and_still_shows_is_named(kind: str, call: str) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        life = victim.life
        assert victim.run().code == 0
        (name,) = life.world.names()
        keys = {line for line in life.there() - life.before if is_key(line)}
        life.world.fault(f"{call}=404*forever")
        rotates = call.endswith(("Key", "Password"))
        done = life.command("rotate", name, "--keep-old", "0") if rotates else life.command("offboard", name)
        assert done.code == 6, done.text
        left = (keys & life.there()) if rotates else life.there() - life.before
        assert left, done.text
        assert_all_named(victim, done.text, life.there() - left)


def test_a_role_that_could_not_be_taken_back_is_named_as_google_shows_it_then(tmp_path: Path) -> None:
    """Its account is deleted all the same, and what takes the role from the account does not take it from that."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        victim.life.world.fault(REFUSED)
        victim.life.world.fault("artifactregistry.SetIamPolicy#2=403")
        trail = tmp_path / "audit.jsonl"
        victim.more = ("--audit", str(trail))
        failed = victim.run()
        assert failed.code == 6, failed.text
        changes = [json.loads(line) for line in trail.read_text().splitlines()]
        assert [one["step"] for one in changes if one["outcome"] == "left over"] == ["grant"]
        (left,) = victim.life.there() - victim.life.before
        assert "deleted:serviceAccount:akka-docker-reader@" in left
        assert_all_named(victim, failed.text, victim.life.before)


# -- what a lost rotation or offboarding was about ---------------------------------------------------------------------

REGISTERED = Point("akka.docker.add-credentials", 1, "after")
SWITCHED = [("gcr", "rotate"), ("gcr", "rotate --keep-old 0")]


def _keys(victim: Victim) -> dict[str, str]:
    """Of ours that are there: what stands in the inventory, by id."""
    return {key_id(line): line for line in victim.life.there() - victim.life.before if is_key(line)}


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
            assert _keys(victim)[old].endswith("disabled=True")
            assert f"undone: disabled key {old}" in done.err
        else:
            assert old not in _keys(victim)
            assert f"undone: deleted key {old}" in done.err
        assert _pulls(victim, victim.name)


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
        assert "undone" not in done.err
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
        assert _pulls(victim, victim.name)


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
        old = set(_keys(victim))
        assert len(old) == (2 if kind == "gcr" else 1)
        assert victim.killed(Point("akka.secrets.delete", 1, "after"))
        done = life.onboard()
        assert done.code == 0, done.text
        assert set(_keys(victim)) == {life.link.key_id}
        assert all(f"undone: deleted key {key}" in done.err for key in old)
        assert life.command("offboard", life.name).code == 0
        assert life.there() == life.before


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
        assert set(_keys(victim)) == {first, life.link.key_id}


@pytest.mark.full
def test_keys_of_a_lost_offboarding_that_cannot_be_deleted_are_named() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        assert victim.run().code == 0
        assert life.command("rotate", life.name).code == 0
        victim.command, victim.name = "offboard", life.name
        old = set(_keys(victim))
        assert victim.killed(Point("akka.secrets.delete", 1, "after"))
        life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        told = life.onboard("--output", "json")
        assert told.code == 6, told.text
        commands = [left["command"] for left in told.json["left_over"]]
        assert all(any(f"keys delete {key}" in command for command in commands) for key in old), told.text


ANOTHER = ("--service-account", "akka-second-reader", "--replace")


def _replaced_and_killed(victim: Victim) -> tuple[str, set[str]]:
    """A run that gave Akka's secret to another identity, killed before it could part with the first one."""
    first = set(_keys(victim))
    victim.command, victim.more = "onboard", ANOTHER
    assert victim.killed(REGISTERED)
    return victim.life.name, first


@pytest.mark.parametrize("command", [*map(_full, ["onboard", "rotate"]), "offboard"])
def test_what_stood_behind_a_record_that_a_lost_run_replaced_is_named_and_stays(command: str) -> None:
    """It is another identity's, and only the journal says so: a person removes it, by the command that is shown."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        name, first = _replaced_and_killed(victim)
        (key,) = first
        done = victim.run() if command == "onboard" else life.command(command, name)
        assert done.code == 6, done.text
        assert f"keys delete {key} --iam-account=akka-docker-reader@" in done.err
        assert "service-accounts delete akka-docker-reader@" in done.err
        assert first <= set(_keys(victim)), done.text
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
        (lost,) = set(_keys(victim)) - {held}
        victim.life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        told = victim.life.onboard("--output", "json")
        assert told.code == 6, told.text
        assert told.json["error"] is None
        assert not any(lost in notice for notice in told.json["notices"])  # once is enough
        (left,) = told.json["left_over"]
        assert lost in left["what"]
        assert f"keys delete {lost}" in left["command"]
        # The one that Akka goes on with is as good as before.
        assert victim.life.link.key_id == held
        assert _keys(victim)[held].endswith("disabled=False")
        # It was told, so it is not told again.
        clear_faults(victim)
        assert victim.life.onboard().code == 0


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcr", "acr", "acr-token"])
def test_what_a_lost_run_made_beside_its_key_goes_if_the_next_one_fails(kind: str) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        (lost,) = _keys(victim)
        victim.life.world.fault(f"{MAKES_A_KEY[kind]}=403*forever")
        failed = victim.run()
        assert failed.code == 1, failed.text
        assert victim.life.there() == victim.life.before
        assert "did not end; clearing up after it" in failed.err
        assert re.search(f"undone: (deleted key|removed|removed secret) {lost}", failed.err)


@pytest.mark.full
def test_a_role_of_a_run_that_fails_goes_although_its_identity_has_keys_from_before() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        there = victim.life.there()
        victim.life.world.fault(REFUSED)
        failed = victim.life.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/tools", "--image", "")
        assert failed.code == 1, failed.text
        assert victim.life.there() == there, failed.text


@pytest.mark.full
def test_a_role_goes_again_although_akka_holds_a_key_of_an_account_that_was_given() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        state = life.world.cloud.state
        state.add_account("acme-shop", "puller", created=state.now() - dt.timedelta(days=1))
        victim.more = ("--service-account", "puller@acme-shop.iam.gserviceaccount.com")
        assert victim.run().code == 0
        granted = state.repository("acme-shop", "europe-west1", "containers").policy
        without = granted.read(3)
        del without.bindings[:]
        granted.write(without, audit_configs=False, now=state.now())
        there = life.there()
        victim.more = (*victim.more, "--new-key")
        life.world.fault(REFUSED)
        failed = victim.run()
        assert failed.code == 1, failed.text
        assert life.there() == there, failed.text


@pytest.mark.full
def test_an_identity_goes_although_its_key_could_not_be_deleted() -> None:
    """The key is this run's own, so it is no other's that would need the identity; and goes with it."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        victim.life.world.fault(REFUSED)
        victim.life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        failed = victim.run()
        assert failed.code == 6, failed.text
        assert "this stays" not in failed.err
        assert victim.life.there() == victim.life.before, failed.text


@pytest.mark.full
def test_of_each_change_that_was_undone_the_trail_and_the_answer_tell(tmp_path: Path) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        victim.life.world.fault(REFUSED)
        trail = tmp_path / "audit.jsonl"
        failed = victim.life.onboard("--output", "json", "--audit", str(trail))
        assert failed.code == 1, failed.text
        assert {step["name"]: step["result"] for step in failed.json["steps"]} == {
            "identity": "undone", "grant": "undone", "key": "undone", "handshake": "done", "handoff": "failed",
        }  # fmt: skip
        changes = [json.loads(line) for line in trail.read_text().splitlines()]
        outcomes = [(one["step"], one["outcome"]) for one in changes if "outcome" in one]
        assert sorted(outcomes[:3]) == [("grant", "done"), ("identity", "done"), ("key", "done")]
        assert outcomes[3:] == [
            ("handoff", "failed"), ("handoff", "undone"), ("key", "undone"), ("grant", "undone"), ("identity", "undone"),
        ]  # fmt: skip
        (made,) = (one for one in changes if one.get("step") == "key" and one["outcome"] == "done")
        assert made["key_id"] in failed.json["undone"][1]
        assert all(f"undone: {what}" in failed.err for what in failed.json["undone"])


# -- what else may stand in the way ------------------------------------------------------------------------------------


def test_what_a_lost_run_for_another_target_has_made_is_for_that_target_to_end() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        assert victim.killed(Point("iam.CreateServiceAccountKey", 1, "after"))
        there = victim.life.there()
        name = "europe-west1-docker-pkg-dev-acme-shop-containers"
        other = victim.life.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/tools", "--image", "", "--secret-name", name)  # fmt: skip
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
@pytest.mark.parametrize("command", ["onboard", "offboard"])
def test_nothing_is_cleared_up_without_being_asked(command: str) -> None:
    with scene(fork_server(), "gcr", "rotate --keep-old 0") as victim:
        assert victim.killed(REGISTERED)
        there = victim.life.there()
        arguments = ("onboard", "gcr") if command == "onboard" else ("offboard", victim.name)
        code, text = run_in_terminal(victim.life.world, *arguments, answer="n")
        assert code == 3, text
        assert "Remove what it created that is unused?" in text
        assert "nothing was changed" in text
        assert victim.life.there() == there
        if command == "onboard":  # an offboarding asks once more
            code, text = run_in_terminal(victim.life.world, *arguments, answer="y")
            assert code == 0, text
            assert victim.life.there() != there


@pytest.mark.full
def test_an_offboarding_that_is_declined_changes_nothing() -> None:
    with scene(fork_server(), "gcr", "offboard") as victim:
        there = victim.life.there()
        code, text = run_in_terminal(victim.life.world, "offboard", victim.name, answer="n")
        assert code == 3, text
        assert victim.life.there() == there


# -- somebody is faster, or something goes away, in the middle of a run ------------------------------------------------


class _Meanwhile(Fault):
    """What happens while a call is answered."""

    happens: Callable[[], object]

    def hits(self) -> bool:
        hit = super().hits()
        if hit:
            self.happens()
        return hit


@contextlib.contextmanager
def _meanwhile(victim: Victim, call: str, happens: Callable[[], object], **fault: Any) -> Iterator[None]:
    """With `status` the call is refused too; without, it is done."""
    pattern, _, number = call.partition("#")
    one = _Meanwhile(pattern, "status" if fault else "slow", skips=int(number or 1) - 1, **fault)
    one.happens = happens
    plan = victim.life.world.running.sandbox.faults.faults
    plan.insert(0, one)
    yield
    assert one.taken, f"{call} was never called"
    plan.clear()


ACCOUNT = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"


@pytest.mark.full
def test_an_identity_for_which_another_machine_has_made_a_key_meanwhile_stays() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        state = victim.life.world.cloud.state
        public = generate_private_key().public_key()
        with _meanwhile(
            victim, "akka.docker.add-credentials", lambda: state.add_key(state.account(ACCOUNT), public), status=403
        ):  # fmt: skip
            victim.more = ("--output", "json")
            failed = victim.run()
        assert failed.code == 1, failed.text
        (theirs,) = _keys(victim)
        assert failed.err.count(f"this stays, since key {theirs} needs it") == 2
        assert sum(f"since key {theirs} needs it" in notice for notice in failed.json["notices"]) == 2
        left = victim.life.there() - victim.life.before
        assert sum(line.startswith(("google account", "google binding")) for line in left) == 2
        # It is the other run's now, and no more this one's to undo.
        done = victim.run()
        assert "clearing up after it" not in done.err
        # Nobody can know from here that it is in use: it is named, and the key that Akka has now is not.
        assert f"Key {theirs} of {ACCOUNT}, made 20" in done.err
        assert f"keys delete {theirs}" in done.err
        assert f"Key {victim.life.link.key_id} of" not in done.err


@pytest.mark.full
@pytest.mark.parametrize("call", ["iam.ListServiceAccountKeys#2", "akka.docker.add-credentials"])
def test_what_a_run_has_made_goes_where_it_cannot_be_seen_whether_others_use_it(call: str) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        world = victim.life.world
        with _meanwhile(
            victim, call, lambda: world.fault("iam.ListServiceAccountKeys=403*forever"), status=403
        ):
            world.fault(REFUSED)
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert victim.life.there() == victim.life.before, failed.text


@pytest.mark.parametrize("command", [_full("onboard"), "rotate"])
def test_a_key_that_akka_may_hold_stays_when_the_cli_goes_away(command: str) -> None:
    with scene(fork_server(), "gcr", command) as victim:
        cli = victim.life.world.akka.cli
        hidden = cli.with_name("hidden")
        with _meanwhile(victim, "akka.docker.add-credentials", lambda: cli.rename(hidden)):
            failed = victim.run()
        hidden.rename(cli)
        assert failed.code == 6, failed.text
        assert "its key, role and identity were kept" in failed.err
        assert _pulls(victim, victim.life.name)


@pytest.mark.full
def test_a_key_that_akka_may_hold_stays_where_its_list_shows_an_older_one() -> None:
    """Somebody had taken that away; it may be there again, or the list lags. Either way nobody knows of the new one."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        world, name, older = victim.life.world, victim.name, victim.life.world.held(victim.name)
        for words in (("docker", "remove-credentials"), ("secrets", "delete")):
            command = [str(world.akka.cli), *words, name, "--project=shop"]
            subprocess.run(command, env=world.running.process_environment(), check=True, capture_output=True)
        there = set(_keys(victim))
        shows = _Meanwhile("akka.docker.list-credentials", "slow")
        shows.happens = partial(
            world.akka.projects["shop"].put_credential, name, older, world.running.sandbox.now()
        )
        faults = world.running.sandbox.faults.faults
        with _meanwhile(victim, "akka.docker.add-credentials", lambda: faults.append(shows)):
            told = victim.life.onboard()
        assert told.code == 6, told.text
        assert "though it shows an older one" in told.err
        assert there < set(_keys(victim))


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
        with _meanwhile(victim, call, register, **how):
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert world.held(name).password == "theirs"
        assert not _keys(victim)


# -- a key on its way out ----------------------------------------------------------------------------------------------


@pytest.mark.full
def test_a_replaced_key_that_is_gone_when_its_turn_comes_is_gone() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        account = victim.life.world.cloud.state.account(ACCOUNT)
        old = victim.life.link.key_id
        with _meanwhile(victim, "akka.docker.add-credentials", lambda: account.keys.pop(old)):
            done = victim.run()
        assert done.code == 0, done.text
        assert f"Key {old} was already deleted" in done.err
        # So it is with the one whose grace is cut short by the next.
        assert victim.run().code == 0
        older = victim.life.link.replaces
        with _meanwhile(victim, "iam.DeleteServiceAccountKey", lambda: account.keys.pop(older)):
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
        assert _pulls(victim, victim.name)
        # Nor does the run after it fail, which deletes it before it makes the next.
        clear_faults(victim)
        assert victim.run().code == 0
        assert old not in _keys(victim)


@pytest.mark.full
def test_a_rotation_that_cannot_be_taken_back_says_why() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        account = life.world.cloud.state.account(ACCOUNT)

        def restored() -> str:
            told = life.command("rotate", victim.name, "--restore")
            assert told.code in (0, 1), told.text
            return told.err

        assert "names no key that was replaced" in restored()
        old = life.link.key_id
        assert victim.run().code == 0
        assert f"Key {old} is enabled again" in restored()
        assert f"Key {old} is enabled already" in restored()
        del account.keys[old]
        assert f"Key {old} is deleted, which cannot be taken back" in restored()


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
        assert old not in _keys(victim)
        assert _pulls(victim, victim.name)


@pytest.mark.full
def test_keys_of_another_identity_are_not_this_ones_to_retire() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        assert victim.run().code == 0
        first = set(_keys(victim))
        life.world.fault("iam.DeleteServiceAccountKey=403*forever")
        done = life.onboard(*ANOTHER, "--output", "json")
        assert done.code == 6, done.text
        assert done.json["changed"]
        assert all(f"keys delete {key}" in done.err for key in first), done.text


@pytest.mark.full
def test_a_file_that_gives_akkas_secret_to_another_identity_has_no_old_key_to_retire(tmp_path: Path) -> None:
    """What stood behind the record goes with its identity, and is not this one's to switch off."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        assert victim.run().code == 0
        first = set(_keys(victim))
        file = tmp_path / "registries.yaml"
        file.write_text(
            "version: 1\ntargets:\n  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers, "
            "akka-project: shop, service-account: akka-second-reader, replace: true}\n"
        )
        done = victim.life.world.run("apply", "-f", str(file), "--yes", "--output", "json")
        assert done.code == 0, done.text
        assert {step["name"] for step in done.json["targets"][0]["steps"]} == {
            "identity", "grant", "key", "handshake", "handoff",
        }  # fmt: skip
        assert not first & set(_keys(victim))


def _planned(victim: Victim, *more: str) -> dict[str, Any]:
    """What a rotation would do, by step."""
    told = victim.life.command("rotate", victim.name, "--dry-run", "--output", "json", *more)
    assert told.code == 0, told.text
    return {step["name"]: step for step in told.json["results"][0]["steps"]}


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
        if victim.life.kind.minted:
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
        assert _planned(victim, "--due", "--keep-old", "1s")["clear"]["reason"] == f"the grace period of key {old} is over"  # fmt: skip
        # An onboarding replaces nothing, and leaves it as it is.
        assert victim.life.onboard().code == 0
        assert _keys(victim)[old].endswith("disabled=True")


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "grace", "cut_off_by"),
    [("gcr", "1d", "iam.DisableServiceAccountKey"), ("acr-token", "0", "arm.UpdateToken"), ("acr-token", "1d", "")],
)  # fmt: skip
def test_pulls_that_are_under_way_get_their_time_before_the_old_key_is_cut_off(
    kind: str, grace: str, cut_off_by: str
) -> None:
    with scene(fork_server(), kind, "rotate") as victim:
        world = victim.life.world
        assert "get 0 s" not in victim.run().err
        done = world.run("rotate", victim.name, "--yes", "--keep-old", grace, "--overlap", "2s")
        assert done.code == 0, done.text
        assert ("Pulls that began with the old key get 2 s to end." in done.err) is bool(cut_off_by)
        assert ("Deleted key" in done.err) is (grace == "0")
        if cut_off_by:
            calls = [
                (f"{call.api}.{call.method}", dt.datetime.fromisoformat(call.time))
                for call in world.running.sandbox.log.calls
            ]
            shown = max(at for name, at in calls if name == "akka.docker.list-credentials")
            assert max(at for name, at in calls if name == cut_off_by) - shown >= dt.timedelta(seconds=2)


# -- an offboarding that cannot go on ----------------------------------------------------------------------------------


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
    }[kind]  # fmt: skip
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
        assert "what is marked and not done is still there" in ended.err
        again = victim.run()
        assert again.code == 0, again.text
        assert victim.life.there() == victim.life.before


@pytest.mark.full
def test_where_nothing_is_left_behind_a_replaced_record_there_is_nothing_to_remove() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        state = life.world.cloud.state
        state.delete_account(state.account(ACCOUNT))
        done = life.onboard(*ANOTHER)
        assert done.code == 0, done.text
        assert _pulls(victim, victim.name)


# -- what nobody foresaw -----------------------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "step", "command"),
    [
        ("gcr", "providers.gcr.steps.Identity", "gcloud iam service-accounts delete "),
        ("gcr", "providers.gcr.steps.Grant", "gcloud artifacts repositories remove-iam-policy-binding "),
        ("gcr", "providers.gcr.key.Key", "gcloud iam service-accounts keys delete "),
        # Only a whole script knows which application it is; the next run knows it too.
        ("acr", "providers.acr.steps.Identity", "pullkey onboard acr "),
        ("docker-hub-user", "providers.docker_hub.steps.MintedKey", "https://app.docker.com/"),
        ("gcr", "bootstrap.handoff.HandoffStep", "akka docker remove-credentials "),
    ],
)
def test_an_undo_that_fails_as_nobody_foresaw_stops_no_other_and_is_told(
    kind: str, step: str, command: str
) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        victim.life.world.fault(REFUSED)
        failed = victim.run("tests.harness.undo_failure:main", PULLKEY_TEST_BREAKS=step)
        assert failed.code == 6, failed.text
        assert SAID not in failed.text
        assert "could not be undone" in failed.err
        assert re.search(rf"to remove it:\s+{re.escape(command)}", failed.err)
        assert "KEY_ID" not in failed.err
        left = {line for line in victim.life.there() - victim.life.before if "google's own" not in line}
        if step.endswith("HandoffStep"):
            assert len(left) == 3, left  # Akka may hold the key, so it stays with all that it needs
            return
        assert "undone: " in failed.err
        assert "$" not in failed.err.partition("to remove it:")[2].strip().partition("\n")[0]
        # Nothing else is left than what that step has made, and what goes with it.
        assert (
            len({line for line in left if not line.startswith(("azure secret", "azure principal"))}) <= 1
        ), left


@pytest.mark.full
def test_what_stood_behind_a_replaced_record_is_named_where_nobody_can_be_asked() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        world = victim.life.world

        def all_is_denied() -> None:
            for api in ("iam", "artifactregistry", "cloudresourcemanager"):
                world.fault(f"{api}.*=403*forever")

        with _meanwhile(victim, "akka.docker.add-credentials", all_is_denied):
            done = victim.life.onboard(*ANOTHER)
        assert done.code == 6, done.text
        assert "what stood behind Akka's earlier" in done.err
        assert _pulls(victim, victim.name)


@pytest.mark.full
def test_a_look_for_strays_that_fails_fails_nothing() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        world = victim.life.world
        denied = partial(world.fault, "iam.ListServiceAccountKeys=403*forever")
        with _meanwhile(victim, MAKES_A_KEY["gcr"], denied):
            done = victim.run()
        assert done.code == 0, done.text


@pytest.mark.full
@pytest.mark.parametrize("kind", ["acr", "acr-token"])
def test_an_offboarding_whose_cloud_can_be_asked_no_more_names_the_rest(kind: str) -> None:
    with scene(fork_server(), kind, "offboard") as victim:
        world = victim.life.world

        def all_is_denied() -> None:
            for api in ("graph", "arm"):
                world.fault(f"{api}.*=403*forever")

        with _meanwhile(victim, "akka.secrets.delete", all_is_denied):
            done = victim.run()
        assert done.code == 6, done.text
        assert_all_named(victim, done.text, victim.life.before)


@pytest.mark.full
def test_a_password_that_could_not_be_seen_before_is_not_taken_for_this_runs() -> None:
    """The token may not be read at first, so a run does not know which of its passwords is whose."""
    with scene(fork_server(), "acr-token", "rotate") as victim:
        there = victim.life.there()
        with _meanwhile(victim, "arm.GetToken", lambda: None, status=403, times=2):
            failed = victim.life.onboard()
        assert failed.code == 1, failed.text
        assert victim.life.there() == there, failed.text
        assert _pulls(victim, victim.name)


# -- what is to be undone is gone already, or was never asked for ------------------------------------------------------


def _fails_while(victim: Victim, happens: Callable[[], object]) -> str:
    """The run fails at its last step, and meanwhile that happens; what it said."""
    with _meanwhile(victim, "akka.docker.add-credentials", happens, status=403):
        failed = victim.run()
    assert failed.code == 1, failed.text
    return failed.text


@pytest.mark.full
def test_a_role_whose_repository_is_gone_needs_no_undoing() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        repositories = victim.life.world.cloud.state.projects["acme-shop"].repositories
        text = _fails_while(victim, repositories.clear)
        assert "removed roles/" not in text
        assert not [line for line in victim.life.there() if "akka-docker-reader" in line], text


@pytest.mark.full
@pytest.mark.parametrize(
    "fault",
    [
        "artifactregistry.GetIamPolicy=404",
        "iam.DeleteServiceAccount=lost",
        "iam.DeleteServiceAccountKey=lost",
    ],
)
def test_one_answer_that_is_wrong_or_lost_while_it_is_undone_leaves_nothing_behind(fault: str) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        text = _fails_while(victim, partial(victim.life.world.fault, fault))
        assert victim.life.there() == victim.life.before, text
        assert "undone: removed roles/artifactregistry.reader" in text
        assert "undone: deleted the service account" in text


@pytest.mark.full
def test_a_role_whose_registry_is_gone_needs_no_undoing() -> None:
    with scene(fork_server(), "acr", "onboard") as victim:
        state = victim.life.world.cloud.state
        text = _fails_while(victim, lambda: state.registries.remove(state.registry("acmeshop")))
        assert "left over" not in text


@pytest.mark.full
def test_a_key_whose_account_is_gone_needs_no_undoing() -> None:
    """Its creation went unanswered, and so did nothing else of the run that was killed there."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        assert victim.killed(Point("iam.CreateServiceAccountKey", 1, "after"))
        state = victim.life.world.cloud.state
        state.delete_account(state.account(ACCOUNT))
        done = victim.run()
        assert done.code == 0, done.text
        assert set(_keys(victim)) == {victim.life.link.key_id}


@pytest.mark.full
def test_what_somebody_has_taken_over_of_a_lost_run_stays() -> None:
    with scene(fork_server(), "acr-token", "onboard") as victim:
        assert victim.killed(Point("arm.PutScopeMap", 1, "after"))
        (name, ours), *_ = ((key, one) for key, one in _registry(victim).scope_maps.items() if "pullkey" in (one.description or ""))  # fmt: skip
        text = _fails_while(victim, lambda: setattr(ours, "description", "Somebody else's."))
        assert "deleted the scope map" not in text
        assert name in _registry(victim).scope_maps


@pytest.mark.full
def test_a_token_that_somebody_else_has_made_where_a_lost_run_was_about_to_stays() -> None:
    """The lost run found the scope map there, so nothing says that the token is of its making."""
    with scene(fork_server(), "acr-token", "offboard") as victim:
        tokens, name = _registry(victim).tokens, victim.life.link.name
        assert victim.life.command("offboard", victim.name, "--keep-identity").code == 0
        del tokens[name]
        victim.command = "onboard"
        assert victim.killed(Point("arm.PutToken", 1, "before"))
        victim.life.world.cloud.state.add_token(_registry(victim), name, name)
        text = _fails_while(victim, lambda: None)
        assert "deleted the token" not in text
        assert name in tokens


@pytest.mark.full
def test_a_password_that_somebody_else_was_faster_to_generate_stays() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        token = _registry(victim).tokens[victim.life.link.name]
        theirs = partial(victim.life.world.cloud.state.add_password, token, "password2")
        with _meanwhile(victim, "arm.GetToken#4", theirs):
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert "Another program has just generated password2" in failed.err
        assert set(token.passwords) == {"password1", "password2"}


@pytest.mark.full
def test_a_password_that_was_generated_again_since_is_not_this_runs_to_remove() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        state, token = victim.life.world.cloud.state, _registry(victim).tokens[victim.life.link.name]
        later = state.now() + dt.timedelta(hours=1)
        text = _fails_while(victim, lambda: state.add_password(token, "password2", created=later))
        assert "removed password2" not in text
        assert token.passwords["password2"].created == later


@pytest.mark.full
def test_a_password_that_is_not_of_the_lost_call_is_named_and_not_removed_on_a_guess() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        state, token = victim.life.world.cloud.state, _registry(victim).tokens[victim.life.link.name]
        assert victim.killed(Point("arm.GenerateCredentials", 1, "before"))
        theirs = state.add_password(token, "password2", created=state.now() - dt.timedelta(hours=1))
        told = victim.life.onboard("--output", "json")
        assert told.code == 6, told.text
        (left,) = told.json["left_over"]
        assert "which may be in use elsewhere" in left["what"]
        assert left["command"].endswith("--password2")
        assert token.passwords["password2"] is theirs


@pytest.mark.full
@pytest.mark.parametrize("brings", ["a login", "a token"])
def test_of_a_lost_run_to_which_a_token_was_brought_there_is_nothing_to_delete(brings: str) -> None:
    with scene(fork_server(), "docker-hub-user", "onboard") as victim:
        life = victim.life
        theirs = Pat("Somebody's own", ("repo:read",), life.world.running.sandbox.now())
        life.world.cloud.state.user(USER).tokens.append(theirs)
        login = life.kind
        life.kind = replace(login, onboarding=("--token-stdin",), stdin=theirs.text)
        assert victim.killed(Point(JOURNAL, 1, "after"))
        if brings == "a login":
            life.kind = login
        done = victim.run()
        assert done.code == 0, done.text
        assert "undone" not in done.err
        assert theirs in life.world.cloud.state.user(USER).tokens


@pytest.mark.full
@pytest.mark.parametrize(("kind", "call"), [("acr-token", "arm.GetToken#2"), ("docker-hub-user", "hub.ListAccessTokens#2")])  # fmt: skip
def test_what_a_run_has_made_goes_where_the_keys_before_it_could_not_be_seen(kind: str, call: str) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        victim.life.world.fault(f"{call}=403")
        text = _fails_while(victim, lambda: None)
        assert victim.life.there() == victim.life.before, text


def _registry(victim: Victim) -> Any:
    return victim.life.world.cloud.state.registry("acmeshop")


# -- what was there before stays ---------------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.parametrize(
    "kind", ["gcr", "gcr-upload", "acr", "acr-token", "docker-hub-user", "docker-hub-organization"]
)
def test_a_rotation_that_fails_takes_back_its_own_key_only(kind: str) -> None:
    with scene(fork_server(), kind, "rotate") as victim:
        there = victim.life.there()
        victim.life.world.fault(REFUSED)
        failed = victim.run()
        assert failed.code == 1, failed.text
        assert victim.life.there() == there, failed.text


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcr", "gcr-upload", "acr", "acr-token", "docker-hub-user"])
def test_a_rotation_that_cannot_take_back_its_key_names_it(kind: str) -> None:
    removes = {
        "gcr": "iam.DeleteServiceAccountKey", "gcr-upload": "iam.DeleteServiceAccountKey", "acr": "graph.RemovePassword",
        "acr-token": "arm.*Token", "docker-hub-user": "hub.DeleteAccessToken",
    }[kind]  # fmt: skip
    with scene(fork_server(), kind, "rotate") as victim:
        there = victim.life.there()
        denied = partial(victim.life.world.fault, f"{removes}=403*forever")
        with _meanwhile(victim, "akka.docker.add-credentials", denied, status=403):
            failed = victim.run()
        assert failed.code == 6, failed.text
        assert there < victim.life.there()
        assert_all_named(victim, failed.text, there)


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
        there = victim.life.there()
        assert victim.killed(Point(call, 1, "after"))
        assert there < victim.life.there()
        if denied:
            victim.life.world.fault(f"{removes}=403*2")
        done = victim.life.onboard()
        assert done.code in (0, 1, 6), done.text
        assert_all_named(victim, done.text, there)
        if kind != "gcr" and not denied:
            assert victim.life.there() == there, done.text  # it bears the run's mark, so it is no guess
        clear_faults(victim)
        assert _pulls(victim, victim.name)


@pytest.mark.full
def test_a_principal_alone_goes_again_where_its_application_was_there() -> None:
    with scene(fork_server(), "acr", "onboard") as victim:
        state = victim.life.world.cloud.state
        made = state.add_application(
            "akka-docker-reader",
            unique_name="pullkey-akka-docker-reader",
            created=state.now() - dt.timedelta(days=1),
        )
        there = victim.life.there()
        victim.life.world.fault(REFUSED)
        failed = victim.run()
        assert failed.code == 1, failed.text
        assert victim.life.there() == there, failed.text
        assert made.lifetime.exists


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
            (scope_map,) = [one for one in state.registry("acmeshop").scope_maps.values() if "pullkey" in (one.description or "")]  # fmt: skip
            scope_map.description = "Somebody else's."
        there = victim.life.there()
        victim.life.world.fault(REFUSED)
        failed = victim.run()
        assert failed.code in (1, 3, 6), failed.text
        assert there <= victim.life.there(), failed.text


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
        with _meanwhile(victim, "akka.docker.list-credentials#2", put):
            done = victim.run()
        assert done.code in (0, 1, 3), done.text
        assert not _keys(victim)[old].endswith("disabled=True")
