"""The emulated Artifact Registry and gcr.io, asked as a puller asks."""

from __future__ import annotations

import base64
import datetime as dt
import json
import ssl
import urllib.error
import urllib.request

import pytest
from google.type import expr_pb2

from tests.harness.google_sandbox import (
    DOWNLOAD,
    IMAGE,
    READER,
    Google,
)


def test_anybody_may_pull_from_a_repository_that_is_open_to_all(google: Google) -> None:
    tools = google.state.projects["acme-shop"].repositories["europe-west1", "tools"]
    tools.created = google.state.now() - dt.timedelta(days=1)
    url = "https://europe-west1-docker.pkg.dev/v2/token?scope=repository:acme-shop/tools/drill:pull"
    assert google.fetch(url)[0] == 403
    before, tools.policy = tools.policy, type(tools.policy)()
    try:
        google.state.open_to_all(tools)
        status, _, body = google.fetch(url)
        assert status == 200
        manifest = "https://europe-west1-docker.pkg.dev/v2/acme-shop/tools/drill/manifests/1"
        assert google.fetch(manifest, bearer=body["token"])[0] == 404
        assert google.fetch(manifest)[0] == 401, "without a token it still asks for one"
        push = url.replace(":pull", ":push")
        assert google.fetch(push)[0] == 403
    finally:
        tools.policy = before


def test_a_grant_with_a_condition_pulls_nothing(google: Google) -> None:
    account, key = google.reader("conditional-reader")
    tools = google.state.projects["acme-shop"].repositories["europe-west1", "tools"]
    condition = expr_pb2.Expr(title="always", expression="true")
    tools.policy.grant(READER, account.member, condition=condition, since=google.state.now())
    assert google.token(key, "repository:acme-shop/tools/drill:pull")[0] == 403


def test_the_handshake_leads_to_the_manifest(google: Google) -> None:
    _, key = google.reader("handshake")
    host = "europe-west1-docker.pkg.dev"
    url = f"https://{host}/v2/{IMAGE}/manifests/1.0"
    status, headers, _ = google.fetch(url)
    assert status == 401
    assert headers["WWW-Authenticate"] == (
        f'Bearer realm="https://{host}/v2/token",service="{host}",scope="repository:{IMAGE}:pull"'
    )
    assert (
        google.fetch(f"https://{host}/v2/")[1]["WWW-Authenticate"]
        == f'Bearer realm="https://{host}/v2/token"'
    )
    status, _, body = google.token(key, f"repository:{IMAGE}:pull")
    assert status == 200
    status, headers, manifest = google.fetch(url, bearer=body["token"])
    assert status == 200
    assert manifest["schemaVersion"] == 2
    assert headers["Docker-Content-Digest"].startswith("sha256:")
    status, _, missing = google.fetch(url.replace("1.0", "2.0"), bearer=body["token"])
    assert (status, missing["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    google.running.sandbox.advance(dt.timedelta(hours=13))
    try:
        assert google.fetch(url, bearer=body["token"])[0] == 401, "a token ends after twelve hours"
    finally:
        google.running.sandbox.advance(-dt.timedelta(hours=13))


def test_a_key_is_refused_when_it_is_not_or_no_longer_good(google: Google) -> None:
    account, key = google.reader("refused-key")
    scope = f"repository:{IMAGE}:pull"
    key_id = json.loads(key)["private_key_id"]
    other = json.loads(google.reader("another-key")[1])
    assert google.token(key, scope)[0] == 200
    forged = json.dumps(json.loads(key) | {"private_key": other["private_key"]})
    status, _, body = google.token(forged, scope)
    assert (status, body["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    account.keys[key_id].disabled = True
    assert google.token(key, scope)[0] == 401
    account.keys[key_id].disabled = False
    account.disabled = True
    assert google.token(key, scope)[0] == 401
    account.disabled = False
    assert google.token(key, scope)[0] == 200
    google.iam.delete_service_account_key(name=f"{account.name}/keys/{key_id}")
    assert google.token(key, scope)[0] == 401


def test_an_identity_without_the_role_is_denied_by_the_token_service(google: Google) -> None:
    _, key = google.reader("one-repository")
    status, _, body = google.token(key, "repository:acme-shop/tools/drill:pull")
    assert status == 403
    assert body["errors"] == [
        {
            "code": "DENIED",
            "message": f'Permission "{DOWNLOAD}" denied on resource '
            '"projects/acme-shop/locations/europe-west1/repositories/tools" (or it may not exist)',
        }
    ]
    assert google.token(key, "")[0] == 200, "without a scope, any good credential gets a token"
    anonymous = google.fetch(f"https://europe-west1-docker.pkg.dev/v2/token?scope=repository:{IMAGE}:pull")
    assert anonymous[0] == 403
    assert anonymous[2]["errors"][0]["message"].startswith("Unauthenticated request.")


@pytest.mark.parametrize(("role", "expected"), [(READER, 200), ("roles/storage.objectViewer", 403)])
def test_gcr_io_is_artifact_registry_and_takes_its_roles_only(
    google: Google, role: str, expected: int
) -> None:
    name = "gcr-reader" if expected == 200 else "storage-reader"
    account = google.state.add_account("acme-shop", name)
    google.state.projects["acme-shop"].policy.grant(role, account.member, since=google.state.now())
    key = google.iam.create_service_account_key(name=account.name).private_key_data.decode()
    status, _, body = google.token(key, "repository:acme-shop/checkout:pull", host="gcr.io")
    assert status == expected
    if status == 200:
        url = "https://gcr.io/v2/acme-shop/checkout/manifests/1.0"
        assert google.fetch(url, bearer=body["token"])[0] == 200


def test_a_key_passes_in_base64_and_an_access_token_as_it_is(google: Google) -> None:
    account, key = google.reader("other-users")
    url = f"https://docker.europe-west1.rep.pkg.dev/v2/token?scope=repository:{IMAGE}:pull"
    encoded = base64.b64encode(key.encode()).decode()
    assert google.fetch(url, user="_json_key_base64", password=encoded)[0] == 200
    token, _ = google.emulator.tokens.issue(account.email)
    assert google.fetch(url, user="oauth2accesstoken", password=token)[0] == 200
    assert google.fetch(url, user="someone", password="else")[0] == 401


def test_who_is_refused_is_not_asked_again_and_a_path_of_one_part_has_no_image(google: Google) -> None:
    host = "europe-west1-docker.pkg.dev"
    url = f"https://{host}/v2/{IMAGE}/manifests/1.0"
    for status, headers, body in (
        google.fetch(url, bearer="bogus"),
        google.fetch(
            f"https://{host}/v2/token?scope=repository:{IMAGE}:pull", user="oauth2accesstoken", password="no"
        ),
    ):
        assert (status, body["errors"][0]["code"]) == (401, "UNAUTHORIZED")
        assert "WWW-Authenticate" not in headers
    status, headers, body = google.fetch(f"https://{host}/v2/acme-shop/manifests/1.0")
    assert (status, body["errors"][0]["code"]) == (400, "NAME_INVALID")
    assert "WWW-Authenticate" not in headers
    token = google.token(google.reader("twelve-hours")[1], f"repository:{IMAGE}:pull")[2]
    assert token["expires_in"] == 43200


def test_a_gcr_io_host_that_was_never_migrated_names_the_command(google: Google) -> None:
    _, key = google.reader("not-migrated")
    host = "eu.gcr.io"
    status, _, token = google.token(key, "repository:acme-shop/checkout:pull", host)
    assert status == 200
    request = urllib.request.Request(
        f"https://localhost:{google.emulator.registry_port}/v2/acme-shop/checkout/manifests/1"
    )
    request.add_unredirected_header("Host", host)
    request.add_header("Authorization", f"Bearer {token['token']}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(
            request, context=ssl.create_default_context(cadata=google.roots.decode()), timeout=10
        )
    assert refused.value.code == 412
    assert refused.value.headers.get_content_type() == "text/plain"
    assert "gcloud artifacts docker upgrade migrate" in refused.value.read().decode()
