"""The transport of Azure's SDKs, over the HTTP client that asks registries and Graph.

The SDKs' own one imports aiohttp, a tenth of what an onboarding computes, with a second copy of all that HTTP
needs and the certificates of this machine. aiohttp also sends a PUT or DELETE again by itself where a
connection is dropped, which httpx never does.

Imported only where Azure is called: it needs the SDK.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any, Self
from urllib.parse import urlsplit

from azure.core.configuration import ConnectionConfiguration
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from bootstrap.plugin.errors import ApiError, answered_by_page, is_web_page
from bootstrap.plugin.http import httpx, new_client

_CONNECT_SECONDS = 10
_READ_SECONDS = 30


class HttpxTransport(AsyncHttpTransport[Any, Any]):
    """Sends each request once, and reads its answer as a whole.

    Attributes:
        connection_config: the time limits, in seconds; a request may have others.
    """

    def __init__(self) -> None:
        self.connection_config = ConnectionConfiguration(
            connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS
        )
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        self._opened()

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = new_client("", timeout=_READ_SECONDS)
        return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, request: Any, **options: Any) -> Response:
        """Send a request of `azure.core.rest`, or one of the older kind that some SDKs convert theirs to.

        Raises:
            AzureError: there was no answer, or it broke off.
        """
        client = self._opened()
        connect = options.get("connection_timeout", self.connection_config.timeout)
        read = options.get("read_timeout", self.connection_config.read_timeout)
        body: Any = request.content if isinstance(request, HttpRequest) else request.data
        try:
            answer = await client.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                timeout=httpx.Timeout(read, connect=connect),
                **({"data": body} if isinstance(body, dict) else {"content": body or None}),
            )
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ServiceRequestTimeoutError(_text_of(error), error=error) from error
        except httpx.TimeoutException as error:
            raise ServiceResponseTimeoutError(_text_of(error), error=error) from error
        except httpx.DecodingError as error:
            raise DecodeError(_text_of(error), error=error) from error
        except (httpx.ReadError, httpx.RemoteProtocolError) as error:
            raise ServiceResponseError(_text_of(error), error=error) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise ServiceRequestError(_text_of(error), error=error) from error
        return Response(request, answer)


def _text_of(error: Exception) -> str:
    return str(error) or type(error).__name__


class LoginTransport(HttpxTransport):
    """The transport of the SDK's credentials, which read whatever comes with a good status."""

    async def send(self, request: Any, **options: Any) -> Response:
        """As `HttpxTransport.send`.

        Raises:
            ClientAuthenticationError: a web page came, as a proxy or a network's login page sends it. The SDK
                sends a request again after any other error.
        """
        answer = await super().send(request, **options)
        if is_web_page(answer.headers) and answer.status_code < 300:
            host = urlsplit(request.url).netloc
            raise ClientAuthenticationError(answered_by_page(ApiError(0, ""), host).message)
        return answer


class Response(AsyncHttpResponse):
    """An answer that was read."""

    def __init__(self, request: Any, answer: httpx.Response) -> None:
        self._request = request
        self._answer = answer
        self._encoding: str | None = None

    @property
    def request(self) -> Any:
        return self._request

    @property
    def status_code(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._answer.headers

    @property
    def reason(self) -> str:
        return self._answer.reason_phrase

    @property
    def content_type(self) -> str | None:
        found: str | None = self._answer.headers.get("Content-Type")
        return found

    @property
    def url(self) -> str:
        return str(self._answer.url)

    @property
    def is_closed(self) -> bool:
        return True

    @property
    def is_stream_consumed(self) -> bool:
        return True

    @property
    def encoding(self) -> str | None:
        return self._encoding or self._answer.encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    @property
    def content(self) -> bytes:
        return self._answer.content

    def body(self) -> bytes:
        """As responses of the older kind have it."""
        return self.content

    def text(self, encoding: str | None = None) -> str:
        named = encoding or self.encoding or "utf-8"
        return self.content.decode("utf-8-sig" if named.lower() == "utf-8" else named)

    def json(self) -> Any:
        return json.loads(self.text())

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise HttpResponseError(response=self)

    async def read(self) -> bytes:
        return self.content

    async def iter_raw(self, **_: Any) -> AsyncIterator[bytes]:
        yield self.content

    async def iter_bytes(self, **_: Any) -> AsyncIterator[bytes]:
        yield self.content

    async def close(self) -> None:
        return

    async def __aexit__(self, *_: object) -> None:
        return
