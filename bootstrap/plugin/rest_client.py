"""A JSON API over HTTP, for providers whose cloud has no SDK: one call, its answer, or the error that it is.

Bounds on time, bytes and nesting, no redirect and no cookie. Nothing is sent twice: whether a call may be
repeated is decided by its caller (`bootstrap.plugin.retry`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import PLAIN, Unreadable, parse_json, read_bounded, seconds_of_retry_after
from bootstrap.http.client import new_client
from bootstrap.model import clock
from bootstrap.model.secret import Secret
from bootstrap.plugin.errors import ApiError

TIMEOUT = 30.0
"""Seconds that one call may take."""
_BODY_LIMIT = 1_000_000
_SAID_CHARACTERS = 4_000


@dataclass(frozen=True)
class Reply:
    """What was answered.

    Attributes:
        status: the HTTP status.
        body: its JSON; None where there is none.
        headers: by their names, upper and lower case alike.
        text: the beginning of a body that is not JSON.
    """

    status: int
    body: Any
    headers: Mapping[str, str]
    text: str = ""


class RestClient:
    """The connections to one API; kept in `RunContext.shared`, one for a command.

    Args:
        url: what every path is behind.
    """

    name = "api"
    """The API in the trace of `--verbose`."""
    error: type[ApiError] = ApiError
    """What is raised."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = new_client(urlsplit(url).hostname or "", timeout=TIMEOUT, base_url=url)

    def words_of(self, body: Mapping[str, Any]) -> str:
        """The words of an error; "" where there are none."""
        for name in ("detail", "message", "text"):
            if isinstance(body.get(name), str) and body[name]:
                return str(body[name])
        return ""

    def retry_after(self, headers: Mapping[str, str]) -> float | None:
        """For how many seconds the API asks to be left alone; None where it does not say."""
        return seconds_of_retry_after(headers.get("Retry-After", ""))

    def error_of(self, reply: Reply, said: str) -> ApiError:
        """A refusal as an error; `said` is its words, without secrets."""
        return self.error(reply.status, said, retry_after=self.retry_after(reply.headers))

    async def close(self) -> None:
        await self._client.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        trace: Callable[[str], None],
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        secrets: Sequence[Secret] = (),
        seconds: float = TIMEOUT,
    ) -> Reply:
        """Send one call of at most `seconds`.

        `trace` takes a line about it; `secrets` are those in headers and body, which must not come back in
        an error.

        Raises:
            ApiError: it was refused, not answered, or answered with something that is no answer.
        """
        begin = clock.monotonic()
        status = "unanswered"
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(
                    method, path, headers={**PLAIN, **(headers or {})}, json=body, params=query
                ) as response,
            ):
                status = str(response.status_code)
                content, whole = await read_bounded(response, _BODY_LIMIT)
        except Unreadable as error:
            raise self.error(0, f"the answer cannot be used: {error}") from None
        except TimeoutError:
            raise self.error(0, f"there was no answer in time at {self.url}") from None
        except httpx.HTTPError as error:
            # The error's text may hold the address, never the body; which kind it is says enough.
            raise self.error(0, f"{type(error).__name__} at {self.url}") from None
        finally:
            trace(f"{self.name} {method} {path} {status} {(clock.monotonic() - begin) * 1000:.0f} ms")
        if not whole:
            raise self.error(0, "the answer is longer than any that is expected")
        return self._read(response, content, secrets)

    def _read(self, response: httpx.Response, content: bytes, secrets: Sequence[Secret]) -> Reply:
        good = 200 <= response.status_code < 300
        body, text = None, ""
        try:
            body = parse_json(content) if content.strip() else None
        except Unreadable:
            if good:
                # What was asked for may have been done.
                raise self.error(0, "the answer is not JSON") from None
            text = content[:_SAID_CHARACTERS].decode(errors="replace")
        reply = Reply(response.status_code, body, response.headers, text)
        if good:
            return reply
        said = self.words_of(body) if isinstance(body, dict) else ""
        said = (said or response.reason_phrase)[:_SAID_CHARACTERS]
        for secret in secrets:
            said = secret.redact(said)
        raise self.error_of(reply, said)
