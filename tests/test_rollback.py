"""A run that fails removes what it has created, and nothing that was there before."""

from __future__ import annotations

import datetime as dt
import json
from functools import partial
from pathlib import Path

import pytest

from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import scene, verifies
from tests.harness.concurrent_change import during
from tests.harness.rollback import REFUSED, fail_while


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
def test_of_each_change_that_was_undone_the_trail_and_the_answer_tell(tmp_path: Path) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        victim.life.world.fault(REFUSED)
        trail = tmp_path / "audit.jsonl"
        failed = victim.life.onboard("--output", "json", "--audit", str(trail))
        assert failed.code == 1, failed.text
        assert {step["name"]: step["result"] for step in failed.json["steps"]} == {
            "identity": "undone",
            "grant": "undone",
            "key": "undone",
            "handshake": "done",
            "handoff": "failed",
        }
        changes = [json.loads(line) for line in trail.read_text().splitlines()]
        outcomes = [(one["step"], one["outcome"]) for one in changes if "outcome" in one]
        assert sorted(outcomes[:3]) == [("grant", "done"), ("identity", "done"), ("key", "done")]
        assert outcomes[3:] == [
            ("handoff", "failed"),
            ("handoff", "undone"),
            ("key", "undone"),
            ("grant", "undone"),
            ("identity", "undone"),
        ]
        (made,) = (one for one in changes if one.get("step") == "key" and one["outcome"] == "done")
        assert made["key_id"] in failed.json["undone"][1]
        assert all(f"undone: {what}" in failed.err for what in failed.json["undone"])


@pytest.mark.full
@pytest.mark.parametrize("call", ["iam.ListServiceAccountKeys#2", "akka.docker.add-credentials"])
def test_what_a_run_has_made_goes_where_it_cannot_be_seen_whether_others_use_it(call: str) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        world = victim.life.world
        with during(victim, call, lambda: world.fault("iam.ListServiceAccountKeys=403*forever"), status=403):
            world.fault(REFUSED)
            failed = victim.run()
        assert failed.code == 1, failed.text
        assert victim.life.there() == victim.life.before, failed.text


@pytest.mark.full
def test_a_password_that_could_not_be_seen_before_is_not_taken_for_this_runs() -> None:
    """The token may not be read at first, so a run does not know which of its passwords is whose."""
    with scene(fork_server(), "acr-token", "rotate") as victim:
        there = victim.life.there()
        with during(victim, "arm.GetToken", lambda: None, status=403, times=2):
            failed = victim.life.onboard()
        assert failed.code == 1, failed.text
        assert victim.life.there() == there, failed.text
        assert verifies(victim, victim.name)


@pytest.mark.full
def test_a_role_whose_repository_is_gone_needs_no_undoing() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        repositories = victim.life.world.cloud.state.projects["acme-shop"].repositories
        text = fail_while(victim, repositories.clear)
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
        text = fail_while(victim, partial(victim.life.world.fault, fault))
        assert victim.life.there() == victim.life.before, text
        assert "undone: removed roles/artifactregistry.reader" in text
        assert "undone: deleted the service account" in text


@pytest.mark.full
def test_a_role_whose_registry_is_gone_needs_no_undoing() -> None:
    with scene(fork_server(), "acr", "onboard") as victim:
        state = victim.life.world.cloud.state
        text = fail_while(victim, lambda: state.registries.remove(state.registry("acmeshop")))
        assert "left over" not in text


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "call"), [("acr-token", "arm.GetToken#2"), ("docker-hub-user", "hub.ListAccessTokens#2")]
)
def test_what_a_run_has_made_goes_where_the_keys_before_it_could_not_be_seen(kind: str, call: str) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        victim.life.world.fault(f"{call}=403")
        text = fail_while(victim, lambda: None)
        assert victim.life.there() == victim.life.before, text


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
