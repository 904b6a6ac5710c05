"""`--key-source auto`: what a killed run leaves in Google, later runs on any machine recognise and delete.

A certificate carries the mark of the run that uploaded it. A key that Google creates carries none.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.credential_life import KINDS, Life
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Point, Victim, descendants, wait_until
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME, account, cloud_picture, project

SERVER = "europe-west1-docker.pkg.dev/acme-shop/containers"
FORBIDDEN_UPLOAD = "iam.disableServiceAccountKeyUpload"
FORBIDDEN = "iam.disableServiceAccountKeyCreation"
AUTO = ("--key-source", "auto")
AN_HOUR = 3600
machines = itertools.count()


def on_another_machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has no journal yet."""
    state = tmp_path / f"machine-{next(machines)}"
    state.mkdir(mode=0o700)
    return {"PULLKEY_STATE_DIR": str(state)}


def file_of(path: Path, count: int, of: str = "") -> str:
    targets = [f"  - {{provider: gcr, server: {SERVER}, secret-name: s{number}}}" for number in range(count)]
    defaults = f"defaults: {{akka-project: shop, overlap: 0s, keep-old: 0s{of}}}"
    path.write_text("\n".join(["version: 1", defaults, "targets:", *targets, ""]))
    return str(path)


def unrecorded(gcr: World, count: int) -> set[str]:
    """The keys that no record of Akka's names."""
    links = [KeyRef.parse(gcr.held(f"s{number}").email) for number in range(count)]
    return {key.id for key in account(gcr).user_keys()} - {link.key_id for link in links if link is not None}


def kill_in_the_middle(gcr: World, file: str, count: int, env: dict[str, str]) -> None:
    """Start a rotation of all targets, and kill it once all have a new key, which only the first of them has
    given to Akka.
    """
    lost = len(unrecorded(gcr, count))
    created = gcr.calls("iam.UploadServiceAccountKey") + gcr.calls("iam.CreateServiceAccountKey")

    def all_created() -> bool:
        now = gcr.calls("iam.UploadServiceAccountKey") + gcr.calls("iam.CreateServiceAccountKey")
        return now == created + count and len(unrecorded(gcr, count)) == lost + count - 1

    gcr.fault("akka.docker.add-credentials#2=hang*forever")
    with ThreadPoolExecutor(1) as beside:
        beside.submit(gcr.run, "rotate", "-f", file, "--yes", env=env)
        try:
            wait_until(all_created, 30)
        finally:
            for pid in descendants(fork_server()._server.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    gcr.running.sandbox.faults.faults.clear()


def test_three_kills_of_a_rotation_leave_no_key_that_a_later_run_does_not_delete(
    gcr: World, tmp_path: Path
) -> None:
    file = file_of(tmp_path / "registries.yaml", 3)
    assert gcr.run("apply", "-f", file, "--yes").code == 0
    for _ in range(3):
        kill_in_the_middle(gcr, file, 3, on_another_machine(tmp_path))
    assert len(unrecorded(gcr, 3)) == 6

    early = gcr.run("plan", "-f", file, env=on_another_machine(tmp_path))
    # The killed runs might still be at work, on a machine that this one does not see.
    assert "runs that did not end" not in early.text

    gcr.running.clock.advance(AN_HOUR)
    done = gcr.run("rotate", "-f", file, "--yes", env=on_another_machine(tmp_path))

    assert done.code == 0, done.text
    assert unrecorded(gcr, 3) == set()
    assert "Delete 3 keys of runs that did not end" in done.err


def test_a_key_of_a_project_of_that_name_in_another_context_is_kept(gcr: World, tmp_path: Path) -> None:
    """The Akka of the context that is named shows no record of it: another one may."""
    assert gcr.onboard("--key-source", "upload").code == 0
    theirs = {key.id for key in account(gcr).user_keys()}
    gcr.forget(NAME)
    gcr.running.clock.advance(AN_HOUR)
    there = ("--key-source", "upload", "--akka-context", "default")
    done = gcr.onboard(*there, env=on_another_machine(tmp_path))
    assert done.code == 0, done.text
    assert "runs that did not end" not in done.err
    assert theirs < {key.id for key in account(gcr).user_keys()}


def test_a_target_deletes_what_runs_for_it_left_and_nothing_of_others(gcr: World, tmp_path: Path) -> None:
    file = file_of(tmp_path / "registries.yaml", 3)
    assert gcr.run("apply", "-f", file, "--yes").code == 0
    kill_in_the_middle(gcr, file, 3, on_another_machine(tmp_path))
    lost = unrecorded(gcr, 3)
    gcr.running.clock.advance(AN_HOUR)

    # The same name in another Akka project, of the same account.
    elsewhere = file_of(tmp_path / "billing.yaml", 3)
    Path(elsewhere).write_text(
        Path(elsewhere).read_text().replace("akka-project: shop", "akka-project: billing")
    )
    other = gcr.run("apply", "-f", elsewhere, "--yes", env=on_another_machine(tmp_path))
    assert other.code == 0, other.text
    assert lost <= {key.id for key in account(gcr).user_keys()}

    names = [f"s{number}" for number in range(3)]
    for name in names:
        done = gcr.run(
            "apply", "-f", file, "--yes", "--only", f"shop/{name}", env=on_another_machine(tmp_path)
        )
        assert done.code == 0, done.text
    assert not lost & {key.id for key in account(gcr).user_keys()}


def test_an_onboarding_deletes_the_key_of_a_lost_one_however_late_akka_answers(
    gcr: World, tmp_path: Path
) -> None:
    """The key is known by the Akka secret that it is for, and whose project and owner Akka shows."""
    killed = Victim(Life(gcr, KINDS["gcr-auto"]), "onboard", fork_server())
    assert killed.killed(Point("iam.UploadServiceAccountKey", 1, "after"))
    (lost,) = account(gcr).user_keys()
    gcr.running.clock.advance(AN_HOUR)

    gcr.fault("akka.projects.get=slow=3")
    done = gcr.run("onboard", "gcr", *AUTO, "--yes", env=on_another_machine(tmp_path))

    assert done.code == 0, done.text
    assert f"Deleted {lost.id}" in done.err
    (held,) = account(gcr).user_keys()
    assert held.id != lost.id


def test_an_offboarding_deletes_the_key_of_a_lost_rotation(gcr: World, tmp_path: Path) -> None:
    life = Life(gcr, KINDS["gcr-auto"])
    life.before = life.there()
    assert life.onboard().code == 0
    assert Victim(life, "rotate", fork_server()).killed(Point("iam.UploadServiceAccountKey", 1, "after"))
    held, lost = life.link.key_id, {key.id for key in account(gcr).user_keys()} - {life.link.key_id}
    gcr.running.clock.advance(AN_HOUR)
    elsewhere = on_another_machine(tmp_path)

    shown = gcr.run("offboard", life.name, "--dry-run", env=elsewhere)
    assert f"key {lost.pop()} (created by a run that did not end)" in shown.text

    gone = gcr.run("offboard", life.name, "--yes", env=elsewhere)
    assert gone.code == 0, gone.text
    assert held in gone.text
    assert life.there() == life.before


class TestWhichSource:
    """A policy, a permission or the library decides; the plan shows which."""

    def test_a_file_that_says_nothing_uploads_a_key_that_lasts_as_long_as_google_allows(
        self, gcr: World, tmp_path: Path
    ) -> None:
        file = file_of(tmp_path / "registries.yaml", 1)
        plan = gcr.run("plan", "-f", file)
        assert "Upload the certificate of a new key of akka-docker-reader" in plan.out

        assert gcr.run("apply", "-f", file, "--yes").code == 0

        (key,) = account(gcr).user_keys()
        assert key.uploaded
        assert key.valid_before - key.valid_after == dt.timedelta(days=3650)
        assert x509.load_pem_x509_certificate(key.certificate).subject.rfc4514_string() == "CN=unused"
        assert gcr.run("plan", "-f", file, "--check").code == 0
        # The next key of a single rotation is of the same kind.
        assert gcr.run("rotate", "s0", "--yes").code == 0
        assert all(key.uploaded for key in account(gcr).user_keys())

    def test_the_schema_names_the_default_of_a_file(self, gcr: World) -> None:
        schema = gcr.run("schema", "registries").json
        assert '"default": "auto"' in json.dumps(schema)

    @pytest.mark.parametrize("seen", [True, False])
    def test_where_a_policy_forbids_uploads_google_creates_the_key(self, gcr: World, *, seen: bool) -> None:
        project(gcr).constraints[FORBIDDEN_UPLOAD] = True
        if not seen:
            gcr.cloud.state.denied_permissions.add("orgpolicy.policy.get")

        done = gcr.onboard(*AUTO)

        assert done.code == 0, done.text
        assert FORBIDDEN_UPLOAD in done.err
        (key,) = account(gcr).user_keys()
        assert not key.uploaded
        assert json.loads(gcr.held(NAME).password)["private_key_id"] == key.id

    def test_an_upload_that_was_refused_late_is_undone_as_a_key_that_google_created(self, gcr: World) -> None:
        project(gcr).constraints[FORBIDDEN_UPLOAD] = True
        gcr.cloud.state.denied_permissions.add("orgpolicy.policy.get")
        before = cloud_picture(gcr)
        gcr.fault("iam.CreateServiceAccountKey=lost")
        gcr.fault("akka.docker.add-credentials=403*forever")

        done = gcr.onboard(*AUTO)

        assert done.code == 1, done.text
        assert cloud_picture(gcr) == before

    def test_where_creation_is_forbidden_the_key_is_uploaded(self, gcr: World) -> None:
        project(gcr).constraints[FORBIDDEN] = True
        done = gcr.onboard(*AUTO)
        assert done.code == 0, done.text
        assert all(key.uploaded for key in account(gcr).user_keys())

    def test_where_both_are_forbidden_it_is_a_problem(self, gcr: World) -> None:
        project(gcr).constraints |= {FORBIDDEN: True, FORBIDDEN_UPLOAD: True}
        done = gcr.onboard(*AUTO)
        assert done.code == 3, done.text
        assert FORBIDDEN in done.err
        assert gcr.changes() == []

    def test_a_login_that_may_not_read_certificates_has_google_create_the_key(self, gcr: World) -> None:
        gcr.cloud.state.denied_permissions.add("iam.serviceAccountKeys.get")
        done = gcr.onboard(*AUTO)
        assert done.code == 0, done.text
        assert "you lack iam.serviceAccountKeys.get" in done.err
        assert not any(key.uploaded for key in account(gcr).user_keys())

    def test_a_limit_to_the_life_of_keys_is_kept(self, gcr: World) -> None:
        project(gcr).constraints["iam.serviceAccountKeyExpiryHours"] = ("is:720h",)
        done = gcr.onboard(*AUTO)
        assert done.code == 0, done.text
        (key,) = account(gcr).user_keys()
        assert key.uploaded
        assert key.valid_before - key.valid_after == dt.timedelta(hours=720)

    def test_one_that_could_not_be_read_has_google_create_the_key(self, gcr: World) -> None:
        """The key then expires as the policy says."""
        project(gcr).constraints["iam.serviceAccountKeyExpiryHours"] = ("720h",)
        gcr.cloud.state.denied_permissions.add("orgpolicy.policy.get")

        done = gcr.onboard(*AUTO)

        assert done.code == 0, done.text
        assert "iam.serviceAccountKeyExpiryHours lets an uploaded one last 30 days at most" in done.err
        assert "forbids to upload" not in done.err
        assert "which expires on" in done.text
        (key,) = account(gcr).user_keys()
        assert not key.uploaded
        assert json.loads(gcr.held(NAME).password)["private_key_id"] == key.id

    def test_an_expiry_means_an_upload(self, gcr: World) -> None:
        project(gcr).constraints[FORBIDDEN_UPLOAD] = True
        done = gcr.onboard(*AUTO, "--expires-in", "30d")
        assert done.code == 3, done.text
        assert FORBIDDEN_UPLOAD in done.err
        assert gcr.changes() == []


def test_a_key_that_akka_holds_stays_though_its_list_passes_the_record_over(
    gcr: World, tmp_path: Path
) -> None:
    """Its run has ended, as that of a lost key; all that tells them apart is Akka's record."""
    file = file_of(tmp_path / "registries.yaml", 1)
    assert gcr.run("apply", "-f", file, "--yes").code == 0
    (held,) = account(gcr).user_keys()
    gcr.running.clock.advance(AN_HOUR)
    gcr.fault("akka.docker.list-credentials=stale*9")

    planned = gcr.run("apply", "-f", file, "--yes", env=on_another_machine(tmp_path))

    assert "Delete 1 key of runs that did not end" in planned.text
    assert held.id in {key.id for key in account(gcr).user_keys()}
