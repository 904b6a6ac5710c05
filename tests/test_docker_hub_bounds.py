"""What Docker Hub's API answers is bounded as a registry's is, shown without the login, and its rate limit
kept to.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import Callable

import pytest
from aiohttp import web

from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import UsageProblem
from bootstrap.model.secret import Secret
from bootstrap.plugin.rest_client import Reply
from bootstrap.plugin.retry import retry_while
from providers.docker_hub.connection import ENDPOINT, Connection, bearer_header
from providers.docker_hub.errors import HubApiError, busy

BEARER = "the-bearer-of-this-login"
Handler = Callable[[web.Request], web.Response]


def ask(monkeypatch: pytest.MonkeyPatch, *answers: Handler, seconds: float = 5) -> Reply:
    """One call that may be sent again, answered by one handler after another, the last of them for ever."""
    left = list(answers)

    async def work() -> Reply:
        async def answer(request: web.Request) -> web.Response:
            return (left.pop(0) if len(left) > 1 else left[0])(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{port}")
        connection = Connection()
        try:
            return await retry_while(
                lambda: connection.send(
                    "GET",
                    "/v2/x",
                    trace=lambda _: None,
                    headers=bearer_header(Secret(BEARER)),
                    secrets=(Secret(BEARER), Secret("the-password-of-ops")),
                ),
                why=busy,
                deadline=Deadline(seconds),
                tell=lambda _: None,
            )
        finally:
            await connection.close()
            await runner.cleanup()

    return asyncio.run(work())


def good(_: web.Request) -> web.Response:
    return web.json_response({"results": []})


@pytest.mark.parametrize(
    ("part", "times"),
    [(b"\0", 60_000_000), (b"[", 900_000), (b'{"a":', 200_000)],
    ids=["bomb", "brackets", "braces"],
)
@pytest.mark.parametrize("status", [200, 403])
def test_an_answer_beyond_its_bounds(
    monkeypatch: pytest.MonkeyPatch, part: bytes, times: int, status: int
) -> None:
    packed = gzip.compress(part * times)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    def bomb(_: web.Request) -> web.Response:
        return web.Response(status=status, body=packed, headers=headers)

    begin = time.monotonic()
    with pytest.raises(HubApiError):
        ask(monkeypatch, bomb, seconds=1)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("text", [BEARER, "the-password-of-ops"])
def test_an_errors_words_are_shown_without_the_login(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(HubApiError) as raised:
        ask(monkeypatch, lambda _: web.json_response({"message": f"{'x' * 280}{text}"}, status=403))
    assert text[:12] not in raised.value.summary
    assert "403" in raised.value.summary


@pytest.mark.parametrize("headers", [{"Retry-After": "1"}, {"X-Retry-After": "1"}])
def test_a_rate_limit_is_waited_for_as_long_as_it_says(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    begin = time.monotonic()
    found = ask(monkeypatch, lambda _: web.json_response({}, status=429, headers=headers), good, seconds=20)
    assert found.body == {"results": []}
    assert 0.9 < time.monotonic() - begin < 8


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "3600"}, {"X-Retry-After": "99999999999"}, {"X-Retry-After": "inf"}, {}]
)
def test_one_that_does_not_pass_in_time_ends_it(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    calls = []

    def limited(_: web.Request) -> web.Response:
        calls.append(1)
        return web.json_response({"message": "Rate limit exceeded"}, status=429, headers=headers)

    begin = time.monotonic()
    with pytest.raises(HubApiError) as raised:
        ask(monkeypatch, limited, seconds=60)
    assert time.monotonic() - begin < 10
    assert len(calls) <= 5
    assert raised.value.summary == "429, Rate limit exceeded"


@pytest.mark.parametrize(
    ("name", "value"),
    [("HTTPS_PROXY", "ftp://ops:s3cretPassw0rd@p.example"), ("SSL_CERT_FILE", "/nonexistent")],
)
def test_a_way_out_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageProblem, match=name) as raised:
        Connection()
    assert "s3cret" not in str(raised.value)


def test_a_closed_port_is_named_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv(ENDPOINT, f"http://localhost:{port}")

    async def work() -> None:
        connection = Connection()
        try:
            await connection.send("GET", "/v2/x", trace=lambda _: None)
        finally:
            await connection.close()

    with pytest.raises(HubApiError) as raised:
        asyncio.run(work())
    assert raised.value.message == f"ConnectError at http://localhost:{port}: Connection refused"
    assert raised.value.unanswered
