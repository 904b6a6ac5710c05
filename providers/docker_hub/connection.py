"""One call of Docker Hub's API over HTTP: its answer, or the error that it is."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.http import network
from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import PLAIN, Unreadable, parse_json, read_bounded, seconds_of_retry_after
from bootstrap.model import clock
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from providers.docker_hub.errors import HubApiError

ENDPOINT = "PULLKEY_DOCKER_HUB_ENDPOINT"
HUB = "https://hub.docker.com"

TIMEOUT = 30.0
_BODY_LIMIT = 1_000_000
_SAID_CHARACTERS = 4_000
_A_UNIX_TIME = 1e9


@dataclass
class Answer:
    """A good answer: its JSON (None where it has no body) and its headers."""

    body: Any
    headers: Mapping[str, str]


class Connection:
    """The connections to Docker Hub, one set for a command."""

    def __init__(self) -> None:
        named = endpoint(ENDPOINT)
        self.url = named.url if named else HUB
        # A redirect could carry the login to another host, so none is followed.
        with network.usable():
            self._client = httpx.AsyncClient(base_url=self.url, timeout=TIMEOUT, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        trace: Callable[[str], None],
        bearer: Secret | None = None,
        secret: Secret | None = None,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        seconds: float = TIMEOUT,
    ) -> Answer:
        """One call, which takes no longer than `seconds`; `secret` is what of the body must not come back in
        an error.

        Raises:
            HubApiError: it was refused, not answered, or answered with something that is no answer.
        """
        headers = {**PLAIN, **({"Authorization": f"Bearer {bearer.reveal()}"} if bearer else {})}
        begin = clock.monotonic()
        status = "unanswered"
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, path, headers=headers, json=body, params=query) as response,
            ):
                status = str(response.status_code)
                content, whole = await read_bounded(response, _BODY_LIMIT)
        except Unreadable as error:
            raise HubApiError(0, f"the answer cannot be used: {error}") from None
        except TimeoutError:
            raise HubApiError(0, f"there was no answer in time at {self.url}") from None
        except httpx.HTTPError as error:
            # The error's text may hold the address, never the body; which kind it is says enough.
            raise HubApiError(0, f"{type(error).__name__} at {self.url}") from None
        finally:
            trace(f"hub {method} {path} {status} {(clock.monotonic() - begin) * 1000:.0f} ms")
        if not whole:
            raise HubApiError(0, "the answer is longer than any that is expected")
        return _read(response, content, [one for one in (bearer, secret) if one is not None])


def _read(response: httpx.Response, content: bytes, secrets: Sequence[Secret]) -> Answer:
    status = response.status_code
    try:
        body = parse_json(content) if content.strip() else None
        known = True
    except Unreadable:
        body, known = None, False
    if 200 <= status < 300:
        if not known:
            # What was asked for may have been done.
            raise HubApiError(0, "the answer is not JSON")
        return Answer(body, response.headers)
    fields = body if isinstance(body, dict) else {}
    said = (_message(fields) or response.reason_phrase)[:_SAID_CHARACTERS]
    for secret in secrets:
        said = secret.redact(said)
    raise HubApiError(
        status,
        said,
        retry_after=_retry_after(response.headers),
        second_factor=bool(fields.get("login_2fa_token")),
    )


def _message(body: Mapping[str, Any]) -> str:
    """The words of an error, in any of the three forms that the API has (`error`, `Error`, `ValueError`)."""
    for name in ("detail", "message", "text"):
        if isinstance(body.get(name), str) and body[name]:
            return str(body[name])
    fields = body.get("fields")
    return json.dumps(fields) if isinstance(fields, dict) and fields else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """How long to wait: `Retry-After` in seconds or as a date, or Docker Hub's `X-Retry-After`, which is a
    Unix time.
    """
    found = seconds_of_retry_after(headers.get("Retry-After", ""))
    if found is not None and found < _A_UNIX_TIME:
        return found
    for name in ("Retry-After", "X-Retry-After"):
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds - clock.time() if seconds > _A_UNIX_TIME else seconds)
    return None


def their_clock(headers: Mapping[str, str]) -> dt.datetime | None:
    """The time by an answer's `Date`."""
    try:
        return email.utils.parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
