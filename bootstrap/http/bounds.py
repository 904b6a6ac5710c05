"""Limits on what is read from outside: bytes after decompression, parts of a body, and nesting. How long
it may take is the caller's.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from bootstrap.model import clock

if TYPE_CHECKING:
    from bootstrap.http._fast_import import httpx

DEEPEST = 64
"""How deep JSON may be nested: registries and Docker Hub stay below ten, and Python's parser gives up near
a thousand.
"""
MOST_PARTS = 5_000
"""How many parts (RFC 9112, 7.1: chunks) a body may come in: a byte each, a megabyte takes half a minute
of CPU.
"""
PLAIN = {"Accept-Encoding": "identity"}
"""The header that asks for bodies as they are: a compressed one can be a thousand times larger than what
is sent.
"""

# A string (an unterminated one reaches to the end, so that no character is looked at twice) or a bracket.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\(?:.|\Z))*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_GZIP_OR_ZLIB = 47  # zlib.decompressobj: 32 + 15, the form is seen by its header


def seconds_of_retry_after(text: str) -> float | None:
    """How many seconds a `Retry-After` asks to be left alone: a number or a date (RFC 9110, 10.2.3); None for
    neither.

    >>> seconds_of_retry_after("120")
    120.0
    >>> seconds_of_retry_after("soon") is None
    True
    """
    text = text.strip()[:64]
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - clock.now()).total_seconds())


class Unreadable(ValueError):
    """A body that cannot be used; its text says why in a few words, and holds nothing of the body."""


async def read_bounded(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """Read a streamed answer's body, decompressed; `limit` bytes of it at most, and whether that is all.

    No more than that is taken from the connection either: what is compressed may have no end and no content,
    or go on after its end.

    Raises:
        Unreadable: it is compressed in a way that was not asked for and is not known, is damaged, or comes in
            `MOST_PARTS`.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        inflate = None
    elif encoding in ("gzip", "x-gzip", "deflate"):
        inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
    else:
        raise Unreadable("its body is compressed, which was not asked for")
    content = bytearray()
    taken = parts = 0
    async for chunk in response.aiter_raw():
        taken += len(chunk)
        parts += 1
        if parts > MOST_PARTS:
            raise Unreadable(f"its body comes in more than {MOST_PARTS} parts")
        if inflate is None:
            content += chunk
        else:
            try:
                # As much as may be kept and one byte more; what is beyond is never inflated.
                content += inflate.decompress(chunk, limit + 1 - len(content))
            except zlib.error:
                raise Unreadable("its body is damaged") from None
        if max(taken, len(content)) > limit:
            return bytes(content[:limit]), False
    return bytes(content), True


def parse_json(content: bytes | str) -> Any:
    """Parse JSON of a stranger's: UTF-8, and nested no deeper than `DEEPEST`.

    Raises:
        Unreadable: it is not.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        depth = 0
        for found in _BRACKETS.finditer(text):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
            if depth > DEEPEST:
                raise Unreadable("it is nested too deeply")
        return json.loads(text)
    except Unreadable:
        raise
    except (ValueError, RecursionError):
        raise Unreadable("it is not JSON") from None
