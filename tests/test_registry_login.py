"""What is said to be verified, what of a refusal is told, and which challenges are answered."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from bootstrap.testing.harness.world import World
from tests.harness.odd_registry import (
    FOREIGN,
    GITHUB,
    HOST,
    IMAGE,
    MANIFEST,
    NAME,
    PASSWORD,
    SISTER,
    USER,
    basic_of,
    make_odd,
    onboard,
    says,
)

RIGHT = f"{USER}:{PASSWORD}"
WRONG = "not-the-password-of-ops"


@pytest.fixture
def odd() -> Iterator[World]:
    yield from make_odd()


def harbor(world: World, *, public: bool = False, login: bool = True) -> None:
    """As Harbor answers: whoever asks for a scope gets a token, which opens what its holder may pull.

    `login`: whether a token without a scope and Basic at `/v2/` tell a wrong password, as Harbor's do.
    """
    cloud = world.cloud

    def ping(request: web.Request) -> web.Response:
        sent = basic_of(request)
        if login and sent is not None:
            return (
                web.json_response({})
                if sent == RIGHT
                else says(401, "UNAUTHORIZED", "unauthorized", WWW_Authenticate='Basic realm="harbor"')
            )
        answer: web.Response = cloud.pinged(request)
        return answer

    def token(request: web.Request) -> web.Response:
        known = basic_of(request) == RIGHT
        if login and not known and "scope" not in request.query:
            return says(401, "UNAUTHORIZED", "unauthorized")
        return web.json_response({"token": "of-ops" if known else "of-anybody"})

    def manifest(request: web.Request) -> web.Response:
        if public:
            return web.Response(text=MANIFEST, content_type="application/vnd.oci.image.manifest.v1+json")
        answer: web.Response = cloud.manifested(request)
        if answer.status == 401 and "Authorization" in request.headers:
            return not_allowed(request)
        return answer

    cloud.ping, cloud.token, cloud.manifest = ping, token, manifest


def not_allowed(request: web.Request) -> web.Response:
    """As Harbor refuses what may not be pulled: with a challenge for Basic where a header was sent."""
    text = "unauthorized to access repository: shop/checkout, action: pull"
    asked = 'Basic realm="harbor"' if "Authorization" in request.headers else ""
    return says(401, "UNAUTHORIZED", text, WWW_Authenticate=asked)


class TestHarbor:
    @pytest.mark.parametrize("image", [{}, {"PULLKEY_PRIVATE_IMAGE": ""}])
    def test_the_right_password(self, odd: World, image: dict[str, str]) -> None:
        harbor(odd)
        done = onboard(odd, "--output", "json", env=image)
        assert done.code == 0, done.text
        assert done.json["proven"] == (None if image else f"it reads the manifest of {IMAGE}")
        assert odd.held(NAME).password == PASSWORD

    @pytest.mark.parametrize("image", [{}, {"PULLKEY_PRIVATE_IMAGE": ""}])
    def test_a_wrong_password_is_no_missing_right(self, odd: World, image: dict[str, str]) -> None:
        harbor(odd)
        done = onboard(odd, password=WRONG, env=image)
        assert done.code == 1, done.text
        assert f"{HOST} does not take this password of {USER}" in done.err
        assert "let ops pull" not in done.err
        assert odd.names() == []

    @pytest.mark.parametrize("login", [True, False])
    def test_a_missing_right_is_no_wrong_password(self, odd: World, login: bool) -> None:
        harbor(odd, login=login)
        odd.cloud.manifest = not_allowed
        done = onboard(odd)
        assert done.code == 1, done.text
        assert f"{HOST} does not let {USER} pull shop/checkout" in done.err
        assert ("may be a wrong password or a missing permission" in done.err) is not login

    def test_a_public_image_proves_no_password(self, odd: World) -> None:
        harbor(odd, public=True)
        done = onboard(odd, "--anyway", password=WRONG)
        assert done.code == 1, done.text
        assert f"{HOST} does not take this password of {USER}" in done.err
        assert odd.names() == []

    def test_what_a_public_image_shows_of_the_right_password(self, odd: World) -> None:
        harbor(odd, public=True)
        done = onboard(odd, "--anyway", "--output", "json")
        assert done.code == 0, done.text
        assert done.json["proven"] is None
        assert f"it is accepted by {HOST}, where anyone gets {IMAGE}" in done.err
        assert "--no-wait" not in done.err

    @pytest.mark.parametrize("image", [(), ("--anyway",)])
    def test_where_nothing_tells_a_password_nothing_is_said_to_be_proven(
        self, odd: World, image: tuple[str, ...]
    ) -> None:
        harbor(odd, public=True, login=False)
        env = {} if image else {"PULLKEY_PRIVATE_IMAGE": ""}
        done = onboard(odd, *image, "--output", "json", password=WRONG, env=env)
        assert done.code == 0, done.text
        assert done.json["proven"] is None
        assert "NOT verified" in done.err
        assert "without a password too" in done.err

    def test_verify_tells_as_much(self, odd: World) -> None:
        harbor(odd)
        onboard(odd)
        good = odd.run("verify", NAME, "--image", IMAGE, "--credential-stdin", stdin=PASSWORD)
        assert (good.code, "reads the manifest" in good.text) == (0, True), good.text
        harbor(odd, public=True)
        shown = odd.run("verify", NAME, "--image", IMAGE, "--credential-stdin", stdin=PASSWORD)
        assert "Pull not verified" in shown.text
        wrong = odd.run("verify", NAME, "--image", IMAGE, "--credential-stdin", stdin=WRONG)
        assert wrong.code == 5, wrong.text


def test_github_tells_which_token_it_takes(odd: World) -> None:
    """ghcr.io answers 403 to a wrong token, and to a right one that may not read this package."""
    odd.cloud.token = lambda request: (
        says(403, "DENIED", "denied") if basic_of(request) else web.json_response({"token": "of-anybody"})
    )
    odd.cloud.realm = f"https://{GITHUB}/token"
    done = onboard(odd, "--server", GITHUB, "--image", f"{GITHUB}/acme/checkout:1.0")
    assert done.code == 1, done.text
    assert "classic" in done.err
    assert "read:packages" in done.err


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(text="<html>Log in", content_type="text/html"),
        lambda _: web.json_response({"message": "log in"}),
        lambda _: web.Response(status=204),
        lambda _: web.Response(status=302, headers={"Location": "/users/sign_in"}),
        lambda _: web.Response(status=302, headers={"Location": f"https://{SISTER}/users/sign_in"}),
        lambda _: web.Response(status=302),
    ],
    ids=["page", "json", "nothing", "redirect", "redirect-to-another-host", "redirect-to-nowhere"],
)
def test_what_is_no_manifest_proves_nothing(
    odd: World, answer: Callable[[web.Request], web.Response]
) -> None:
    odd.cloud.manifest = answer
    token = odd.cloud.tokened
    odd.cloud.token = lambda request: (
        web.Response(text="<html>", content_type="text/html") if request.path != "/token" else token(request)
    )
    done = onboard(odd)
    assert done.code == 1, done.text
    assert odd.names() == []
    assert {one for one in odd.cloud.got_password if not one.endswith("/token")} <= {f"{HOST}/v2/"}


def test_a_manifest_on_another_host_is_one(odd: World) -> None:
    odd.cloud.manifest = lambda request: (
        web.Response(status=307, headers={"Location": f"https://{FOREIGN}/stored"})
        if request.headers.get("Authorization") == "Bearer of-ops"
        else says(401)
    )
    at_storage: list[Any] = []
    token = odd.cloud.tokened

    def others(request: web.Request) -> web.Response:
        if request.path == "/stored":
            at_storage.append(request.headers.get("Authorization"))
            return web.Response(text=MANIFEST, content_type="application/octet-stream")
        answer: web.Response = token(request)
        return answer

    odd.cloud.token = others
    done = onboard(odd, "--output", "json")
    assert done.code == 0, done.text
    assert done.json["proven"] == f"it reads the manifest of {IMAGE}"
    assert set(at_storage) == {None}


@pytest.mark.parametrize(
    ("code", "said"),
    [("MANIFEST_UNKNOWN", "has no shop/checkout:2.0"), ("NAME_UNKNOWN", "has no shop/checkout:2.0")],
)
def test_an_image_that_is_not_there(odd: World, code: str, said: str) -> None:
    odd.cloud.manifest = lambda _: says(404, code, "not found")
    done = onboard(odd, "--image", f"{HOST}/shop/checkout:2.0")
    assert done.code == 1
    assert said in done.err


def test_an_image_by_its_digest_is_shown_as_it_is_written(odd: World) -> None:
    digest = "sha256:" + "a" * 64
    done = onboard(odd, "--image", f"{HOST}/shop/checkout@{digest}", "--output", "json")
    assert done.code == 0, done.text
    assert done.json["proven"] == f"it reads the manifest of {HOST}/shop/checkout@{digest}"
    odd.cloud.manifest = lambda _: says(404, "MANIFEST_UNKNOWN")
    done = onboard(odd, "--image", f"{HOST}/shop/checkout@{digest}")
    assert f"has no shop/checkout@{digest}" in done.err


# -- challenges ----------------------------------------------------------------------------------------------


def challenged(world: World, *headers: str, status: int = 401) -> None:
    def ping(request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").startswith("Bearer "):
            return web.json_response({})
        answer = says(status, "UNAUTHORIZED")
        for one in headers:
            answer.headers.add("WWW-Authenticate", one)
        return answer

    world.cloud.ping = ping


BEARER = f'Bearer realm="https://{HOST}/token",service="odd"'


@pytest.mark.parametrize(
    "headers",
    [
        (BEARER, 'Basic realm="odd"'),
        ('Basic realm="odd"', BEARER),
        (f'Basic realm="odd", {BEARER}',),
        (f'{BEARER}, Basic realm="odd"',),
        (f'Negotiate, Basic realm="a, b=c", {BEARER}',),
        (f"Bearer realm=https://{HOST}/token,service=odd",),
        (f"BEARER REALM=https://{HOST}/token , SERVICE = odd",),
        (f'bearer  service="odd" ,\trealm="https://{HOST}/token"',),
        (f'Bearer realm="https://{HOST}/token",service="o\\"d\\d",scope="repository:a/b:pull,push"',),
        (f'Bearer realm="https://{FOREIGN}/token"', BEARER),
        (f'Bearer realm="https://{SISTER}/token"', BEARER),
        ("Bearer", BEARER),
        (f'Digest realm="https://{FOREIGN}/token"', BEARER),
    ],
)
def test_challenges_are_read_as_pullers_do(odd: World, headers: tuple[str, ...]) -> None:
    challenged(odd, *headers)
    done = onboard(odd, "--output", "json")
    assert done.code == 0, done.text
    assert set(odd.cloud.got_password) == {f"{HOST}/token"}


@pytest.mark.parametrize(
    "headers", [("Basic",), ("basic realm=odd",), ('Negotiate, BASIC realm="odd"',), ("Bearer", "Basic")]
)
def test_basic_alone(odd: World, headers: tuple[str, ...]) -> None:
    challenged(odd, *headers)
    odd.cloud.manifest = lambda request: (
        web.Response(text=MANIFEST) if basic_of(request) == RIGHT else says(401, WWW_Authenticate="Basic")
    )
    done = onboard(odd, "--output", "json")
    assert done.code == 0, done.text
    assert done.json["proven"] == f"it reads the manifest of {IMAGE}"


def test_basic_beside_a_token_service_of_somebody_else_is_no_way_out(odd: World) -> None:
    challenged(odd, f'Bearer realm="https://{FOREIGN}/token"', "Basic")
    done = onboard(odd)
    assert done.code == 3, done.text
    assert odd.cloud.got_password == []


def test_basic_that_is_asked_for_after_the_token(odd: World) -> None:
    odd.cloud.manifest = lambda request: (
        web.Response(text=MANIFEST)
        if basic_of(request) == RIGHT
        else says(401, WWW_Authenticate='Basic realm="odd"')
    )
    done = onboard(odd, "--output", "json")
    assert done.code == 0, done.text
    assert done.json["proven"] == f"it reads the manifest of {IMAGE}"
    assert set(odd.cloud.got_password) == {f"{HOST}/token", f"{HOST}/v2/shop/checkout/manifests/1.0"}


def test_another_token_service_that_is_named_for_the_image(odd: World) -> None:
    token = odd.cloud.tokened
    odd.cloud.token = lambda request: (
        web.json_response({"token": "of-the-door"}) if request.path == "/token" else token(request)
    )
    odd.cloud.manifest = lambda request: (
        web.Response(text=MANIFEST)
        if request.headers.get("Authorization") == "Bearer of-ops"
        else says(401, WWW_Authenticate=f'Bearer realm="https://{SISTER}/images"')
    )
    done = onboard(odd, "--output", "json")
    assert done.code == 0, done.text
    assert set(odd.cloud.got_password) == {f"{HOST}/token", f"{SISTER}/images"}


def test_a_token_service_of_somebody_else_that_is_named_for_the_image(odd: World) -> None:
    odd.cloud.manifest = lambda _: says(401, WWW_Authenticate=f'Bearer realm="https://{FOREIGN}/token"')
    done = onboard(odd)
    assert done.code == 1, done.text
    assert FOREIGN in done.err
    assert f"{FOREIGN}/token" not in odd.cloud.got_password


@pytest.mark.parametrize("place", [f"https://{HOST}/v2", f"https://{SISTER}/v2/", "/api/v2/"])
def test_a_door_that_is_somewhere_else(odd: World, place: str) -> None:
    found: list[str | None] = []
    token = odd.cloud.tokened

    def ping(request: web.Request) -> web.Response:
        answer: web.Response = odd.cloud.pinged(request)
        if request.host == HOST and "Authorization" not in request.headers:
            return web.Response(status=301, headers={"Location": place})
        return answer

    def others(request: web.Request) -> web.Response:
        if request.path.endswith("/token"):
            answer: web.Response = token(request)
            return answer
        found.append(request.headers.get("Authorization"))
        door: web.Response = odd.cloud.pinged(request)
        return door

    odd.cloud.ping, odd.cloud.token = ping, others
    if SISTER not in place:
        odd.cloud.manifest = lambda request: (
            others(request) if request.path == "/v2" else odd.cloud.manifested(request)
        )
    done = onboard(odd, "--output", "json")
    assert done.code == 0, done.text
    assert done.json["proven"] == f"it reads the manifest of {IMAGE}"
    assert set(odd.cloud.got_password) == {f"{HOST}/token"}
    assert set(found) <= {None}


@pytest.mark.parametrize("place", [f"https://{FOREIGN}/v2/", f"http://{HOST}/v2/", f"https://{HOST}/v2/", ""])
def test_a_door_that_leads_to_somebody_else_or_in_circles(odd: World, place: str) -> None:
    odd.cloud.ping = lambda _: web.Response(status=301, headers={"Location": place} if place else {})
    done = onboard(odd)
    assert done.code == 3, done.text
    assert odd.cloud.got_password == []
    assert not any(FOREIGN in one for one in odd.cloud.seen)
    assert base64.b64encode(RIGHT.encode()).decode() not in done.text
