"""HTTP to a registry and its token service: one set of connections per exchange, and a bound on all that is
read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import PLAIN, Unreadable, parse_json, read_bounded
from bootstrap.http.client import new_client
from bootstrap.model import clock
from bootstrap.model.api_times import seconds_of_retry_after
from bootstrap.model.deadline import Tell, silent
from bootstrap.model.metadata_hosts import is_metadata_host
from bootstrap.model.settings import connect_to
from bootstrap.model.text import one_line
from bootstrap.registry.trust import bare

# Distribution takes manifests of up to 4 MiB; all other answers are short.
MANIFEST_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 256 * 1024
SECONDS = 30.0
"""How long one exchange may take."""
_MAX_ERROR_CHARACTERS = 4_000
_MAX_LINE = 200

Clean = Callable[[str], str]
"""Removes every secret from a text that another program wrote."""


def unchanged(text: str) -> str:
    return text


@dataclass(frozen=True)
class Answer:
    """A registry's answer.

    Args:
        host: the host that was asked, by name also where it is reached at another address.
        content: the body, decompressed, up to a bound.
        whole: whether `content` is all of it.
    """

    status: int
    headers: httpx.Headers
    url: httpx.URL
    host: str
    content: bytes
    whole: bool
    reason: str

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Unreadable: it is not JSON, or longer than it may be.
        """
        if not self.whole:
            raise Unreadable("it is longer than the maximum")
        return parse_json(self.content)

    @property
    def media_type(self) -> str:
        return str(self.headers.get("Content-Type", "")).partition(";")[0].strip().lower()

    @property
    def is_page(self) -> bool:
        """Whether it is a page for a browser: many web sites answer 200 to every request."""
        return self.media_type in ("text/html", "application/xhtml+xml")

    @property
    def error(self) -> tuple[str, str]:
        """Code and message of the first error in it, as the Distribution specification has them; "" where
        there are none.
        """
        try:
            first = self.json()["errors"][0]
            return str(first.get("code") or ""), str(first.get("message") or "")
        except (ValueError, LookupError, TypeError, AttributeError):
            return "", ""

    @property
    def error_text(self) -> str:
        """The registry's own words, unsearched for secrets: the error in it, a line of plain text, or the
        reason of the status.
        """
        return " ".join(filter(None, self.error)) or self._line or self.reason

    @property
    def _line(self) -> str:
        if self.media_type != "text/plain" or not self.whole:
            return ""
        text = self.content.decode("utf-8", "replace").strip()
        return text if len(text) <= _MAX_LINE and "\n" not in text else ""

    @property
    def retry_after(self) -> float | None:
        """The seconds of its Retry-After."""
        return seconds_of_retry_after(str(self.headers.get("Retry-After", "")))


def cleaned_line(text: str, clean: Clean) -> str:
    """Another program's words as one printable line without secrets: cleaned before it is cut, so that no
    secret is halved.
    """
    return one_line(clean(one_line(text, _MAX_ERROR_CHARACTERS)))


class Client:
    """Sends requests to one registry, and to the hosts that it names.

    Args:
        host: the registry's.
        trace: takes one line per exchange: method, address without its query, status, time. No line is made
            for `silent`: to search each for the secrets of the exchange takes more time than the rest of it.
        clean: what the registry says goes through it before it is traced.
    """

    def __init__(self, host: str, trace: Tell, clean: Clean) -> None:
        self._trace = trace
        self._clean = clean
        self._resolved = {bare(host)}  # the user named it
        self._http = new_client(bare(host), timeout=SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(
        self,
        url: str | httpx.URL,
        *,
        method: str = "GET",
        authorization: str = "",
        accept: str = "",
        form: Mapping[str, str] | None = None,
        limit: int = ANSWER_BYTES,
    ) -> Answer:
        """Send a request, without a body unless a form is given, and read up to `limit` bytes of the
        answer's.

        Raises:
            httpx.HTTPError: there is no answer.
            Unreadable: the answer cannot be read.
        """
        headers = {**PLAIN, "Accept": accept or "*/*"}
        if authorization:
            headers["Authorization"] = authorization
        begin = clock.monotonic()
        asked = httpx.URL(url)
        await self._resolve(asked)
        try:
            request = self._http.build_request(method, asked, headers=headers, data=form)
            # An `Auth` that adds nothing; without one httpx would take name and password from the address.
            sent = await self._http.send(request, stream=True, auth=httpx.Auth())
        except (ValueError, OverflowError):
            # What a registry names may be no host (an empty label, one too long, an `xn--` of nothing) or
            # have no port.
            raise Unreadable("it leads to an address that cannot be used") from None
        async with _Closing(sent) as response:
            host = host_of(request)
            if self._trace is not silent:
                took = (clock.monotonic() - begin) * 1000
                path = cleaned_line(asked.path, self._clean)
                self._trace(f"registry {method} https://{host}{path} {response.status_code} {took:.0f} ms")
            content, whole = await read_bounded(response, limit)
            return Answer(
                response.status_code,
                response.headers,
                asked,
                host,
                content,
                whole,
                response.reason_phrase,
            )

    async def _resolve(self, url: httpx.URL) -> None:
        """Resolve a host that the registry has named, unless a proxy resolves it.

        Raises:
            Unreadable: it resolves to a metadata server's address, or to this machine's own.
        """
        host = url.raw_host.decode("ascii", "replace")
        if host in self._resolved or connect_to(host) is not None or _has_proxy():
            return
        self._resolved.add(host)
        with contextlib.suppress(OSError, UnicodeError):  # the request says it in a sentence
            found = await asyncio.get_running_loop().getaddrinfo(
                host, url.port or 443, type=socket.SOCK_STREAM
            )
            if any(is_metadata_host(str(address[0])) for *_, address in found):
                raise Unreadable(
                    f"{host} leads to an address where a machine or its cloud answers for itself"
                )


def _has_proxy() -> bool:
    return any(os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"))


class _Closing:
    """Closes a streamed answer, read to its end or not."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aenter__(self) -> httpx.Response:
        return self._response

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()


def host_of(request: httpx.Request) -> str:
    """The host that a request is for, by name also where it is reached at another address."""
    return str(request.headers.get("Host") or request.url.netloc.decode("ascii", "replace"))
