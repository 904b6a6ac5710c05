"""The transport of Azure's SDKs: what is sent once is answered or an error that the SDKs know."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import HttpRequest as OlderRequest
from azure.core.rest import HttpRequest

from bootstrap.plugin.errors import refused
from bootstrap.plugin.http import not_connected
from providers.acr.errors import AzureApiError
from providers.acr.http_transport import HttpxTransport, Response

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def _served(serve: Serve) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/path"


def _ask(
    answer: bytes | Serve, make: Callable[[str], Any] | None = None, **options: Any
) -> tuple[Any, bytes]:
    """The response or the error, and all that was sent."""
    sent = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sent.extend(head)
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                sent.extend(await reader.readexactly(int(line.split(b":")[1])))
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
        else:
            await answer(reader, writer)

    async def run() -> Any:
        async with _served(serve) as url, HttpxTransport() as transport:
            request = make(url) if make else HttpRequest("GET", url)
            try:
                return await transport.send(request, **options)
            except AzureError as error:
                return error

    return asyncio.run(run()), bytes(sent)


def _http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_response_shows_what_came() -> None:
    answer = _http(
        "201 Created", '\ufeff{"a": "é"}'.encode(), "Content-Type: application/json", "X-One: 1", "X-One: 2"
    )
    response, _ = _ask(answer)
    assert isinstance(response, Response)
    assert (response.status_code, response.reason) == (201, "Created")
    assert response.headers["x-one"] == "1, 2"
    assert (response.content_type, response.json()) == ("application/json", {"a": "é"})
    assert response.body() == response.content
    response.raise_for_status()


def test_the_text_is_in_the_declared_character_set() -> None:
    response, _ = _ask(_http("200 OK", "é".encode("latin-1"), "Content-Type: text/plain; charset=latin-1"))
    assert response.text() == "é"
    response, _ = _ask(_http("200 OK", "é".encode(), "Content-Type: text/plain; charset=unheard-of"))
    assert response.text() == "é"
    response, _ = _ask(_http("200 OK", b"\xff", "Content-Type: text/plain"))
    with pytest.raises(UnicodeDecodeError):
        response.text()


def test_a_bad_status_is_an_error_of_the_sdk() -> None:
    response, _ = _ask(_http("403 Forbidden", b'{"error": {"code": "No"}}', "Content-Type: application/json"))
    with pytest.raises(HttpResponseError) as caught:
        response.raise_for_status()
    assert caught.value.status_code == 403


@pytest.mark.parametrize("kind", [HttpRequest, OlderRequest])
def test_a_redirect_is_not_followed_and_a_cookie_not_kept(kind: Any) -> None:
    answer = _http("302 Found", b"", "Location: http://127.0.0.1:9/", "Set-Cookie: a=b")
    response, _ = _ask(answer, lambda url: kind("GET", url))
    assert response.status_code == 302


def test_a_form_and_a_document_are_sent() -> None:
    _, sent = _ask(_http("200 OK", b""), lambda url: HttpRequest("POST", url, data={"a": "b c", "d": "ü"}))
    assert sent.endswith(b"\r\n\r\na=b+c&d=%C3%BC")
    assert b"application/x-www-form-urlencoded" in sent
    _, sent = _ask(_http("200 OK", b""), lambda url: HttpRequest("PUT", url, json={"a": 1}))
    assert sent.endswith(b'\r\n\r\n{"a": 1}')
    _, sent = _ask(_http("200 OK", b""), lambda url: OlderRequest("PUT", url, data="text"))
    assert sent.endswith(b"\r\n\r\ntext")
    assert sent.count(b"PUT") == 1


async def _silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _dropped(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


ERRORS: dict[str, tuple[bytes | Serve, type[AzureError]]] = {
    "dropped without an answer": (_dropped, ServiceResponseError),
    "broken off": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", ServiceResponseError),
    "no HTTP": (b"SSH-2.0-nothing\r\n\r\n", ServiceResponseError),
    "damaged": (_http("200 OK", b"no gzip", "Content-Encoding: gzip"), DecodeError),
    "silent": (_silent, ServiceResponseTimeoutError),
}


@pytest.mark.parametrize("how", ERRORS)
def test_a_failure_is_an_error_of_the_sdk_and_nothing_is_sent_again(how: str) -> None:
    answer, kind = ERRORS[how]
    error, sent = _ask(answer, lambda url: HttpRequest("PUT", url, json={}), read_timeout=0.5)
    assert type(error) is kind
    assert str(error)
    assert sent.count(b"PUT") == 1


def test_a_closed_port_is_an_error_of_the_sdk() -> None:
    async def run() -> None:
        async with _served(_silent) as url:
            pass
        async with HttpxTransport() as transport:
            await transport.send(HttpRequest("GET", url))

    with pytest.raises(ServiceRequestError):
        asyncio.run(run())


def test_a_closed_transport_opens_again() -> None:
    async def run() -> list[int]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_http("200 OK", b"", "Connection: close"))
            await writer.drain()

        async with _served(serve) as url:
            transport = HttpxTransport()
            found = []
            for _ in range(2):
                found.append((await transport.send(HttpRequest("GET", url))).status_code)
                await transport.close()
                await transport.close()
            return found

    assert asyncio.run(run()) == [200, 200]


def test_a_certificate_of_an_unknown_authority_is_not_waited_for() -> None:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_code, cause.verify_message = 20, "unable to get local issuer certificate"
    error = ServiceRequestError("the request failed")
    error.__cause__ = cause

    failed = not_connected(AzureApiError(0, "", "ServiceRequestError"), error, to="Azure")

    assert not failed.inconclusive
    shown = refused(failed, "read the registry")
    assert "the TLS certificate of Azure does not verify: unable to get local issuer" in shown.what
    assert "SSL_CERT_FILE=FILE" in shown.fix
