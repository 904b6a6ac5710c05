"""What a registry answers is bounded: bytes after decompression, headers, nesting, time; and no other
target suffers.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import DEEPEST, Unreadable, parse_json, read_bounded
from bootstrap.model.api_times import seconds_of_retry_after
from bootstrap.registry import Challenge
from bootstrap.registry.challenge import TooLong, challenges_in
from bootstrap.testing.harness.world import World
from tests.harness.odd_registry import HOST, make_odd, onboard, says


@functools.cache
def packed_zeros() -> bytes:
    return gzip.compress(bytes(60_000_000))


NESTED = '{"errors":' + "[" * 100_000


@pytest.fixture
def odd() -> Iterator[World]:
    yield from make_odd()


def ends_soon(world: World, *, seconds: float = 15) -> None:
    begin = time.monotonic()
    done = onboard(world, "--timeout", "5s")
    assert done.code in (1, 3), done.text
    assert time.monotonic() - begin < seconds
    assert "Traceback" not in done.text
    assert "does not expect" not in done.text
    assert world.names() == []


def bomb(status: int) -> web.Response:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    return web.Response(status=status, body=packed_zeros(), headers=headers)


@pytest.mark.parametrize("where", ["ping", "token", "manifest"])
@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_body_that_is_small_until_it_is_unpacked(odd: World, where: str, status: int) -> None:
    if (where, status) == ("ping", 200):
        return  # `/v2/` has no body that matters: none of it is read beyond the bound
    setattr(odd.cloud, where, lambda _: bomb(status))
    ends_soon(odd)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=403, headers={"Content-Type": "application/json"})
    await response.prepare(request)
    try:
        for _ in range(600):
            await response.write(b" ")
            await asyncio.sleep(0.05)
    except ConnectionError:
        pass
    return response


@pytest.mark.parametrize("where", ["ping", "token", "manifest"])
def test_a_body_that_never_ends(odd: World, where: str) -> None:
    setattr(odd.cloud, where, _endless)
    ends_soon(odd, seconds=30)


@pytest.mark.parametrize("where", ["ping", "token", "manifest"])
@pytest.mark.parametrize("status", [200, 401])
def test_json_nested_without_end(odd: World, where: str, status: int) -> None:
    if (where, status) == ("ping", 200):
        return
    setattr(
        odd.cloud, where, lambda _: web.Response(status=status, text=NESTED, content_type="application/json")
    )
    ends_soon(odd)


@pytest.mark.parametrize(
    "text",
    [
        'Bearer realm="' + "a" * 60_000,
        "Bearer " + "a " * 30_000,
        "Bearer " + "a" * 60_000,
        'Bearer realm="' + "\\" * 60_000,
    ],
)
def test_a_challenge_of_60_kb(odd: World, text: str) -> None:
    odd.cloud.ping = lambda _: says(401, "UNAUTHORIZED", WWW_Authenticate=text)
    ends_soon(odd)
    assert odd.cloud.got_password == []


WORK: list[Callable[[], object]] = [
    lambda: challenges_in(["a" * 60_000]),
    lambda: challenges_in(['"' * 15_999]),
    lambda: challenges_in(["a," * 7_999]),
    lambda: challenges_in(["=" * 15_999]),
    lambda: challenges_in(['Bearer a="' + '\\"' * 7_000]),
    lambda: parse_json(b"[" * 1_000_000),
    lambda: parse_json(b'"\\"' * 300_000),
    lambda: parse_json(b'"' + b'\\"' * 500_000),
    lambda: parse_json(b"\xff" * 1_000_000),
    lambda: parse_json(b"1" * 1_000_000),
]


@pytest.mark.parametrize("work", WORK)
def test_one_targets_registry_does_not_stall_the_others(work: Callable[[], object]) -> None:
    """All targets are worked on in one thread, which no header and no body at its bound holds for long."""
    begin = time.process_time()
    with contextlib.suppress(TooLong, Unreadable):
        work()
    assert time.process_time() - begin < 1


def answer(chunks: list[bytes], encoding: str = "") -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return httpx.Response(200, headers={"Content-Encoding": encoding} if encoding else {}, content=stream())


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_no_more_is_unpacked_than_is_kept(encoding: str) -> None:
    import zlib

    packed = packed_zeros() if encoding == "gzip" else zlib.compress(bytes(60_000_000))
    tracemalloc.start()
    try:
        content, whole = asyncio.run(read_bounded(answer([packed], encoding), 100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(content), whole) == (100_000, False)
    assert peak < 5_000_000


def test_a_body_in_crumbs_is_not_read_to_its_end() -> None:
    """Each part costs the same CPU, whether it holds a byte or a thousand."""
    read = 0

    async def crumbs() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100_000):
            read += 1
            yield b" "

    with pytest.raises(Unreadable, match="parts"):
        asyncio.run(read_bounded(httpx.Response(200, content=crumbs()), 1_000_000))
    assert read <= 10_000


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000])
def test_what_is_within_the_bound_is_read_whole(size: int) -> None:
    body = bytes(size)
    for packed, encoding in ((body, ""), (gzip.compress(body), "gzip")):
        chunks = [packed[at : at + 1000] for at in range(0, len(packed), 1000)]
        assert asyncio.run(read_bounded(answer(chunks, encoding), 100_000)) == (body, True)


@pytest.mark.parametrize(("body", "encoding"), [(b"x", "br"), (b"not packed", "gzip"), (b"x", "gzip, gzip")])
def test_what_cannot_be_unpacked_is_said(body: bytes, encoding: str) -> None:
    with pytest.raises(Unreadable):
        asyncio.run(read_bounded(answer([body], encoding), 100))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_json_is_read_as_it_is(value: Any) -> None:
    import json

    assert parse_json(json.dumps(value)) == value


def test_brackets_in_a_text_are_no_nesting() -> None:
    assert parse_json('{"a": "' + "[" * 500 + '\\"["}') == {"a": "[" * 500 + '"['}
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(Unreadable):
        parse_json("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
    with pytest.raises(Unreadable):
        parse_json("[[".encode("utf-16"))


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_bytes_are_json_or_not(text: str | bytes) -> None:
    try:
        parse_json(text)
    except Unreadable:
        return


@given(st.lists(st.text(max_size=200), max_size=4))
def test_any_header_is_read(values: list[str]) -> None:
    for one in challenges_in(values):
        assert isinstance(one, Challenge)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1" * 400, None),
        ("\u0661", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    found = seconds_of_retry_after(text)
    assert found == seconds or (seconds is None and found is not None and found > 1e60)


def test_a_page_at_the_end_of_a_host_that_is_no_registry(odd: World) -> None:
    odd.cloud.ping = lambda _: web.Response(text="<html>", content_type="text/html")
    done = onboard(odd)
    assert done.code == 3, done.text
    assert f"{HOST}/v2/ is a web page" in done.err
