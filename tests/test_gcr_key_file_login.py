"""The login with a service account's key file is the one that google-auth would make of it, and whatever is
not such a file is left to google-auth.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import google.auth
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bootstrap.testing.harness.world import World
from providers.gcr.key_file_login import key_file_login


def _pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


RSA = _pem(rsa.generate_private_key(65537, 2048))
FILE = {
    "type": "service_account",
    "project_id": "acme-shop",
    "private_key_id": "4711",
    "private_key": RSA,
    "client_email": "ci@acme-shop.iam.gserviceaccount.com",
    "client_id": "1",
    "token_uri": "https://oauth2.googleapis.com/token",
}
VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return path


def _seen(found: tuple[Any, str | None] | None) -> dict[str, Any]:
    assert found is not None
    credentials, project = found
    return {
        "kind": type(credentials).__name__,
        "email": credentials.service_account_email,
        "project": project,
        "own project": credentials.project_id,
        "quota project": credentials.quota_project_id,
        "universe": credentials.universe_domain,
        "key": credentials.signer.key_id,
        "signature": credentials.sign_bytes(b"text"),
        "scopes": credentials.requires_scopes,
    }


@pytest.mark.parametrize(
    ("more", "environment"),
    [
        ({}, {}),
        ({"universe_domain": "example.com"}, {}),
        ({"quota_project_id": "billing"}, {}),
        ({}, {"GOOGLE_CLOUD_PROJECT": "other", "GCLOUD_PROJECT": "older"}),
        ({}, {"GCLOUD_PROJECT": "older"}),
        ({}, {"GOOGLE_CLOUD_QUOTA_PROJECT": "paying"}),
        ({"project_id": None}, {}),
        ({"private_key_id": None}, {}),
    ],
)
def test_it_is_as_google_auth_makes_it(
    file: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], environment: dict[str, str]
) -> None:
    file.write_text(json.dumps({name: one for name, one in {**FILE, **more}.items() if one is not None}))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _seen(key_file_login()) == _seen(google.auth.default())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**FILE, "type": "authorized_user"}),
        json.dumps({**FILE, "type": "external_account"}),
        json.dumps({**FILE, "private_key": "no key"}),
        json.dumps({**FILE, "private_key": RSA[:500]}),
        json.dumps({**FILE, "private_key": _pem(ec.generate_private_key(ec.SECP256R1()))}),
        json.dumps({name: value for name, value in FILE.items() if name != "client_email"}),
        json.dumps({name: value for name, value in FILE.items() if name != "token_uri"}),
    ],
)
def test_whatever_else_is_left_to_google_auth(file: Path, text: str) -> None:
    file.write_text(text)
    assert key_file_login() is None


def test_what_can_be_read_only_once_is_left_to_google_auth(file: Path) -> None:
    os.mkfifo(file)
    writer = threading.Thread(target=lambda: file.write_text(json.dumps(FILE)))
    writer.start()
    assert key_file_login() is None
    read: Any = google.auth.default()[0]
    assert read.service_account_email == FILE["client_email"]
    writer.join()


def test_a_damaged_key_is_no_usable_login(gcr: World, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps({**FILE, "private_key": RSA[:500]}))
    done = gcr.onboard(env={"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    assert done.code == 3, done.text
    assert "no usable login" in done.text.lower() or "Google login" in done.text, done.text
    assert RSA[100:160] not in done.text
