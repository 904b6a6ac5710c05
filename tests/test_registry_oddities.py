"""What a registry may answer beside all reason: each is one sentence, in time, and nothing is left of the
run.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import read_bounded
from bootstrap.model.api_times import seconds_of_retry_after
from bootstrap.testing.harness.world import World
from providers.acr.errors import retry_after as retry_after_of_azure
from tests.harness.odd_registry import HOST, MANIFEST, make_odd, onboard, says


@pytest.fixture
def odd() -> Iterator[World]:
    yield from make_odd()


def refused_in_a_sentence(world: World) -> None:
    begin = time.monotonic()
    done = onboard(world, "--timeout", "5s")
    assert done.code in (1, 3), done.text
    assert time.monotonic() - begin < 15
    assert "Traceback" not in done.text
    assert "does not expect" not in done.text
    assert world.names() == []


UNREACHABLE = [
    f"https://{'a' * 64}.{HOST}/",
    f"https://{HOST}:99999/v2/",
    f"https://{HOST}:0/v2/",
    f"https://a..{HOST}/v2/",
    f"https://-.{HOST}/v2/",
    f"https://{'a.' * 200}{HOST}/v2/",
    f"https://xn--a.{HOST}/v2/",
    f"https://%00.{HOST}/v2/",
]


@pytest.mark.parametrize("where", UNREACHABLE)
@pytest.mark.parametrize("asked", ["ping", "manifest", "realm"])
def test_a_place_that_cannot_be_reached(odd: World, asked: str, where: str) -> None:
    odd.forgiven = {httpx.URL(where).raw_host.decode()}
    if asked == "realm":
        odd.cloud.realm = where
    else:
        setattr(odd.cloud, asked, lambda _: web.Response(status=307, headers={"Location": where}))
    refused_in_a_sentence(odd)


def test_a_token_service_with_a_user_that_no_url_has(odd: World) -> None:
    """The sign would be taken for a slash by those who normalise it, and then for the end of the host."""
    odd.cloud.realm = f"https://\u2100@{HOST}/token"
    done = onboard(odd)
    assert done.code == 0, done.text
    assert "does not expect" not in done.text


def test_another_challenge_after_each_token(odd: World) -> None:
    number = itertools.count()
    odd.cloud.manifest = lambda _: says(
        401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{odd.cloud.realm}",service="{next(number)}"'
    )
    refused_in_a_sentence(odd)
    assert next(number) < 50


@pytest.mark.parametrize("asked", ["ping", "token", "manifest"])
def test_a_time_that_is_no_date(odd: World, asked: str) -> None:
    setattr(
        odd.cloud,
        asked,
        lambda _: says(429, "TOOMANYREQUESTS", Retry_After="Mon, 1 Jan 2026 00:00:00 +9999999999"),
    )
    refused_in_a_sentence(odd)


@pytest.mark.parametrize("text", ["1 Feb 9999999999 00:00:00", "Mon, 1 Jan 2026 00:00:00 +9999999999"])
def test_a_date_beyond_all_calendars(text: str) -> None:
    assert seconds_of_retry_after(text) is None
    assert retry_after_of_azure({"retry-after": text}) is None


def test_a_body_that_goes_on_after_its_compressed_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield gzip.compress(b"{}")
        for _ in range(1_000):
            yield bytes(16_384)

    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=endless())
    tracemalloc.start()
    try:
        assert asyncio.run(read_bounded(response, 100_000)) == (b"{}", False)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_compressed_body_without_end_and_without_content() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"\x78\x9c"
        for _ in range(1_000):
            yield b"\x00\x00\x00\xff\xff" * 3_000  # blocks of nothing

    response = httpx.Response(200, headers={"Content-Encoding": "deflate"}, content=endless())
    assert asyncio.run(read_bounded(response, 100_000)) == (b"", False)


@pytest.mark.parametrize(
    "proxy",
    [
        "ftp://ops:s3cretPassw0rd@p.example",
        "socks5://ops:s3cretPassw0rd@p.example",
        "http://ops:s3cretPassw0rd@p:port",
    ],
)
def test_a_proxy_that_cannot_be_used(odd: World, proxy: str) -> None:
    done = onboard(odd, env={"HTTPS_PROXY": proxy, "PULLKEY_REGISTRY_CONNECT_TO": ""})
    assert done.code == 2, done.text
    assert "HTTPS_PROXY" in done.text
    assert "s3cret" not in done.text


@pytest.mark.parametrize("place", ["/nonexistent", "/etc/hosts", "/dev/null", "/tmp"])
@pytest.mark.parametrize("direct", [True, False])
def test_authorities_that_cannot_be_read(odd: World, place: str, direct: bool) -> None:
    env = {"SSL_CERT_FILE": place} | ({"PULLKEY_REGISTRY_CONNECT_TO": ""} if direct else {})
    done = onboard(odd, env=env)
    assert done.code == 2, done.text
    assert f"SSL_CERT_FILE ({place})" in done.text


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
@pytest.mark.parametrize("body", ["", "{", "[]", "<html>", MANIFEST])
def test_what_merely_calls_itself_a_manifest(odd: World, status: int, body: str) -> None:
    if (status, body) == (200, MANIFEST):
        return
    kind = "application/vnd.oci.image.manifest.v1+json"
    odd.cloud.manifest = lambda _: web.Response(
        status=status, body=b"" if status == 204 else body.encode(), headers={"Content-Type": kind}
    )
    refused_in_a_sentence(odd)
