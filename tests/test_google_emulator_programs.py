"""The emulated Google, used by programs that were not written for it: `gcloud`, `skopeo`, an SDK client."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.harness.google_sandbox import (
    IMAGE,
    READER,
    Google,
    read_policy,
)


def run(google: Google, *command: str) -> subprocess.CompletedProcess[str]:
    environment = google.running.process_environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.needs_cloud_cli("gcloud")
@pytest.mark.needs_debian
def test_the_documented_commands_make_a_key_that_skopeo_pulls_with(google: Google, tmp_path: Path) -> None:
    email = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
    member, file = f"--member=serviceAccount:{email}", tmp_path / "key.json"
    account = f"--iam-account={email}"
    keys = ("gcloud", "iam", "service-accounts", "keys")
    grant = (member, f"--role={READER}")
    done = [
        run(google, "gcloud", "iam", "service-accounts", "create", "akka-docker-reader"),
        run(google, "gcloud", "projects", "add-iam-policy-binding", "acme-shop", *grant, "--condition=None"),
        run(
            google,
            *("gcloud", "artifacts", "repositories", "add-iam-policy-binding", "containers"),
            "--location=europe-west1",
            *grant,
        ),
        run(google, *keys, "create", str(file), account),
    ]
    assert [it.returncode for it in done] == [0, 0, 0, 0], [it.stderr for it in done]
    assert any("until the audit is over" in str(it) for it in read_policy(google).bindings)
    key = json.loads(file.read_text())
    listed = run(google, *keys, "list", account, "--managed-by=user", "--format=value(name.basename())")
    assert listed.stdout.split() == [key["private_key_id"]]

    source = f"docker://127.0.0.1:{google.emulator.registry_port}/{IMAGE}:1.0"
    credentials = ("--authfile", str(auth_file(tmp_path, google.emulator.registry_port, file.read_text())))
    copied = run(google, "skopeo", "copy", *credentials, source, f"dir:{tmp_path / 'image'}")
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "image" / "manifest.json").is_file()

    again = run(google, "gcloud", "iam", "service-accounts", "create", "akka-docker-reader")
    assert again.returncode == 1
    assert "already exists within project projects/acme-shop" in again.stderr
    deleted = run(google, *keys, "delete", key["private_key_id"], account)
    assert deleted.returncode == 0, deleted.stderr
    refused = run(google, "skopeo", "inspect", *credentials, source)
    assert refused.returncode != 0
    assert "unauthorized" in refused.stderr.lower() or "invalid username/password" in refused.stderr.lower()


def auth_file(directory: Path, port: int, key: str) -> Path:
    """What `skopeo login` would write."""
    path = directory / "auth.json"
    pair = base64.b64encode(f"_json_key:{key}".encode()).decode()
    path.write_text(json.dumps({"auths": {f"127.0.0.1:{port}": {"auth": pair}}}))
    return path


def test_an_sdk_client_needs_only_the_environment(google: Google) -> None:
    program = """
import os
from google.cloud import iam_admin_v1
endpoint = os.environ["PULLKEY_GOOGLE_IAM_ENDPOINT"].removeprefix("https://")
client = iam_admin_v1.IAMClient(client_options={"api_endpoint": endpoint})
print(*(account.email for account in client.list_service_accounts(name="projects/acme-admin").accounts))
"""
    google.state.projects["acme-admin"].policy.grant(
        "roles/viewer", f"serviceAccount:{google.state.operator}", since=google.state.now()
    )
    done = run(google, "python", "-c", program)
    assert google.state.operator in done.stdout, done.stderr
    assert Path(google.operator_file).stat().st_mode & 0o777 == 0o600
