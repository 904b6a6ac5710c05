"""What goes wrong in Google, at the registry or in Akka, and what is left of it: nothing."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from bootstrap.sandbox.akka_platform import Mode
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world
from tests.harness.command import start_onboarding
from tests.harness.google_state import ACCOUNT, NAME, account, cloud_picture

REFUSED = [
    "iam.CreateServiceAccount=403",
    "artifactregistry.SetIamPolicy=403",
    "iam.CreateServiceAccountKey=403",
    "iam.CreateServiceAccountKey=400",
    "registry.GetToken=403*forever",
    "registry.GetManifest=403*forever",
    "registry.GetManifest#2=404*forever",  # after the look at the image
    "akka.docker.add-credentials=500*forever",
]


@pytest.mark.parametrize("fault", REFUSED)
def test_a_step_that_fails_leaves_nothing_behind(gcr: World, fault: str) -> None:
    before = cloud_picture(gcr)
    gcr.fault(fault)

    done = gcr.onboard("--timeout", "4s", "--output", "json")

    assert done.code == 1, done.text
    assert cloud_picture(gcr) == before
    assert gcr.names() == []
    assert done.json["error"]["what"]
    assert done.json["left_over"] == []
    assert not list(Path(gcr.running.environment["PULLKEY_STATE_DIR"]).rglob("*.json"))


PASSING = [
    "*.Get*=503",
    "iam.ListServiceAccountKeys=503",
    "iam.CreateServiceAccount=503",
    "iam.CreateServiceAccount=429;retry-after=1",
    "iam.CreateServiceAccount=lost",
    "artifactregistry.SetIamPolicy=409",
    "artifactregistry.SetIamPolicy=409*3",
    "artifactregistry.SetIamPolicy=503",
    "artifactregistry.SetIamPolicy=lost",
    "artifactregistry.GetIamPolicy=503*2",
    "iam.CreateServiceAccountKey=429",
    "iam.CreateServiceAccountKey=503",
    "iam.CreateServiceAccountKey=reset",
    "registry.Ping=reset",
    "registry.GetToken=503",
    "registry.GetToken=401*2",
    "registry.GetToken=malformed",
    "registry.GetManifest=reset",
    "registry.GetManifest=403*4",
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_waited_out(gcr: World, fault: str) -> None:
    gcr.fault(fault)

    done = gcr.onboard("--timeout", "60s")

    assert done.code == 0, done.text
    assert [key.id for key in account(gcr).user_keys()] == [
        json.loads(gcr.held(NAME).password)["private_key_id"]
    ]


def test_a_key_whose_answer_was_lost_is_not_made_twice(gcr: World) -> None:
    """`gcloud` tries again, leaves two keys, and ends with 0."""
    before = cloud_picture(gcr)
    gcr.fault("iam.CreateServiceAccountKey=lost")

    done = gcr.onboard()

    assert done.code == 1, done.text
    assert gcr.calls("iam.CreateServiceAccountKey") == 1
    assert "its secret is lost" in done.err
    assert cloud_picture(gcr) == before


def test_a_lost_key_of_an_account_that_is_not_ours_is_named_and_not_deleted_on_a_guess(gcr: World) -> None:
    state = gcr.cloud.state
    made = state.add_account("acme-shop", "puller", created=state.now())
    gcr.fault("iam.CreateServiceAccountKey=lost")

    done = gcr.onboard("--service-account", made.email, "--output", "json")

    assert done.code == 6
    (key,) = state.account(made.email).user_keys()
    (left,) = done.json["left_over"]
    assert key.id in left["command"]
    assert left["command"].startswith("gcloud iam service-accounts keys delete")
    assert "iam.DeleteServiceAccountKey" not in gcr.changes()


def test_a_policy_against_keys_that_shows_only_at_the_call_is_not_tried_again(gcr: World) -> None:
    gcr.cloud.state.denied_permissions.add("orgpolicy.policy.get")
    gcr.cloud.state.project("acme-shop").constraints["iam.disableServiceAccountKeyCreation"] = True
    before = cloud_picture(gcr)

    done = gcr.onboard()

    assert done.code == 1, done.text
    assert gcr.calls("iam.CreateServiceAccountKey") == 1
    assert "iam.disableServiceAccountKeyCreation forbids keys" in done.err
    assert "--key-source upload" in done.err
    assert cloud_picture(gcr) == before


class TestAkka:
    def test_half_done_is_undone(self, gcr: World) -> None:
        before = cloud_picture(gcr)
        gcr.akka.mode = "half-done"
        done = gcr.onboard()
        assert done.code == 1, done.text
        gcr.akka.mode = "current"
        assert cloud_picture(gcr) == before
        assert gcr.names() == []
        with pytest.raises(KeyError):
            gcr.held(NAME)

    def test_where_akka_was_user_error_nothing_yet_all_is_undone_though_it_cannot_be_asked(
        self, gcr: World
    ) -> None:
        before = cloud_picture(gcr)
        gcr.fault("akka.docker.list-credentials#2=429*forever")
        done = gcr.onboard("--timeout", "8s")
        assert done.code == 1, done.text
        assert cloud_picture(gcr) == before

    def test_a_key_that_akka_may_hold_stays_and_is_named(self, gcr: World) -> None:
        gcr.fault("akka.docker.list-credentials#3=429*forever")
        done = gcr.onboard("--timeout", "8s")
        assert done.code == 6, done.text
        (key,) = account(gcr).user_keys()
        assert f"Akka may hold the new key {key.id}" in done.err

    def test_another_status_than_ok_is_a_failure(self, gcr: World) -> None:
        gcr.akka.mode = "not-ok"
        done = gcr.onboard("--timeout", "15s")
        assert done.code == 1, done.text
        assert "status" in done.err

    def test_a_cli_that_cannot_name_credentials_is_told_first(self, gcr: World) -> None:
        gcr.akka.mode = "old"
        done = gcr.onboard()
        assert done.code == 3, done.text
        assert "is too old" in done.err
        assert gcr.changes() == []

    @pytest.mark.parametrize("mode", ["notices", "babbles"])
    def test_what_nobody_documented_does_no_harm(self, gcr: World, mode: Mode) -> None:
        gcr.akka.mode = mode
        done = gcr.onboard("--timeout", "15s")
        assert "Traceback" not in done.err
        live = {key.id for key in account(gcr).user_keys()} if account(gcr) else set()
        if done.code == 0:
            assert live == {json.loads(gcr.held(NAME).password)["private_key_id"]}
        elif done.code != 6:
            assert live == set()

    def test_a_question_is_not_waited_for(self, gcr: World) -> None:
        gcr.akka.mode, gcr.akka.mode_applies_to = "asks", "docker.add-credentials"
        begin = time.monotonic()
        done = gcr.onboard("--timeout", "20s")
        assert done.code in (1, 6), done.text
        assert time.monotonic() - begin < 60

    def test_what_the_cli_prints_is_told_without_the_key(self, gcr: World) -> None:
        gcr.fault("akka.docker.add-credentials=400")
        done = gcr.onboard()
        assert "akka docker add-credentials failed" in done.err
        assert "BEGIN PRIVATE" not in done.err

    def test_a_cli_that_repeats_its_arguments_repeats_no_key(self, gcr: World, tmp_path: Path) -> None:
        loud = tmp_path / "akka"
        loud.write_text(
            "#!/bin/sh\n"
            'case "$*" in *add-credentials*) echo "Error: I do not like: $*" >&2; exit 1;; esac\n'
            f'exec {gcr.akka.cli} "$@"\n'
        )
        loud.chmod(0o755)
        done = gcr.onboard("--verbose", "--output", "json", env={"PULLKEY_AKKA_CLI": str(loud)})
        assert done.code == 1, done.text
        assert "I do not like" in done.err
        assert "--docker-password=<hidden>" in done.err
        # The commands that it prints have `private_key_id`, to read a key file by.
        assert "PRIVATE KEY" not in done.text
        assert re.search(r"private_key(?!_id)", done.text) is None

    def test_a_handoff_that_replaced_a_credential_is_never_undone_under_akkas_feet(self, gcr: World) -> None:
        gcr.onboard()
        gcr.akka.mode, gcr.akka.mode_applies_to = "not-ok", "docker.list-credentials"
        done = gcr.onboard("--new-key", "--timeout", "15s")
        assert done.code == 6, done.text
        held = json.loads(gcr.held(NAME).password)["private_key_id"]
        assert held in {key.id for key in account(gcr).user_keys()}


@pytest.fixture
def slow_google() -> Iterator[World]:
    yield from make_world("gcr", SandboxSettings(propagation=3.0))


def test_the_clouds_own_delay_is_waited_out_and_told(slow_google: World) -> None:
    done = slow_google.onboard("--timeout", "90s")
    assert done.code == 0, done.text
    assert "waiting:" in done.err


def test_it_gives_up_in_time_says_what_it_waited_for_and_undoes(slow_google: World) -> None:
    before = cloud_picture(slow_google)
    done = slow_google.onboard("--timeout", "2s")
    assert done.code == 1, done.text
    assert cloud_picture(slow_google) == before


def _wait_for(world: World, call: str, times: int = 1) -> None:
    end = time.monotonic() + 30
    while world.calls(call) < times:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_undoes_and_says_so(gcr: World, number: int) -> None:
    before = cloud_picture(gcr)
    gcr.fault("registry.GetManifest=403*forever")
    process = start_onboarding(gcr)
    _wait_for(gcr, "registry.GetManifest", times=2)  # the first is the look at the image

    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert "undone: deleted key" in err
    assert cloud_picture(gcr) == before


def test_the_run_after_one_that_was_killed_ends_with_one_key(gcr: World) -> None:
    gcr.fault("registry.GetManifest=403*30")
    process = start_onboarding(gcr)
    _wait_for(gcr, "registry.GetManifest", times=2)  # the first is the look at the image
    process.kill()
    process.communicate(timeout=10)
    assert len(account(gcr).user_keys()) == 1
    gcr.running.sandbox.faults.faults.clear()

    done = gcr.onboard()

    assert done.code == 0, done.text
    assert "did not end" in done.err
    assert [key.id for key in account(gcr).user_keys()] == [
        json.loads(gcr.held(NAME).password)["private_key_id"]
    ]


def test_a_key_whose_answer_a_killed_run_never_saw_is_named_by_the_next(gcr: World) -> None:
    gcr.fault("iam.CreateServiceAccountKey=hang-after")
    process = start_onboarding(gcr)
    end = time.monotonic() + 30
    while account(gcr) is None or not account(gcr).user_keys():
        assert time.monotonic() < end
        time.sleep(0.02)
    (orphan,) = account(gcr).user_keys()
    process.kill()
    process.communicate(timeout=10)

    done = gcr.onboard("--output", "json")

    # It bears no mark, so it is not deleted on a guess; the run goes on with a key of its own.
    assert done.code == 6, done.text
    (left,) = done.json["left_over"]
    assert f"keys delete {orphan.id}" in left["command"]
    assert json.loads(gcr.held(NAME).password)["private_key_id"] != orphan.id


def test_two_at_once_on_one_machine_do_not_mix(gcr: World) -> None:
    gcr.fault("registry.GetManifest=slow=3*3")
    process = start_onboarding(gcr)
    _wait_for(gcr, "registry.GetToken")

    second = gcr.onboard()
    _, err = process.communicate(timeout=60)

    assert second.code == 1
    assert "Another pullkey is at work" in second.err
    assert process.returncode == 0, err
    assert len(account(gcr).user_keys()) == 1


def test_a_journal_that_cannot_be_read_is_told_and_nothing_is_changed(gcr: World) -> None:
    gcr.fault("registry.GetManifest=403*30")
    process = start_onboarding(gcr)
    _wait_for(gcr, "registry.GetManifest", times=2)  # the first is the look at the image
    process.kill()
    process.communicate(timeout=10)
    (path,) = Path(gcr.running.environment["PULLKEY_STATE_DIR"]).rglob("*.json")
    assert "PRIVATE" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("{")
    changes = len(gcr.changes())

    done = gcr.onboard()

    assert done.code == 1
    assert str(path) in done.err
    assert len(gcr.changes()) == changes
    assert ACCOUNT in gcr.cloud.state.project("acme-shop").accounts


def test_a_certificate_of_an_unknown_authority_is_not_waited_for(gcr: World) -> None:
    """gRPC reads a variable of its own, which is easily forgotten."""
    done = gcr.onboard("--yes", "--verbose", env={"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": certifi.where()})

    assert done.code == 3, done.text
    assert "PK-REGISTRY-CERTIFICATE" in done.err
    assert "each of GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in " ".join(done.err.split())
    assert "Run it again in a while" not in done.err
