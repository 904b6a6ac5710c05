"""The handshake against a registry that answers in every way: what it concludes, and where it sends the credential."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from bootstrap.credential import Credential
from bootstrap.handshake import (
    Attempt,
    Challenge,
    Patience,
    Probe,
    Verdict,
    exchange,
    fetch_challenge,
    prove,
)
from bootstrap.link import KeyLink
from bootstrap.sandbox.host import Sandbox
from bootstrap.secret import Secret
from bootstrap.waiting import Deadline
from tests.sandbox_thread import RunningSandbox

HOST = "registry.example.com"
OTHER = "evil.example.net"
PASSWORD = "s3cret-of-the-puller"
CREDENTIAL = Credential(f"https://{HOST}", "puller", Secret(PASSWORD), KeyLink("a", "key123", "b"))


class Registry:
    """A registry whose answers a test sets; it remembers who sent the password where."""

    name = "registry"

    def __init__(self) -> None:
        self.ping = (401, f'Bearer realm="https://{HOST}/token",service="{HOST}"', "")
        self.token: list[tuple[int, str]] = [(200, '{"token": "t"}')]
        self.manifest: list[tuple[int, str]] = [(200, "{}")]
        self.location = ""
        self.got_password: list[str] = []
        self.scopes: list[str] = []

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        app = web.Application()
        app.router.add_get("/v2/", self._ping)
        app.router.add_get("/token", self._token)
        app.router.add_get("/v2/{path:.*}", self._manifest)
        port = await sandbox.serve(app, tls=True, hosts=[HOST, OTHER])
        return {"PULLKEY_REGISTRY_CONNECT_TO": f"{HOST}=127.0.0.1:{port},{OTHER}=127.0.0.1:{port}"}

    async def stop(self) -> None:
        return

    def _note(self, request: web.Request) -> None:
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic ") and PASSWORD in base64.b64decode(header[6:]).decode():
            self.got_password.append(f"{request.host}{request.path}")

    async def _ping(self, request: web.Request) -> web.Response:
        self._note(request)
        status, challenge, body = self.ping
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        if self.location:
            headers["Location"] = self.location
        return web.Response(status=status, headers=headers, text=body)

    async def _token(self, request: web.Request) -> web.Response:
        self._note(request)
        self.scopes.append(request.query.get("scope", ""))
        status, body = self.token.pop(0) if len(self.token) > 1 else self.token[0]
        headers = {"Location": self.location} if self.location else {}
        return web.Response(status=status, text=body, headers=headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        self._note(request)
        status, body = self.manifest.pop(0) if len(self.manifest) > 1 else self.manifest[0]
        return web.Response(status=status, text=body)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with RunningSandbox({"registry": Registry}) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        found = running.sandbox.emulators["registry"]
        assert isinstance(found, Registry)
        yield found


PROBE = Probe(HOST, "team/app", "1.0")


def run_exchange(probe: Probe = PROBE) -> Attempt:
    async def both() -> Attempt:
        challenge = await fetch_challenge(HOST)
        return challenge if isinstance(challenge, Attempt) else await exchange(probe, challenge, CREDENTIAL)

    return asyncio.run(both())


def error(code: str, message: str = "") -> str:
    return f'{{"errors": [{{"code": "{code}", "message": "{message}"}}]}}'


@pytest.mark.parametrize(
    ("token", "manifest", "verdict"),
    [
        ((200, '{"token": "t"}'), (200, "{}"), Verdict.PULLS),
        ((200, '{"access_token": "t"}'), (200, "{}"), Verdict.PULLS),
        ((200, '{"token": "t"}'), (307, ""), Verdict.PULLS),
        ((401, error("UNAUTHORIZED")), (200, "{}"), Verdict.IDENTITY_REFUSED),
        ((403, error("DENIED")), (200, "{}"), Verdict.NO_GRANT),
        (
            (403, error("DENIED", "client with IP '1.2.3.4' is not allowed access")),
            (200, "{}"),
            Verdict.NETWORK_REFUSED,
        ),
        ((200, '{"token": "t"}'), (401, error("UNAUTHORIZED")), Verdict.NO_GRANT),
        ((200, '{"token": "t"}'), (403, error("DENIED")), Verdict.NO_GRANT),
        ((200, '{"token": "t"}'), (404, error("MANIFEST_UNKNOWN")), Verdict.NOT_FOUND),
        ((503, ""), (200, "{}"), Verdict.UNREACHABLE),
        ((429, ""), (200, "{}"), Verdict.UNREACHABLE),
        ((200, "<html>"), (200, "{}"), Verdict.UNREACHABLE),
        ((200, "[]"), (200, "{}"), Verdict.UNREACHABLE),
        ((200, '{"token": 5}'), (200, "{}"), Verdict.UNREACHABLE),
        ((200, '{"token": "a\\nb"}'), (200, "{}"), Verdict.UNREACHABLE),
        ((200, '{"token": "t"}'), (500, ""), Verdict.UNREACHABLE),
    ],
)
def test_verdicts_are_kept_apart(
    registry: Registry, token: tuple[int, str], manifest: tuple[int, str], verdict: Verdict
) -> None:
    registry.token, registry.manifest = [token], [manifest]
    assert run_exchange().verdict is verdict


def test_a_tag_that_cannot_exist_proves_the_right_to_pull(registry: Registry) -> None:
    registry.manifest = [(404, error("MANIFEST_UNKNOWN"))]
    assert run_exchange(Probe(HOST, "team/app")).verdict is Verdict.PULLS
    assert registry.scopes == ["repository:team/app:pull"]


def test_the_password_goes_to_the_token_service_only(registry: Registry) -> None:
    run_exchange()
    assert registry.got_password == [f"{HOST}/token"]


@pytest.mark.parametrize(
    "realm",
    [f"https://{OTHER}/token", f"http://{HOST}/token", "https://registry.example.com.evil.net/token", "//x", "",
     f"https://{HOST}@{OTHER}/token", "https://169.254.169.254/token"],
)  # fmt: skip
def test_the_password_is_not_sent_where_the_registry_has_no_say(registry: Registry, realm: str) -> None:
    registry.ping = (401, f'Bearer realm="{realm}",service="x"', "")
    assert run_exchange().verdict is Verdict.UNTRUSTED
    assert registry.got_password == []


def test_a_redirect_is_not_followed_with_the_password(registry: Registry) -> None:
    registry.token, registry.location = [(307, "")], f"https://{OTHER}/token"
    assert run_exchange().verdict is not Verdict.PULLS
    assert registry.got_password == [f"{HOST}/token"]


@pytest.mark.parametrize(
    ("ping", "verdict"),
    [
        ((403, "", error("DENIED", "blocked")), Verdict.NETWORK_REFUSED),
        ((404, "", ""), Verdict.UNREACHABLE),
        ((401, "Digest x", ""), Verdict.UNREACHABLE),
        ((301, "", ""), Verdict.UNREACHABLE),
    ],
)
def test_what_is_no_registry_is_seen_before_anything_is_sent(
    registry: Registry, ping: tuple[int, str, str], verdict: Verdict
) -> None:
    registry.ping = ping
    assert run_exchange().verdict is verdict
    assert registry.got_password == []


def test_basic_authentication(registry: Registry) -> None:
    registry.ping = (401, "Basic realm=x", "")
    assert run_exchange().verdict is Verdict.PULLS
    assert registry.got_password == [f"{HOST}/v2/team/app/manifests/1.0"]


def test_a_registry_for_everybody_is_seen(registry: Registry) -> None:
    registry.ping = (200, "", "")
    assert asyncio.run(fetch_challenge(HOST)) == Challenge("none")


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLKEY_REGISTRY_CONNECT_TO", f"{HOST}=127.0.0.1:1")
    answered = asyncio.run(fetch_challenge(HOST))
    assert isinstance(answered, Attempt)
    assert answered.verdict is Verdict.UNREACHABLE


def test_a_certificate_of_another_name_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    address = os.environ["PULLKEY_REGISTRY_CONNECT_TO"].split("=")[-1]
    monkeypatch.setenv("PULLKEY_REGISTRY_CONNECT_TO", f"wrong.example.org={address}")
    answered = asyncio.run(fetch_challenge("wrong.example.org"))
    assert isinstance(answered, Attempt)
    assert answered.verdict is Verdict.CERTIFICATE_REFUSED
    assert "wrong.example.org" in answered.detail
    assert "name the registry as its certificate does" in answered.mend


def run_prove(registry: Registry, seconds: float = 10.0, **patience: Any) -> tuple[Attempt, list[str]]:
    told: list[str] = []

    async def work() -> Attempt:
        challenge = await fetch_challenge(HOST)
        assert isinstance(challenge, Challenge)
        how = Patience(**{"pause": 0.05, **patience})
        return await prove(
            PROBE, challenge, CREDENTIAL, deadline=Deadline(seconds), tell=told.append, patience=how
        )

    return asyncio.run(work()), told


def test_a_key_that_is_refused_at_random_needs_several_good_rounds(registry: Registry) -> None:
    good = (200, '{"token": "t"}')
    registry.token = [good, (401, error("UNAUTHORIZED")), good, *[good] * 9, good]
    attempt, told = run_prove(registry)
    assert attempt.verdict is Verdict.PULLS
    # One round was refused; three good ones of three exchanges each follow.
    assert len(registry.scopes) == 3 + 9
    assert len(told) == 1


def test_what_will_not_pass_is_not_waited_for(registry: Registry) -> None:
    registry.manifest = [(404, error("NAME_UNKNOWN"))]
    attempt, told = run_prove(registry, seconds=60)
    assert attempt.verdict is Verdict.NOT_FOUND
    assert told == []


def test_the_deadline_ends_it_with_the_last_verdict(registry: Registry) -> None:
    registry.token = [(403, error("DENIED", "no role"))]
    attempt, told = run_prove(registry, seconds=1.0)
    assert attempt == Attempt(Verdict.NO_GRANT, "DENIED no role")
    assert "no role" in told[0]
