"""A token service that is busy or away for a moment has not refused the login: it is asked again.

google-auth says of both the same: googleapis/google-cloud-python#15174 and #15178,
google-github-actions/auth#427 and #486.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.model.codes import Code
from bootstrap.model.deadline import Deadline
from bootstrap.testing.harness.world import World
from providers.gcr.errors import NoLogin
from providers.gcr.login import GoogleLogin
from tests.harness.virtual_time import Play

ACCOUNT = "registry-setup@acme-admin.iam.gserviceaccount.com"
STS, IAM = "https://sts.googleapis.com/v1/token", "https://iamcredentials.googleapis.com"
TOKENS = {
    STS: {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"},
    IAM: {"accessToken": "t", "expireTime": "2036-01-01T00:00:00Z"},
}


@pytest.fixture
def token_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A workload identity that acts as an account, whose token service answers as the test sets it."""
    from google.auth.exceptions import TransportError
    from google.auth.transport import requests

    (tmp_path / "subject").write_text("a.b.c")
    file = tmp_path / "login.json"
    generate = f"{IAM}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    file.write_text(
        json.dumps(
            {
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/workloadIdentityPools/p/providers/q",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": STS,
                "credential_source": {"file": str(tmp_path / "subject")},
                "service_account_impersonation_url": generate,
            }
        )
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    def answering(of: str, *statuses: int) -> list[str]:
        left, asked = list(statuses), []

        def call(_: object, url: str, *__: object, **___: object) -> object:
            service = STS if url == STS else IAM
            asked.append(service)
            status = left.pop(0) if service == of and left else 200
            if not status:
                raise TransportError("Remote end closed connection without response")  # type: ignore[no-untyped-call]
            body: object = TOKENS[service] if status == 200 else {"error": "internal", "code": status}
            return SimpleNamespace(status=status, headers={}, data=json.dumps(body).encode())

        monkeypatch.setattr(requests.Request, "__call__", call)
        monkeypatch.setattr(asyncio, "to_thread", at_once)  # virtual time waits for no thread
        return asked

    return answering


async def at_once(act: Callable[..., Any], *arguments: Any) -> Any:
    return act(*arguments)


async def log_in(seconds: float, said: list[str]) -> str:
    return await GoogleLogin("", Deadline(seconds), said.append).connect()


@pytest.mark.parametrize("service", [STS, IAM])
def test_it_is_asked_again(token_service: Callable[..., list[str]], play: Play, service: str) -> None:
    asked = token_service(service, 503, 429, 0, 500)
    said: list[str] = []

    assert play(log_in(300.0, said)) == ACCOUNT
    assert asked.count(service) == 5
    assert said == ["Google is busy or briefly away; trying again."]


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, Code.CLOUD_UNAVAILABLE), (0, Code.CLOUD_UNAVAILABLE), (429, Code.CLOUD_RATE_LIMITED)],
)
def test_after_two_minutes_it_is_called_what_it_is(
    token_service: Callable[..., list[str]], play: Play, status: int, code: Code
) -> None:
    token_service(IAM, *[status] * 100)

    with pytest.raises(NoLogin, match="token service") as caught:
        play(log_in(600.0, []))

    assert caught.value.code is code
    assert caught.value.fix == "Run it again in a while."


def test_a_refusal_is_not_waited_for(token_service: Callable[..., list[str]], play: Play) -> None:
    asked = token_service(IAM, 403)

    with pytest.raises(NoLogin, match="no usable Google login"):
        play(log_in(600.0, []))

    assert asked == [STS, IAM]


def test_one_503_of_the_token_service_ends_no_command(gcr: World) -> None:
    gcr.fault("iamcredentials.GenerateAccessToken=503")

    done = gcr.onboard("--impersonate-service-account", ACCOUNT)

    assert done.code == 0, done.text
