"""What is new or was taken away in the emulated Google is not known everywhere at once."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.iam.v1 import policy_pb2

from tests.harness.google_sandbox import (
    CONTAINERS,
    IMAGE,
    READER,
    SHOP,
    Google,
    KeyCredentials,
    read_policy,
    start_google,
    write_policy,
)


def test_what_is_new_is_not_known_everywhere_at_once() -> None:
    with start_google(propagation=60) as running:
        google = Google(running)
        account = google.iam.create_service_account(name=SHOP, account_id="brand-new")
        member = f"serviceAccount:{account.email}"
        policy = google.registries.get_iam_policy(request={"resource": CONTAINERS})
        policy.bindings.append(policy_pb2.Binding(role=READER, members=[member]))
        request = {"resource": CONTAINERS, "policy": policy}
        with pytest.raises(
            exceptions.InvalidArgument, match=f"Service account {account.email} does not exist"
        ):
            google.registries.set_iam_policy(request=request)
        with pytest.raises(exceptions.NotFound):
            google.iam.create_service_account_key(name=account.name)
        running.sandbox.advance(dt.timedelta(seconds=61))
        google.registries.set_iam_policy(request=request)
        key = google.iam.create_service_account_key(name=account.name).private_key_data.decode()
        scope = f"repository:{IMAGE}:pull"
        assert google.token(key, scope)[0] == 401, "the key is not known yet"
        running.sandbox.advance(dt.timedelta(seconds=61))
        assert google.token(key, scope)[0] == 200
        policy = read_policy(google)
        policy.bindings.append(policy_pb2.Binding(role=READER, members=[member]))
        write_policy(google, policy)
        tools = "repository:acme-shop/tools/drill:pull"
        assert google.token(key, tools)[0] == 403, "the grant has not spread yet"
        running.sandbox.advance(dt.timedelta(seconds=61))
        assert google.token(key, tools)[0] == 200


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_a_key_that_is_taken_away_works_until_that_has_spread(change: str) -> None:
    with start_google(propagation=60.0) as running:
        google = Google(running)
        _, key = google.reader("taken-away")
        scope = f"repository:{IMAGE}:pull"
        running.sandbox.advance(dt.timedelta(seconds=61))
        name = f"{SHOP}/serviceAccounts/{json.loads(key)['client_email']}/keys/{json.loads(key)['private_key_id']}"  # noqa: E501
        getattr(google.iam, f"{change}_service_account_key")(request={"name": name})
        assert google.token(key, scope)[0] == 200
        running.sandbox.advance(dt.timedelta(seconds=61))
        assert google.token(key, scope)[0] == 401
        with pytest.raises(RefreshError, match="Invalid JWT Signature"):
            refresh(google, key)
        if change == "disable":
            google.iam.enable_service_account_key(request={"name": name})
            assert google.token(key, scope)[0] == 401
            running.sandbox.advance(dt.timedelta(seconds=61))
            assert google.token(key, scope)[0] == 200


def refresh(google: Google, key: str) -> None:
    """Ask the token endpoint for an access token, as google-auth does."""
    import requests

    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would win over the next line
    session.verify = str(google.running.sandbox.authority.bundle)
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    KeyCredentials.from_service_account_info(json.loads(key), scopes=scopes).refresh(Request(session))
