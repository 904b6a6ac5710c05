"""What Google asks for when it is called too often, or with a login that has ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.google_state import account, cloud_picture


class TestARateLimit:
    @pytest.mark.parametrize(
        "call", ["CreateServiceAccountKey", "GetServiceAccount", "ListServiceAccountKeys"]
    )
    def test_a_pause_that_fits_is_kept_to(self, gcr: World, call: str) -> None:
        gcr.fault(f"iam.{call}=429;retry-after=4")
        begin = gcr.running.clock.monotonic()

        done = gcr.onboard()

        assert done.code == 0, done.text
        assert gcr.running.clock.monotonic() - begin >= 4
        assert gcr.calls(f"iam.{call}") <= 4

    def test_one_that_does_not_is_not_begun(self, gcr: World) -> None:
        before = cloud_picture(gcr)
        gcr.fault("iam.CreateServiceAccountKey=429;retry-after=300*forever")

        done = gcr.onboard()

        assert done.code == 1, done.text
        assert gcr.calls("iam.CreateServiceAccountKey") == 1
        assert "limits the rate of calls" in done.err
        assert "in 300 s" in done.err
        assert cloud_picture(gcr) == before

    def test_a_number_of_accounts_that_is_used_up_is_none(self, gcr: World) -> None:
        gcr.cloud.state.accounts_per_project = 1

        done = gcr.onboard()

        assert done.code == 1, done.text
        assert gcr.calls("iam.CreateServiceAccount") == 1
        assert "Maximum number of service accounts" in done.err
        assert "--service-account EMAIL" in done.err
        assert "PK-LIMIT" in done.err


class TestALogin:
    @pytest.mark.parametrize("call", ["iam.CreateServiceAccountKey", "artifactregistry.SetIamPolicy"])
    def test_a_token_that_ends_in_the_middle_is_fetched_anew(self, gcr: World, call: str) -> None:
        gcr.fault(f"{call}=401")

        done = gcr.onboard()

        assert done.code == 0, done.text
        assert gcr.calls(call) == 2
        assert len(account(gcr).user_keys()) == 1

    def test_one_that_is_refused_again_is_a_refusal_that_names_the_login(self, gcr: World) -> None:
        gcr.fault("iam.CreateServiceAccountKey=401*forever")

        done = gcr.onboard()

        assert done.code == 1, done.text
        assert gcr.calls("iam.CreateServiceAccountKey") == 2
        assert "GOOGLE_APPLICATION_CREDENTIALS" in done.err
        assert "gcloud auth application-default login" in done.err
        assert "Run it again in a while" not in done.err

    def test_so_it_is_in_the_preflight(self, gcr: World) -> None:
        for api in ("iam", "artifactregistry", "resourcemanager", "serviceusage"):
            gcr.fault(f"{api}.*=401*forever")

        done = gcr.onboard()

        assert done.code == 3, done.text
        assert "gcloud auth application-default login" in done.err
        assert "in a while" not in done.err


class _Sts(BaseHTTPRequestHandler):
    """A security token service, and the API that speaks for an account, as a private endpoint would have
    them.
    """

    tokens: Any

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        token = self.server.token  # type: ignore[attr-defined]
        answer = {
            "access_token": token,
            "accessToken": token,
            "expires_in": 3600,
            "expireTime": "2100-01-01T00:00:00Z",
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def sts(gcr: World) -> Iterator[Any]:
    import datetime as dt

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Sts)
    server.asked = []
    server.token = gcr.cloud.tokens.issue(gcr.cloud.state.operator, dt.timedelta(hours=1))[0]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("impersonates", [False, True])
def test_a_workload_identity_calls_no_public_address(
    gcr: World, sts: Any, tmp_path: Path, impersonates: bool
) -> None:
    """The search for contacted hosts after each test finds any other; Resource Manager's and IAM's were."""
    local = f"http://127.0.0.1:{sts.server_port}"
    (tmp_path / "subject").write_text("a token of the workload's platform")
    configuration = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/734512906481/locations/global/workloadIdentityPools/ci/providers/ci",  # noqa: E501
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{local}/v1/token",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    if impersonates:
        configuration["service_account_impersonation_url"] = (
            f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{gcr.cloud.state.operator}:generateAccessToken"
        )
    login = tmp_path / "workload.json"
    login.write_text(json.dumps(configuration))

    done = gcr.onboard(
        env={
            "GOOGLE_APPLICATION_CREDENTIALS": str(login),
            "GOOGLE_CLOUD_PROJECT": "",
            "PULLKEY_GOOGLE_IAMCREDENTIALS_ENDPOINT": local,
        }
    )

    assert done.code == 0, done.text
    assert any(":generateAccessToken" in path for path in sts.asked) == impersonates
