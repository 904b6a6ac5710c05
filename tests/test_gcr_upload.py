"""`--key-source upload`: the key pair is made here, and Google is given a certificate."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bootstrap.testing.harness.world import World
from tests.harness.command import start_onboarding
from tests.harness.google_state import ACCOUNT, NAME, account, cloud_picture, project

pytestmark = pytest.mark.full

UPLOAD = ("--key-source", "upload")
FORBIDDEN = "iam.disableServiceAccountKeyCreation"
FORBIDDEN_UPLOAD = "iam.managed.disableServiceAccountKeyUpload"


def only_key(world: World) -> str:
    """The one key that there is, which must be the one that Akka holds."""
    (key,) = account(world).user_keys()
    assert json.loads(world.held(NAME).password)["private_key_id"] == key.id
    return str(key.id)


class TestOnboarding:
    def test_what_akka_holds_pulls_and_has_an_end(self, gcr: World) -> None:
        done = gcr.onboard(*UPLOAD, "--expires-in", "30d", "--output", "json")

        assert done.code == 0, done.text
        assert "reads the manifest" in done.json["proven"]
        ends = dt.datetime.fromisoformat(done.json["credential"]["ends"])
        assert abs(ends - dt.datetime.now(dt.UTC) - dt.timedelta(days=30)) < dt.timedelta(minutes=10)
        only_key(gcr)
        (key,) = account(gcr).user_keys()
        assert key.uploaded
        assert key.valid_before == ends

    def test_it_is_a_key_file_like_those_that_google_makes(self, gcr: World) -> None:
        assert gcr.onboard().code == 0
        made = json.loads(gcr.held(NAME).password)
        assert gcr.onboard(*UPLOAD, "--new-key").code == 0
        uploaded = json.loads(gcr.held(NAME).password)
        assert list(uploaded) == list(made)
        own = {"private_key_id", "private_key", "token_uri"}
        assert {name: value for name, value in uploaded.items() if name not in own} == {
            name: value for name, value in made.items() if name not in own
        }
        private = serialization.load_pem_private_key(uploaded["private_key"].encode(), None)
        assert private.key_size == 2048  # type: ignore[union-attr]

    def test_the_certificate_says_nothing_of_whoever_made_it(self, gcr: World) -> None:
        from cryptography import x509

        assert gcr.onboard(*UPLOAD).code == 0
        (key,) = account(gcr).user_keys()
        certificate = x509.load_pem_x509_certificate(key.certificate)
        assert certificate.subject.rfc4514_string() == "CN=unused"
        assert list(certificate.extensions) == []

    def test_that_the_end_date_is_not_relied_on_is_told_before(self, gcr: World) -> None:
        plan = gcr.run("plan", "gcr", *UPLOAD)
        assert plan.code == 0, plan.text
        assert "could not be confirmed" in plan.err
        assert "openssl req -x509" in plan.err
        assert "gcloud iam service-accounts keys upload" in plan.err
        assert gcr.changes() == []

    def test_the_second_run_changes_nothing_until_the_key_ends(self, gcr: World) -> None:
        gcr.onboard(*UPLOAD)
        first = only_key(gcr)
        assert gcr.onboard("--output", "json").json["result"] == "unchanged"
        (key,) = account(gcr).user_keys()
        key.valid_before = key.valid_after + dt.timedelta(minutes=1)

        again = gcr.onboard(*UPLOAD)

        assert again.code == 0, again.text
        assert json.loads(gcr.held(NAME).password)["private_key_id"] != first

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--expires-in", "30d"), "--key-source upload"),
            ((*UPLOAD, "--expires-in", "4000d"), "between an hour and ten years"),
            ((*UPLOAD, "--expires-in", "5m"), "between an hour and ten years"),
            (("--key-source", "mine"), "create"),
        ],
    )
    def test_what_cannot_be_is_refused(self, gcr: World, arguments: tuple[str, ...], says: str) -> None:
        done = gcr.onboard(*arguments)
        assert done.code == 2
        assert says in done.err

    def test_the_longest_life_is_one_that_google_takes(self, gcr: World) -> None:
        done = gcr.onboard(*UPLOAD, "--expires-in", "3650d", "--max-expires-in", "3650d")
        assert done.code == 0, done.text


class TestPolicies:
    @pytest.mark.parametrize("constraint", [FORBIDDEN, "iam.managed.disableServiceAccountKeyCreation"])
    def test_where_creation_is_forbidden_upload_is_offered_and_works(
        self, gcr: World, constraint: str
    ) -> None:
        project(gcr).constraints[constraint] = True
        refused = gcr.onboard()
        assert refused.code == 3
        assert constraint in refused.err
        assert "--key-source upload" in refused.err
        assert gcr.changes() == []

        done = gcr.onboard(*UPLOAD)
        assert done.code == 0, done.text
        only_key(gcr)

    def test_where_both_are_forbidden_nothing_is_offered_that_does_not_work(self, gcr: World) -> None:
        project(gcr).constraints |= {FORBIDDEN: True, FORBIDDEN_UPLOAD: True}
        refused = gcr.onboard()
        assert refused.code == 3
        assert "--key-source upload" not in refused.err
        assert "exception" in refused.err

    def test_where_upload_is_forbidden_that_is_told_first(self, gcr: World) -> None:
        project(gcr).constraints[FORBIDDEN_UPLOAD] = True
        refused = gcr.onboard(*UPLOAD)
        assert refused.code == 3
        assert FORBIDDEN_UPLOAD in refused.err
        assert "Leave --key-source out" in refused.err
        assert gcr.changes() == []

    @pytest.mark.parametrize("value", ["720h", "is:720h"])
    def test_a_limit_to_the_life_of_keys_is_told_first(self, gcr: World, value: str) -> None:
        project(gcr).constraints["iam.serviceAccountKeyExpiryHours"] = (value,)
        refused = gcr.onboard(*UPLOAD)
        assert refused.code == 3
        assert "--expires-in 720h" in refused.err
        assert gcr.onboard(*UPLOAD, "--expires-in", "720h").code == 0

    def test_a_limit_that_could_not_be_seen_is_told_with_its_fix(self, gcr: World) -> None:
        project(gcr).constraints["iam.serviceAccountKeyExpiryHours"] = ("720h",)
        gcr.cloud.state.denied_permissions.add("orgpolicy.policy.get")
        before = cloud_picture(gcr)
        failed = gcr.onboard(*UPLOAD)
        assert failed.code == 1, failed.text
        assert "max allowed lifetime" in failed.err
        assert "--expires-in 720h" in failed.err
        assert cloud_picture(gcr) == before


class TestLostAnswers:
    @pytest.mark.parametrize("fault", ["lost", "503", "reset", "429"])
    def test_one_key_and_success(self, gcr: World, fault: str) -> None:
        gcr.fault(f"iam.UploadServiceAccountKey={fault}")
        done = gcr.onboard(*UPLOAD)
        assert done.code == 0, done.text
        only_key(gcr)

    def test_what_was_taken_is_not_sent_again(self, gcr: World) -> None:
        gcr.fault("iam.UploadServiceAccountKey=lost")
        assert gcr.onboard(*UPLOAD).code == 0
        assert gcr.calls("iam.UploadServiceAccountKey") == 1

    def test_the_key_of_somebody_else_that_appears_meanwhile_is_not_taken_for_ours(self, gcr: World) -> None:
        from providers.gcr.emulator.state import generate_private_key

        state = gcr.cloud.state
        made = state.add_account("acme-shop", "puller", created=state.now())
        gcr.fault("iam.UploadServiceAccountKey=hang-after")
        process = start_onboarding(gcr, "--service-account", made.email, *UPLOAD)
        end = time.monotonic() + 30
        while not made.user_keys():
            assert time.monotonic() < end
            time.sleep(0.02)
        (orphan,) = made.user_keys()
        process.kill()
        process.communicate(timeout=10)
        theirs = state.add_key(made, generate_private_key().public_key(), created=state.now())

        done = gcr.onboard("--service-account", made.email, *UPLOAD, "--output", "json")

        # The one that the killed run uploaded is known for certain, so it is deleted and nothing is left
        # over.
        assert done.code == 0, done.text
        left = {key.id for key in made.user_keys()}
        assert orphan.id not in left
        assert left == {theirs.id, json.loads(gcr.held(NAME).password)["private_key_id"]}

    def test_a_failed_run_deletes_the_key_that_it_uploaded(self, gcr: World) -> None:
        before = cloud_picture(gcr)
        gcr.fault("registry.GetManifest=403*forever")
        done = gcr.onboard(*UPLOAD, "--timeout", "4s")
        assert done.code == 1, done.text
        assert cloud_picture(gcr) == before

    def test_the_journal_of_a_killed_run_holds_no_private_key(self, gcr: World) -> None:
        gcr.fault("registry.GetManifest=403*30")
        process = start_onboarding(gcr, *UPLOAD)
        end = time.monotonic() + 30
        while gcr.calls("registry.GetManifest") < 2:  # the first is the look at the image
            assert time.monotonic() < end
            time.sleep(0.02)
        process.kill()
        process.communicate(timeout=10)
        (path,) = Path(gcr.running.environment["PULLKEY_STATE_DIR"]).rglob("*.json")
        assert "fingerprint" in path.read_text()
        assert "PRIVATE" not in path.read_text()


@pytest.mark.needs_cloud_cli("gcloud")
def test_the_runbook_makes_the_same_with_openssl_and_gcloud(gcr: World, tmp_path: Path) -> None:
    script = tmp_path / "steps.sh"
    script.write_text(gcr.run("runbook", "gcr", *UPLOAD, "--expires-in", "10d").out)
    done = subprocess.run(
        ["bash", script],
        env=gcr.running.process_environment(
            PULLKEY_RUNBOOK_LOGIN="no", PULLKEY_RUNBOOK_PAUSE="1", TMPDIR=str(tmp_path)
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    gcr.said += [done.stdout, done.stderr]
    assert done.returncode == 0, done.stdout + done.stderr
    by_hand = json.loads(gcr.held(NAME).password)
    assert by_hand["client_email"] == ACCOUNT
    assert [path.name for path in tmp_path.iterdir()] == ["steps.sh"], "no key is left on disk"
    verdict = gcr.run("verify", "gcr", "--credential-stdin", stdin=gcr.held(NAME).password)
    assert verdict.code == 0, verdict.text
    assert "reads the manifest" in verdict.err
    assert gcr.onboard("--output", "json").json["result"] == "unchanged"
    (key,) = account(gcr).user_keys()
    assert key.uploaded

    assert gcr.onboard(*UPLOAD, "--new-key").code == 0
    by_us = json.loads(gcr.held(NAME).password)
    assert {**by_us, "private_key": "", "private_key_id": ""} == {
        **by_hand,
        "private_key": "",
        "private_key_id": "",
    }
