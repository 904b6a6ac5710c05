"""The emulated OAuth: keys, tokens and impersonation, by google-auth."""

from __future__ import annotations

import json

import pytest
from google.api_core import exceptions
from google.auth.transport.requests import Request
from google.cloud import iam_admin_v1

from tests.harness.google_sandbox import (
    SHOP,
    Google,
    KeyCredentials,
    call_rest,
)


def test_a_caller_without_a_good_token_is_unauthenticated(google: Google) -> None:
    context = {"Authorization": "Bearer ya29.made-up"}
    for headers, reason in (({}, "CREDENTIALS_MISSING"), (context, "ACCESS_TOKEN_TYPE_UNSUPPORTED")):
        status, body = call_rest(google, "GET", f"/v1/{SHOP}", headers=headers)
        assert status == 401
        assert body["error"]["details"][0]["reason"] == reason
    account, text = google.reader("wrong-caller")
    credentials = KeyCredentials.from_service_account_info(json.loads(text))
    iam = google.client(iam_admin_v1.IAMClient, credentials.with_always_use_jwt_access(True))
    with pytest.raises(exceptions.PermissionDenied):
        iam.get_service_account(name=account.name)
    account.keys.clear()
    with pytest.raises(exceptions.Unauthenticated):
        iam.get_service_account(name=account.name)


def test_a_key_is_exchanged_for_a_token_and_the_token_is_taken(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", google.running.environment["REQUESTS_CA_BUNDLE"])
    scope = "https://www.googleapis.com/auth/cloud-platform"
    credentials = KeyCredentials.from_service_account_file(google.operator_file, scopes=[scope])
    credentials.refresh(Request())
    assert credentials.token.startswith("ya29.")
    assert call_rest(google, "GET", f"/v1/{SHOP}", token=credentials.token)[0] == 200
    _, text = google.reader("oauth-refused")
    wrong = json.loads(text) | {"private_key_id": "0" * 40}
    with pytest.raises(Exception, match="Invalid JWT Signature"):
        KeyCredentials.from_service_account_info(wrong, scopes=[scope]).refresh(Request())


def test_impersonation_needs_the_right_to_it(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "600s"}
    path = "/v1/projects/-/serviceAccounts/{}:generateAccessToken"
    allowed, refused = "registry-setup@acme-admin", "ci-deployer@acme-shop"
    status, answer = call_rest(google, "POST", path.format(f"{allowed}.iam.gserviceaccount.com"), body)
    assert status == 200
    assert call_rest(google, "GET", f"/v1/{SHOP}", token=answer["accessToken"])[0] == 200
    status, answer = call_rest(google, "POST", path.format(f"{refused}.iam.gserviceaccount.com"), body)
    assert status == 403
    assert answer["error"]["details"][0]["metadata"]["permission"] == "iam.serviceAccounts.getAccessToken"
