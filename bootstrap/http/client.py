"""The HTTP client for registries and plain APIs: no redirects, no cookies, address overrides."""

from __future__ import annotations

import functools
import http.cookiejar
import os
import ssl
from typing import Any

from bootstrap.http import network
from bootstrap.http._fast_import import httpx
from bootstrap.model.settings import connect_to


def new_client(
    host: str, *, timeout: float | httpx.Timeout, base_url: str = "", http2: bool = False
) -> httpx.AsyncClient:
    """Create a client for a host (without port) and the token service that it names; "" is a cloud's API.

    Redirects are not followed: one could send the credential to another host. Unless the host's address is
    overridden, the proxies in the environment apply, as httpx reads them, and its certificate authorities.

    Raises:
        UsageProblem: the environment has an invalid proxy or certificate file.
    """
    with network.usable():
        return httpx.AsyncClient(
            base_url=base_url,
            transport=_ConnectTo() if connect_to(host) is not None else None,
            verify=trust_of_environment(),
            timeout=timeout,
            follow_redirects=False,
            http2=http2,
            cookies=_NoCookies(),
        )


class _NoCookies(http.cookiejar.CookieJar):
    """A cookie jar that stays empty: no login leaks into another session, and with a cookie Harbor requires a
    CSRF token.
    """

    def extract_cookies(self, response: Any, request: Any) -> None:
        return


class _ConnectTo(httpx.AsyncBaseTransport):
    """Connects to a registry at another address; TLS still verifies the registry's name."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=trust_of_environment())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        address = connect_to(host)
        if address is not None:
            request.headers["Host"] = request.url.netloc.decode()
            request.extensions["sni_hostname"] = host
            request.url = request.url.copy_with(host=address[0], port=address[1])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def trust_of_environment() -> ssl.SSLContext:
    """The TLS context with the public authorities and those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name: by
    itself, httpx trusts the named ones only. Cached, since reading them is slower than a handshake.
    """
    return _trusting(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.cache
def _trusting(file: str | None, folder: str | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if file or folder:
        context.load_verify_locations(cafile=file or None, capath=folder or None)
    return context
