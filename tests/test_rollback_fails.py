"""What a rollback cannot remove is listed with the command that removes it, and stops nothing else."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.inventory import is_key
from bootstrap.testing.harness.kill_points import scene
from tests.harness.concurrent_change import during
from tests.harness.marks import full_case
from tests.harness.rollback import REFUSED, assert_all_named, clear_faults, undo_calls
from tests.harness.undo_failure import SAID

QUICK = [("docker-hub-user", "403")]
FULL = [
    (kind, fault)
    for kind in ("gcr", "gcr-upload", "acr", "acr-token", "docker-hub-user", "docker-hub-organization")
    for fault in ("403", "401", "503", "reset", "malformed", "types")
    if (kind, fault) not in QUICK
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "fault"), [*QUICK, *(full_case(*one) for one in FULL)])
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
        (
            "gcr",
            ("iam.DeleteServiceAccountKey", "artifactregistry.SetIamPolicy#2", "iam.DeleteServiceAccount"),
        ),
        ("acr", ("arm.DeleteRoleAssignment", "graph.DeleteApplication")),
    ],
)
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
        full_case("acr", "graph.DeleteApplication"),
        full_case("acr", "graph.RemovePassword"),
        full_case("acr", "arm.DeleteRoleAssignment"),
        full_case("acr-token", "arm.DeleteToken"),
        full_case("acr-token", "arm.DeleteScopeMap"),
    ],
)
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
    """Its account is deleted all the same, and what takes the role from the account does not take it from
    that.
    """
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
@pytest.mark.parametrize(
    ("kind", "step", "command"),
    [
        ("gcr", "providers.gcr.steps.Identity", "gcloud iam service-accounts delete "),
        ("gcr", "providers.gcr.grant.Grant", "gcloud artifacts repositories remove-iam-policy-binding "),
        ("gcr", "providers.gcr.key.Key", "gcloud iam service-accounts keys delete "),
        # Only a whole script knows which application it is; the next run knows it too.
        ("acr", "providers.acr.application.Identity", "pullkey onboard acr "),
        ("docker-hub-user", "providers.docker_hub.steps.CreatedToken", "# Delete the token "),
        ("gcr", "bootstrap.engine.handoff.HandoffStep", "akka docker remove-credentials "),
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
@pytest.mark.parametrize("kind", ["gcr", "gcr-upload", "acr", "acr-token", "docker-hub-user"])
def test_a_rotation_that_cannot_take_back_its_key_names_it(kind: str) -> None:
    removes = {
        "gcr": "iam.DeleteServiceAccountKey",
        "gcr-upload": "iam.DeleteServiceAccountKey",
        "acr": "graph.RemovePassword",
        "acr-token": "arm.*Token",
        "docker-hub-user": "hub.DeleteAccessToken",
    }[kind]
    with scene(fork_server(), kind, "rotate") as victim:
        there = victim.life.there()
        denied = partial(victim.life.world.fault, f"{removes}=403*forever")
        with during(victim, "akka.docker.add-credentials", denied, status=403):
            failed = victim.run()
        assert failed.code == 6, failed.text
        assert there < victim.life.there()
        assert_all_named(victim, failed.text, there)
