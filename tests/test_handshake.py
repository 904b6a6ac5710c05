"""The handshake against a registry that answers in every way: what it concludes, and where it sends the
credential.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.http.client import trust_of_environment
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.model.secret import Secret
from bootstrap.registry import (
    FOR_SUPPLIED_PASSWORD,
    Challenge,
    Patience,
    exchange,
    failure,
    fetch_challenge,
    first_word,
    open_to_all,
    same_owner,
    verify_pull,
)
from bootstrap.sandbox.host import Sandbox
from bootstrap.testing.harness.running_sandbox import RunningSandbox

HOST = "registry.example.com"
OTHER = "evil.example.net"
SISTER = "tokens.example.com"
PASSWORD = "s3cret-of-the-puller"
MANIFEST = '{"schemaVersion": 2}'
CREDENTIAL = Credential(f"https://{HOST}", "puller", Secret(PASSWORD), KeyRef("a", "key123", "b"))


class Registry:
    """A registry whose answers a test sets; it remembers who sent the password where."""

    name = "registry"

    def __init__(self) -> None:
        self.ping = (401, f'Bearer realm="https://{HOST}/token",service="{HOST}"', "")
        self.token: list[tuple[int, str]] = [(200, '{"token": "t"}')]
        self.manifest: list[tuple[int, str]] = [(200, MANIFEST)]
        self.location = ""
        self.type = "application/json"
        self.room = ""  # what a manifest asks for, where it is refused
        self.public = False
        self.at_storage: list[str] = []
        self.got_password: list[str] = []
        self.scopes: list[str] = []
        self.queries: list[dict[str, str]] = []

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        app = web.Application()
        app.router.add_get("/v2/", self._ping)
        app.router.add_get("/token", self._token)
        app.router.add_get("/v2/{path:.*}", self._manifest)
        app.router.add_get("/stored/1", self._stored)
        app.router.add_get("/stored/page", self._page)
        app.router.add_get("/login", self._page)
        port = await sandbox.serve(app, tls=True, hosts=[HOST, OTHER, SISTER])
        names = (HOST, OTHER, SISTER)
        return {"PULLKEY_REGISTRY_CONNECT_TO": ",".join(f"{name}=127.0.0.1:{port}" for name in names)}

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
        return web.Response(status=status, headers=headers, text=body, content_type=self.type)

    async def _token(self, request: web.Request) -> web.Response:
        self._note(request)
        if "Authorization" not in request.headers:
            return web.json_response({"token": "anonymous"})
        self.scopes.append(request.query.get("scope", ""))
        self.queries.append(dict(request.query))
        status, body = self.token.pop(0) if len(self.token) > 1 else self.token[0]
        headers = {"Location": self.location} if self.location else {}
        return web.Response(status=status, text=body, headers=headers)

    async def _stored(self, request: web.Request) -> web.Response:
        self._note(request)
        self.at_storage.append(request.headers.get("Authorization", ""))
        return web.Response(text=MANIFEST, content_type="application/octet-stream")

    async def _page(self, request: web.Request) -> web.Response:
        self._note(request)
        return web.Response(text="<html>Log in", content_type="text/html")

    async def _manifest(self, request: web.Request) -> web.Response:
        self._note(request)
        if self.room and "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": self.room})
        if (
            not self.public
            and request.headers.get("Authorization") in (None, "Bearer anonymous")
            and self.ping[0] == 401
        ):
            return web.Response(status=401)
        status, body = self.manifest.pop(0) if len(self.manifest) > 1 else self.manifest[0]
        headers = {"Location": self.location} if self.location else {}
        return web.Response(status=status, text=body, content_type=self.type, headers=headers)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with RunningSandbox({"registry": Registry}) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        found = running.sandbox.emulators["registry"]
        assert isinstance(found, Registry)
        yield found


PROBE = Probe(HOST, "team/app", "1.0")


def run_exchange(probe: Probe = PROBE) -> PullAttempt:
    async def both() -> PullAttempt:
        challenge = await fetch_challenge(HOST)
        return (
            challenge if isinstance(challenge, PullAttempt) else await exchange(probe, challenge, CREDENTIAL)
        )

    return asyncio.run(both())


def error(code: str, message: str = "") -> str:
    return f'{{"errors": [{{"code": "{code}", "message": "{message}"}}]}}'


@pytest.mark.parametrize(
    ("token", "manifest", "verdict"),
    [
        ((200, '{"token": "t"}'), (200, MANIFEST), Verdict.PULLS),
        ((200, '{"access_token": "t"}'), (200, MANIFEST), Verdict.PULLS),
        ((401, error("UNAUTHORIZED")), (200, MANIFEST), Verdict.IDENTITY_REFUSED),
        ((403, error("DENIED")), (200, MANIFEST), Verdict.NO_GRANT),
        (
            (403, error("DENIED", "client with IP '1.2.3.4' is not allowed access")),
            (200, MANIFEST),
            Verdict.NETWORK_REFUSED,
        ),
        ((200, '{"token": "t"}'), (401, error("UNAUTHORIZED")), Verdict.NO_GRANT),
        ((200, '{"token": "t"}'), (403, error("DENIED")), Verdict.NO_GRANT),
        ((200, '{"token": "t"}'), (404, error("MANIFEST_UNKNOWN")), Verdict.NOT_FOUND),
        ((503, ""), (200, MANIFEST), Verdict.UNREACHABLE),
        ((429, ""), (200, MANIFEST), Verdict.RATE_LIMITED),
        ((200, "<html>"), (200, MANIFEST), Verdict.INVALID),
        ((200, "[]"), (200, MANIFEST), Verdict.INVALID),
        ((200, '{"token": 5}'), (200, MANIFEST), Verdict.INVALID),
        ((200, '{"token": "a\\nb"}'), (200, MANIFEST), Verdict.INVALID),
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


@pytest.mark.parametrize("code", ["NAME_UNKNOWN", "NOT_FOUND", ""])
def test_that_there_is_no_such_repository_proves_no_right_to_pull(registry: Registry, code: str) -> None:
    registry.manifest = [(404, error(code) if code else "")]
    attempt = run_exchange(Probe(HOST, "team/app"))
    assert (attempt.verdict, attempt.pulled) == (Verdict.PULLS, False)
    assert attempt.detail == f"is accepted by {HOST}, which has no team/app to try a pull of"


def test_the_password_goes_to_the_token_service_only(registry: Registry) -> None:
    run_exchange()
    assert registry.got_password == [f"{HOST}/token"]


@pytest.mark.parametrize(
    "realm",
    [
        f"https://{OTHER}/token",
        f"http://{HOST}/token",
        "https://registry.example.com.evil.net/token",
        "//x",
        "",
        f"https://{HOST}@{OTHER}/token",
        "https://169.254.169.254/token",
    ],
)
def test_the_password_is_not_sent_where_the_registry_has_no_say(registry: Registry, realm: str) -> None:
    registry.ping = (401, f'Bearer realm="{realm}",service="x"', "")
    assert run_exchange().verdict is Verdict.UNTRUSTED
    assert registry.got_password == []


def test_a_redirect_is_not_followed_with_the_password(registry: Registry) -> None:
    registry.token, registry.location = [(307, "")], f"https://{OTHER}/token"
    assert run_exchange().verdict is not Verdict.PULLS
    assert registry.got_password == [f"{HOST}/token"]


def test_a_token_service_that_has_moved_on_its_host_is_followed(registry: Registry) -> None:
    registry.token, registry.location = [(308, ""), (200, '{"token": "t"}')], "/token?moved=1&service=x"
    assert run_exchange().verdict is Verdict.PULLS
    assert registry.got_password == [f"{HOST}/token"] * 2
    assert registry.queries[1]["moved"] == "1"


def test_a_token_service_without_tls_is_the_operator_s_to_correct(registry: Registry) -> None:
    registry.ping = (401, f'Bearer realm="http://{HOST}/service/token",service="harbor-registry"', "")
    attempt = run_exchange()
    assert "without TLS" in attempt.detail
    assert "external_url" in attempt.fix


@pytest.mark.parametrize(
    ("ping", "verdict"),
    [
        ((403, "", error("DENIED", "blocked")), Verdict.FORBIDDEN),
        (
            (403, "", error("DENIED", "client with IP '1.2.3.4' is not allowed access")),
            Verdict.NETWORK_REFUSED,
        ),
        ((404, "", ""), Verdict.REJECTED),
        ((401, "Digest x", ""), Verdict.REJECTED),
        ((301, "", ""), Verdict.REJECTED),
        ((503, "", ""), Verdict.UNREACHABLE),
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


def test_a_host_with_a_port_is_reached_at_its_address_too(registry: Registry) -> None:
    registry.ping = (401, "Basic realm=x", "")
    assert asyncio.run(fetch_challenge(f"{HOST}:5000")) == Challenge("basic")
    probe = Probe(f"{HOST}:5000", "team/app", "1.0")
    assert asyncio.run(exchange(probe, Challenge("basic"), CREDENTIAL)).verdict is Verdict.PULLS
    assert registry.got_password == [f"{HOST}:5000/v2/team/app/manifests/1.0"]


def test_a_registry_for_everybody_is_seen(registry: Registry) -> None:
    registry.ping = (200, "", "")
    assert asyncio.run(fetch_challenge(HOST)) == Challenge("none")


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLKEY_REGISTRY_CONNECT_TO", f"{HOST}=127.0.0.1:1")
    answered = asyncio.run(fetch_challenge(HOST))
    assert isinstance(answered, PullAttempt)
    assert answered.verdict is Verdict.UNREACHABLE


def test_a_certificate_of_another_name_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    address = os.environ["PULLKEY_REGISTRY_CONNECT_TO"].split("=")[-1]
    monkeypatch.setenv("PULLKEY_REGISTRY_CONNECT_TO", f"wrong.example.org={address}")
    answered = asyncio.run(fetch_challenge("wrong.example.org"))
    assert isinstance(answered, PullAttempt)
    assert answered.verdict is Verdict.CERTIFICATE_REFUSED
    assert "wrong.example.org" in answered.detail
    assert "name the registry as its certificate does" in answered.fix


def run_prove(registry: Registry, seconds: float = 10.0, **patience: Any) -> tuple[PullAttempt, list[str]]:
    told: list[str] = []

    async def work() -> PullAttempt:
        challenge = await fetch_challenge(HOST)
        assert isinstance(challenge, Challenge)
        how = Patience(**{"pause": 0.05, **patience})
        return await verify_pull(
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
    assert attempt == PullAttempt(Verdict.NO_GRANT, "DENIED no role")
    assert "no role" in told[0]


def test_a_password_that_was_brought_is_tried_once(registry: Registry) -> None:
    registry.token = [(401, error("UNAUTHORIZED"))]
    attempt, told = run_prove(registry, seconds=60, **vars(FOR_SUPPLIED_PASSWORD))
    assert attempt.verdict is Verdict.IDENTITY_REFUSED
    assert registry.got_password == [f"{HOST}/token"]
    assert told == []


def test_a_passing_fault_is_waited_out_for_a_password_that_was_brought(registry: Registry) -> None:
    registry.token = [(503, ""), (200, '{"token": "t"}')]
    attempt, told = run_prove(registry, seconds=60, **vars(FOR_SUPPLIED_PASSWORD))
    assert attempt.verdict is Verdict.PULLS
    assert len(told) == 1


def test_what_is_advised_depends_on_who_made_the_password() -> None:
    refused = PullAttempt(Verdict.IDENTITY_REFUSED, "no")
    assert "--timeout" in failure(refused, "").fix
    assert "--timeout" not in failure(refused, "", supplied=True).fix
    assert failure(PullAttempt(Verdict.CERTIFICATE_REFUSED, "bad", "do this"), "").fix == "do this"


def test_a_first_word_is_a_sentence() -> None:
    assert (
        first_word(PullAttempt(Verdict.NETWORK_REFUSED, "DENIED"))
        == "The registry refuses: network refused: DENIED"
    )
    assert first_word(PullAttempt(Verdict.UNTRUSTED, "It wants it elsewhere")) == "It wants it elsewhere"


@pytest.mark.parametrize(
    ("status", "repository", "verdict"),
    [
        (401, "", Verdict.IDENTITY_REFUSED),
        (403, "", Verdict.IDENTITY_REFUSED),
        (403, "team/app", Verdict.NO_GRANT),
    ],
)
def test_a_token_refused_for_no_repository_is_about_the_password(
    registry: Registry, status: int, repository: str, verdict: Verdict
) -> None:
    registry.token = [(status, error("DENIED"))]
    assert run_exchange(Probe(HOST, repository)).verdict is verdict


@pytest.mark.parametrize(("status", "verdict"), [(401, Verdict.IDENTITY_REFUSED), (403, Verdict.NO_GRANT)])
def test_basic_authentication_that_is_refused(registry: Registry, status: int, verdict: Verdict) -> None:
    registry.ping = (401, "Basic realm=x", "")
    registry.manifest = [(status, error("DENIED"))]
    assert run_exchange().verdict is verdict


def test_a_redirect_without_a_repository_proves_nothing(registry: Registry) -> None:
    registry.ping = (401, "Basic realm=x", "")
    challenge = asyncio.run(fetch_challenge(HOST))
    assert isinstance(challenge, Challenge)
    registry.ping, registry.location = (302, "", ""), "https://registry.example.com/login"
    attempt = asyncio.run(exchange(Probe(HOST), challenge, CREDENTIAL))
    assert attempt.verdict is not Verdict.PULLS
    assert registry.got_password == [f"{HOST}/v2/"]


def test_a_redirect_to_where_the_manifest_lies_shows_that_it_may_be_pulled(registry: Registry) -> None:
    registry.manifest, registry.location = [(307, "")], f"https://{OTHER}/stored/1"
    assert run_exchange().verdict is Verdict.PULLS
    # Neither the password nor the token goes with it.
    assert registry.at_storage == [""]


def test_a_redirect_to_another_spelling_of_the_image_takes_the_token_along(registry: Registry) -> None:
    """Harbor's proxy of Docker Hub: `proj/busybox` is at `proj/library/busybox`."""
    registry.manifest, registry.location = [(301, ""), (200, MANIFEST)], "/v2/team/library/app/manifests/1.0"
    assert run_exchange() == PullAttempt(Verdict.PULLS, f"reads the manifest of {HOST}/team/app:1.0")


@pytest.mark.parametrize(
    "location",
    [
        f"https://{HOST}/login",
        f"https://{SISTER}/login",
        f"http://{HOST}/stored/1",
        "https://169.254.169.254/v2/x",
        f"https://{OTHER}/stored/page",
    ],
)
def test_a_redirect_to_no_manifest_proves_nothing(registry: Registry, location: str) -> None:
    registry.manifest, registry.location = [(302, "")], location
    assert run_exchange().verdict is not Verdict.PULLS
    assert registry.got_password == [f"{HOST}/token"]


@pytest.mark.parametrize("location", ["/v2/team/app/manifests/1.0", "1.0", ""])
def test_a_redirect_that_leads_nowhere_proves_nothing(registry: Registry, location: str) -> None:
    registry.manifest, registry.location = [(307, "")], location
    assert run_exchange().verdict is Verdict.REJECTED


def test_a_redirect_of_somebody_without_a_password_may_lead_to_a_login(registry: Registry) -> None:
    registry.public = True
    assert asyncio.run(open_to_all(PROBE, Challenge("none")))[0] != ""
    registry.manifest, registry.location = [(302, "")], f"https://{OTHER}/login"
    assert asyncio.run(open_to_all(PROBE, Challenge("none")))[0] == ""


def test_a_web_page_is_no_registry(registry: Registry) -> None:
    registry.type = "text/html"
    registry.ping = (200, "", "<html>")
    answered = asyncio.run(fetch_challenge(HOST))
    assert isinstance(answered, PullAttempt)
    assert "web page" in answered.detail
    registry.ping = (401, "Basic realm=x", "")
    assert run_exchange().verdict is Verdict.INVALID


def test_a_registry_that_is_open_at_the_door_only(registry: Registry) -> None:
    registry.ping, registry.room = (200, "", ""), "Basic realm=x"
    assert asyncio.run(open_to_all(PROBE, Challenge("none")))[0] == ""
    assert run_exchange() == PullAttempt(Verdict.PULLS, f"reads the manifest of {HOST}/team/app:1.0")
    registry.room = f'Bearer realm="https://{OTHER}/token",service="x"'
    registry.got_password.clear()
    assert run_exchange().verdict is Verdict.UNTRUSTED
    assert registry.got_password == []


def test_what_nobody_asked_for_is_not_called_proven(registry: Registry) -> None:
    registry.ping = (200, "", "")
    assert "as anyone can" in run_exchange().detail
    assert run_exchange(Probe(HOST)).detail == f"was not tried: {HOST} asks for no credential"
    assert registry.got_password == []


@pytest.mark.parametrize(
    "challenge",
    [
        f'bearer Realm="https://{HOST}/token?tenant=a" , service={HOST}',
        f'Bearer error="x",realm="https://{SISTER}/token"',
        f'Bearer realm="https://{HOST}:443/token"',
    ],
)
def test_spellings_of_a_challenge(registry: Registry, challenge: str) -> None:
    registry.ping = (401, challenge, "")
    assert run_exchange().verdict is Verdict.PULLS
    assert registry.scopes == ["repository:team/app:pull"]


def test_the_realms_own_query_is_kept(registry: Registry) -> None:
    seen: list[str] = []
    challenge = Challenge("bearer", f"https://{HOST}/token?tenant=a", "x")
    asyncio.run(exchange(PROBE, challenge, CREDENTIAL, trace=seen.append))
    assert "tenant" not in "".join(seen)  # a query is never shown
    assert registry.queries[-1] == {"tenant": "a", "service": "x", "scope": "repository:team/app:pull"}


# -- whom the credential is shown ----------------------------------------------------------------------------

LABEL = st.from_regex(r"[a-z](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
SUFFIXES = st.sampled_from(["com", "co.uk", "example", "github.io", "gitlab.io", "s3.amazonaws.com"])


@pytest.mark.parametrize(
    ("registry_host", "other"),
    [
        ("registry.gitlab.com", "gitlab.com"),
        ("registry.corp.example", "gitlab.corp.example"),
        ("docker.eu.acme.co.uk", "sso.acme.co.uk"),
        ("registry-1.docker.io", "auth.docker.io"),
        ("xn--bcher-kva.example.com", "xn--bcher-kva.example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("nexus", "nexus"),
    ],
)
def test_the_same_owner(registry_host: str, other: str) -> None:
    assert same_owner(registry_host, other)


@pytest.mark.parametrize(
    ("registry_host", "other"),
    [
        ("registry.acme.co.uk", "tokens.mallory.co.uk"),
        ("alice.github.io", "mallory.github.io"),
        ("alice.github.io", "github.io"),
        ("acme.azurecr.io", "mallory.azurecr.io"),
        ("acme.jfrog.io", "mallory.jfrog.io"),
        ("10.0.0.1", "10.0.0.2"),
        ("127.0.0.1", "1.0.0.1"),
        ("nexus", "tokens"),
        ("nexus", "nexus.example.com"),
        ("registry.example.com", "example.com.evil.net"),
        ("registry.example.com", "notexample.com"),
        ("registry.example.com", ""),
        ("one.city.kawasaki.jp", "two.city.kawasaki.jp.evil.net"),
        ("one.somebody.kawasaki.jp", "two.somebody.kawasaki.jp"),
        ("com", "org"),
    ],
)
def test_another_owner(registry_host: str, other: str) -> None:
    assert not same_owner(registry_host, other)
    assert not same_owner(other, registry_host)


@given(LABEL, LABEL, LABEL, LABEL, SUFFIXES)
def test_two_names_are_of_one_owner_if_what_was_registered_is_the_same(
    one: str, two: str, mine: str, theirs: str, suffix: str
) -> None:
    # `own-`, since some names that could be drawn are suffixes themselves: uk.com.
    assert same_owner(f"{one}.own-{mine}.{suffix}", f"{two}.own-{mine}.{suffix}")
    assert same_owner(f"{one}.own-{mine}.{suffix}", f"{two}.own-{theirs}.{suffix}") is (mine == theirs)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_an_address_is_of_one_owner_with_itself_only(one: Any, two: Any) -> None:
    assert same_owner(str(one), str(two)) is (one == two)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_registry_names_is_judged(one: str, two: str) -> None:
    assert same_owner(one, one)
    assert same_owner(one, two) is same_owner(two, one)


@given(st.text(max_size=60))
def test_no_realm_but_https_of_the_same_owner_is_trusted(text: str) -> None:
    from bootstrap.registry.trust import refusal_of as _untrusted

    refusal = _untrusted(HOST, text)
    assert refusal is not None
    assert refusal.verdict is Verdict.UNTRUSTED
    assert refusal.detail.isprintable()


def test_a_name_in_other_letters_is_the_same_as_in_the_certificate() -> None:
    from bootstrap.registry.trust import refusal_of as _untrusted

    assert _untrusted("xn--bcher-kva.example:5000", "https://xn--bcher-kva.example/token") is None
    assert _untrusted("xn--bcher-kva.example", "https://b\u00fccher.example/token") is None


def test_an_authority_of_your_own_is_trusted_beside_the_public_ones(
    registry: Registry,
) -> None:
    import certifi

    public = ssl.create_default_context(cafile=certifi.where()).get_ca_certs()
    own = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]).get_ca_certs()

    trusted = trust_of_environment().get_ca_certs()

    assert [one for one in (*public, *own) if one not in trusted] == []
    assert isinstance(asyncio.run(fetch_challenge(HOST)), Challenge)


def test_a_certificate_that_nobody_knows_is_told_with_what_to_do(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    answered = asyncio.run(fetch_challenge(HOST))
    assert isinstance(answered, PullAttempt)
    assert answered.verdict is Verdict.CERTIFICATE_REFUSED
    assert answered.detail.startswith(f"The TLS certificate of {HOST} does not verify: ")
    assert "SSL_CERT_FILE=FILE" in answered.fix
