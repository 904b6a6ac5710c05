"""A client of a JSON API over HTTP, for providers whose cloud has no SDK.

Time, size and nesting of answers are bounded; redirects and cookies are off. Nothing is sent twice: the
caller decides whether to retry (`patiently`, `bootstrap.plugin.retry`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import PLAIN, Unreadable, parse_json, read_bounded
from bootstrap.http.client import new_client
from bootstrap.model import clock
from bootstrap.model.api_times import seconds_of_retry_after
from bootstrap.model.deadline import Deadline
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import ApiError, answered_by_page, is_web_page
from bootstrap.plugin.http import not_connected
from bootstrap.plugin.retry import Delay, retry_while

T = TypeVar("T")
TIMEOUT = 30.0
"""The time limit of one call, in seconds."""
_PATIENCE_SECONDS = 60.0
_LEAST_PATIENCE_SECONDS = 1.0
_MAX_UNSPECIFIED_WAIT_SECONDS = 3.0
_BODY_LIMIT = 8_000_000
"""In bytes. A page of a hundred robot accounts of Harbor, each with its permissions in a hundred projects,
has a few megabytes.
"""
_MAX_ERROR_CHARACTERS = 4_000


@dataclass(frozen=True)
class Reply:
    """An answer of the API.

    Attributes:
        status: the HTTP status.
        body: the parsed JSON; None if there is none.
        headers: by case-insensitive name.
        text: the beginning of a body that is not JSON.
    """

    status: int
    body: Any
    headers: Mapping[str, str]
    text: str = ""


def limited_delay(error: Exception, *, busy: str, limited: str) -> Delay | None:
    """The delay of a busy API or a rate limit; None for a refusal.

    An API usually says how long its limit lasts. If it does not, only a short one is waited for.

    Args:
        error: of a call.
        busy: the line to show if the API is busy or does not answer.
        limited: the same of a rate limit.
    """
    if not isinstance(error, ApiError) or not error.passing:
        return None
    if error.rate_limited:
        at_most = _MAX_UNSPECIFIED_WAIT_SECONDS if error.retry_after is None else None
        return Delay(limited, at_most=at_most, after=error.retry_after)
    return Delay(busy, after=error.retry_after)


async def patiently(
    call: Callable[[], Awaitable[T]], *, why: Callable[[Exception], Delay | None], context: RunContext
) -> T:
    """Repeat a call that may be sent again, for a minute at most: a read, or a change that leads to the same
    result every time.

    Args:
        call: sends it once.
        why: the delay that explains an error; None for a refusal.
        context: of the run. After its deadline there is still a second.
    """
    left = max(context.deadline.left, _LEAST_PATIENCE_SECONDS)
    deadline = Deadline(min(_PATIENCE_SECONDS, left))
    return await retry_while(call, why=why, deadline=deadline, tell=context.tell)


class RestClient:
    """The connections to one API. One client per command, in `RunContext.shared`.

    Args:
        url: the base of every path.
    """

    name = "api"
    """The API's name in the output of `--verbose`."""
    error: type[ApiError] = ApiError
    """The class of the errors that are raised."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = new_client(urlsplit(url).hostname or "", timeout=TIMEOUT, base_url=url)

    def error_text(self, body: Mapping[str, Any]) -> str:
        """The error text in an answer's body; "" if there is none."""
        for name in ("detail", "message", "text"):
            if isinstance(body.get(name), str) and body[name]:
                return str(body[name])
        return ""

    def retry_after(self, headers: Mapping[str, str]) -> float | None:
        """The seconds to wait that the API has requested; None if it has not."""
        return seconds_of_retry_after(headers.get("Retry-After", ""))

    def error_of(self, reply: Reply, summary: str) -> ApiError:
        """Convert a refusal to an error; `summary` is its text without secrets."""
        return self.error(reply.status, summary, retry_after=self.retry_after(reply.headers))

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
        """Send one call with a time limit of `seconds`.

        `trace` gets one line about it. `secrets` are those in headers and body; they are removed from errors.

        Raises:
            ApiError: the call was refused, not answered, or the answer is invalid.
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
            failed = self.error(0, f"{type(error).__name__} at {self.url}")
            raise not_connected(failed, error, to=urlsplit(self.url).netloc) from None
        finally:
            trace(f"{self.name} {method} {path} {status} {(clock.monotonic() - begin) * 1000:.0f} ms")
        if not whole:
            raise self.error(0, f"the answer is larger than {_BODY_LIMIT / 1e6:.0f} MB")
        return self._read(response, content, secrets)

    def _read(self, response: httpx.Response, content: bytes, secrets: Sequence[Secret]) -> Reply:
        good = 200 <= response.status_code < 300
        body, text = None, ""
        try:
            body = parse_json(content) if content.strip() else None
        except Unreadable:
            # The request may have been carried out.
            if good and is_web_page(response.headers, content):
                raise answered_by_page(self.error(0, ""), urlsplit(self.url).netloc) from None
            if good:
                raise self.error(0, "the answer is not JSON") from None
            text = content[:_MAX_ERROR_CHARACTERS].decode(errors="replace")
        reply = Reply(response.status_code, body, response.headers, text)
        if good:
            return reply
        summary = self.error_text(body) if isinstance(body, dict) else ""
        summary = (summary or self._redirection(response) or response.reason_phrase)[:_MAX_ERROR_CHARACTERS]
        for secret in secrets:
            summary = secret.redact(summary)
        raise self.error_of(reply, summary)

    def _redirection(self, response: httpx.Response) -> str:
        """Where an answer leads instead: to a login page, or to another name of the server; "" if nowhere."""
        try:
            to = httpx.URL(self.url).join(response.headers["Location"]) if response.is_redirect else None
        except (httpx.InvalidURL, KeyError, ValueError):
            return ""
        host = to.host if to is not None else ""
        return f"it leads to {host}" if host and host != urlsplit(self.url).hostname else ""
