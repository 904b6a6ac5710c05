"""Limits on what is read from outside: bytes after decompression, chunks of a body, and nesting of JSON.

Time limits are the caller's.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootstrap.http._fast_import import httpx

DEEPEST = 64
"""The deepest nesting of JSON. Registries and Docker Hub stay below 10; Python's parser fails near 1,000."""
MOST_PARTS = 5_000
"""The most chunks (RFC 9112, 7.1) of a body: a megabyte in chunks of one byte takes half a minute of CPU."""
PLAIN = {"Accept-Encoding": "identity"}
"""The header that requests uncompressed bodies: a compressed one can expand to a thousand times its size."""

# A string (an unterminated one extends to the end, so that no character is scanned twice) or a bracket.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\(?:.|\Z))*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_GZIP_OR_ZLIB = 47  # zlib.decompressobj: 32 + 15, detect the format by its header


class Unreadable(ValueError):
    """A body is invalid. The text says why in a few words and quotes nothing of the body."""


async def read_bounded(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """Read at most `limit` bytes of an answer's decompressed body. Return them, and whether that is all.

    No more than `limit` bytes are read from the connection either: a compressed body may be endless without
    any content, or continue after its end.

    Raises:
        Unreadable: the compression is unknown, the body is damaged, or it has more than `MOST_PARTS` chunks.
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
                # Inflate one byte more than the limit, to notice that there is more.
                content += inflate.decompress(chunk, limit + 1 - len(content))
            except zlib.error:
                raise Unreadable("its body is damaged") from None
        if max(taken, len(content)) > limit:
            return bytes(content[:limit]), False
    return bytes(content), True


def parse_json(content: bytes | str) -> Any:
    """Parse untrusted JSON: UTF-8, nested at most `DEEPEST` levels.

    Raises:
        Unreadable: it is not valid JSON, or nested too deeply.
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
