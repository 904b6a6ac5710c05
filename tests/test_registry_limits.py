"""A registry that limits how often it is asked is left alone as long as it says, or the run ends at once."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web

from bootstrap.testing.harness.world import World, make_world
from tests.harness.odd_registry import HOST, NAME, make_odd, onboard, says


@pytest.fixture
def odd() -> Iterator[World]:
    yield from make_odd()


@pytest.fixture
def docker_hub() -> Iterator[World]:
    yield from make_world("docker-hub")


def limited(world: World, where: str, *, times: int, after: Callable[[], str] | None) -> None:
    """Answers 429 a number of times, then as ever."""
    ever = getattr(world.cloud, where)
    left = [times]

    def answer(request: web.Request) -> web.Response:
        if left[0] > 0:
            left[0] -= 1
            headers = {"Retry_After": after()} if after else {}
            return says(429, "TOOMANYREQUESTS", "too many requests", **headers)
        found: web.Response = ever(request)
        return found

    setattr(world.cloud, where, answer)


def in_two_seconds() -> str:
    return email.utils.formatdate(time.time() + 2, usegmt=True)


@pytest.mark.parametrize("where", ["ping", "token", "manifest"])
@pytest.mark.parametrize("after", [lambda: "1", in_two_seconds], ids=["seconds", "date"])
def test_it_waits_as_long_as_it_is_asked_to(odd: World, where: str, after: Callable[[], str]) -> None:
    # The preflight asks once without a credential, which is not worth waiting for.
    limited(odd, where, times=1 if where == "ping" else 2, after=after)
    begin = odd.running.clock.monotonic()
    done = onboard(odd)
    assert done.code == 0, done.text
    assert odd.running.clock.monotonic() - begin > 0.9
    assert "limits how often" in done.err
    assert NAME in odd.names()


@pytest.mark.parametrize("where", ["ping", "token", "manifest"])
@pytest.mark.parametrize("after", [None, lambda: "3600", lambda: "soon"], ids=["none", "too-long", "no-time"])
def test_else_it_ends_at_once_and_calls_it_a_rate_limit(
    odd: World, where: str, after: Callable[[], str] | None
) -> None:
    limited(odd, where, times=10**6, after=after)
    begin = time.monotonic()
    done = onboard(odd, "--timeout", "100s")
    assert done.code == (3 if where == "ping" else 1), done.text
    assert time.monotonic() - begin < 10
    assert "rate limit" in done.err
    assert "host name" not in done.err
    # As anybody, and with the password: each once.
    asked = {"ping": "/v2/", "token": "/token", "manifest": "/manifests/1.0"}[where]
    assert sum(one.endswith(f"{asked}") for one in odd.cloud.seen) <= 2
    assert odd.names() == []


def test_a_plan_waits_too(odd: World) -> None:
    limited(odd, "ping", times=2, after=lambda: "1")
    done = odd.run("plan", "private")
    assert done.code == 0, done.text
    assert "could not be asked" not in done.err


def test_the_targets_of_a_file_wait_too(odd: World) -> None:
    """One 429 of a shared registry does not fail what stands in the file."""
    limited(odd, "ping", times=1, after=lambda: "1")
    path = odd.place / "registries.yaml"
    path.write_text(
        f"version: 1\ntargets:\n  - provider: private\n    server: https://{HOST}/v1/\n    "
        f"username: ops\n    image: {HOST}/shop/checkout:1.0\n    password: env:ODD_PASSWORD\n    "
        "akka-project: shop\n"
    )
    from tests.harness.odd_registry import PASSWORD

    done = odd.run("apply", "-f", str(path), "--yes", env={"ODD_PASSWORD": PASSWORD})
    assert done.code == 0, done.text
    assert NAME in odd.names()
    path.unlink()


@pytest.mark.parametrize("status", [400, 404, 405, 410, 422])
def test_a_lasting_refusal_of_the_token_service_ends_it_at_once(odd: World, status: int) -> None:
    odd.cloud.token = lambda _: says(status, "UNSUPPORTED", "the words of the service")
    begin = time.monotonic()
    done = onboard(odd, "--timeout", "100s")
    assert done.code == 1, done.text
    assert time.monotonic() - begin < 10
    assert f"answers {status} UNSUPPORTED the words of the service" in done.err
    assert "host name" not in done.err
    assert sum(one.endswith("/token") for one in odd.cloud.seen) <= 2


def test_a_server_that_is_away_for_a_moment_is_waited_for(odd: World) -> None:
    ever, left = odd.cloud.token, [3]

    def answer(request: web.Request) -> web.Response:
        left[0] -= 1
        found: web.Response = says(503) if left[0] >= 0 else ever(request)
        return found

    odd.cloud.token = answer
    done = onboard(odd)
    assert done.code == 0, done.text


def test_docker_hubs_manifests_are_asked_for_without_being_counted(docker_hub: World) -> None:
    """A GET of a manifest counts as a pull there, and a HEAD not."""
    methods: list[str] = []
    docker_hub.extra["PULLKEY_IMAGE"] = "acme/checkout:1.0"
    done = docker_hub.onboard("--verbose", stdin="")
    methods += [
        line.split()[1] for line in done.err.splitlines() if "/manifests/" in line and "registry " in line
    ]
    if not methods:
        pytest.skip("no manifest was asked for")
    assert set(methods) == {"HEAD"}
