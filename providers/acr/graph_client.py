"""The client of Microsoft Graph: the SDK's request builders and adapter, with narrow models
(`graph_models`).

Reads are retried by the SDK's own handler. A call that changes something is sent once, and its caller judges
the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import stamina

from bootstrap.model import clock
from bootstrap.model.deadline import Deadline
from bootstrap.plugin.errors import answered_by_page, is_web_page
from bootstrap.plugin.http import httpx, new_client, not_connected
from providers.acr.cache import Facts
from providers.acr.errors import AzureApiError, NoToken, retry_after, traced
from providers.acr.login import Login

T = TypeVar("T")
_SECONDS = 60.0
_ANSWER_SECONDS = 5.0  # what is left of them for an answer, after a wait


class GraphClient:
    """Sends the requests that the SDK's builders create.

    Args:
        login: gives tokens, as `azure.core`'s `AsyncTokenCredential`.
        url: the endpoint, without path.
        scope: what its tokens are asked for.
        trace: takes one line per call, without secrets.
        deadline: of the run; no call is waited for much longer.
    """

    def __init__(
        self, login: Login, url: str, scope: str, trace: Callable[[str], None], deadline: Deadline
    ) -> None:
        from kiota_authentication_azure.azure_identity_authentication_provider import (
            AzureIdentityAuthenticationProvider,
        )
        from kiota_http.kiota_client_factory import KiotaClientFactory
        from kiota_http.middleware import RetryHandler
        from msgraph.graph_request_adapter import GraphRequestAdapter
        from msgraph.graph_service_client import GraphServiceClient
        from msgraph_core import GraphClientFactory  # type: ignore[import-untyped]

        from providers.acr import graph_models

        self._models = graph_models
        self._login = login
        self.url = url
        self.scope = scope
        self._facts = Facts(deadline)
        self._policies = Facts(deadline)  # which no run of ours changes
        self._trace = trace
        self._deadline = deadline
        host = urlsplit(url).hostname or ""
        # The default ones (`GraphClientFactory.create_with_default_middleware`), but for the one that repeats
        # and the one that tells Microsoft of this machine.
        middleware = [
            _reads_in_time(deadline) if isinstance(one, RetryHandler) else one
            for one in KiotaClientFactory.get_default_middleware(None)
        ]
        self._http = GraphClientFactory.create_with_custom_middleware(
            middleware, client=new_client("", timeout=httpx.Timeout(_SECONDS, connect=10.0), http2=True)
        )
        self._http.event_hooks = {"response": [_no_web_page]}
        self._adapter = GraphRequestAdapter(
            AzureIdentityAuthenticationProvider(login, scopes=[self.scope], allowed_hosts=[host]), self._http
        )
        self._adapter.base_url = f"{url}/v1.0"
        self._client = GraphServiceClient(request_adapter=self._adapter)

    async def close(self) -> None:
        await self._http.aclose()

    def invalidate(self) -> None:
        """Discard all cached answers."""
        self.invalidate_state()
        self._policies.invalidate()

    def invalidate_state(self) -> None:
        """As `bootstrap.plugin.context.Shared.invalidate_state`."""
        self._facts.invalidate()

    # -- calling ---------------------------------------------------------------------------------------------

    async def change(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """Send a change, then discard the cached answers, whether it was answered or not."""
        try:
            return await self._sent(method, resource, call)
        finally:
            self._facts.invalidate()

    async def _sent(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call; repeat it once with a new token after 401, which is answered before any change."""
        sent = clock.monotonic()
        try:
            return await self._sent_once(method, resource, call)
        except AzureApiError as error:
            if not error.unauthenticated or isinstance(error, NoToken):
                raise
            self._login.renew(sent)
        return await self._sent_once(method, resource, call)

    async def _sent_once(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        async def translated() -> T:
            from azure.core.exceptions import AzureError
            from kiota_abstractions.api_error import APIError

            try:
                async with asyncio.timeout(self._deadline.clip(_SECONDS)):
                    return await call()
            except AzureApiError:
                raise
            except APIError as error:
                raise _call_refused(error) from None
            except TimeoutError:
                raise AzureApiError(0, "", "there was no answer in time") from None
            except (httpx.TransportError, AzureError) as error:
                raise not_connected(AzureApiError(0, "", type(error).__name__), error, to="Azure") from None
            except Exception:  # noqa: BLE001  - the SDK raises anything, a bare Exception too, where it cannot read it
                raise AzureApiError(0, "", "its answer cannot be read") from None

        return await traced(self._trace, method, resource, translated)

    async def read(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """Send a read, and repeat it after a lost connection: the SDK repeats only after 429, 503 and 504."""
        async for attempt in stamina.retry_context(
            on=_comes_again,
            attempts=3,
            wait_initial=0.2,
            wait_max=2.0,
            timeout=self._deadline.clip(_SECONDS),
        ):
            with attempt:
                return await self._sent(method, resource, call)
        raise AssertionError("stamina either returns or raises")

    async def answer(self, request: Any, model: type[T]) -> T | None:
        """Send what a request builder has made, and read the answer as `model`."""
        from msgraph.generated.models.o_data_errors.o_data_error import ODataError

        answer: T | None = await self._adapter.send_async(request, model, {"XXX": ODataError})
        return answer

    def once(self, **headers: str) -> Any:
        """The configuration of a request that the SDK must not repeat."""
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from kiota_abstractions.headers_collection import HeadersCollection
        from kiota_http.middleware.options import RetryHandlerOption

        collection = HeadersCollection()
        for name, value in headers.items():
            collection.add(name, value)
        return RequestConfiguration(
            headers=collection, options=[RetryHandlerOption(max_retries=0, should_retry=False)]
        )

    async def or_none(self, found: Awaitable[T]) -> T | None:
        try:
            return await found
        except AzureApiError as error:
            if error.missing:
                return None
            raise


async def _no_web_page(response: httpx.Response) -> None:
    """Reject web pages: where no content is expected, the SDK accepts any 2xx answer, a proxy's page
    included.
    """
    if is_web_page(response.headers) and response.status_code < 500:
        raise answered_by_page(AzureApiError(0, "", ""), response.url.netloc.decode())


def _reads_in_time(deadline: Deadline) -> Any:
    """The SDK's own retries. A Retry-After longer than the call's time is not waited for; the answer is
    returned as it is.
    """
    from kiota_http.middleware import RetryHandler

    class InTime(RetryHandler):
        def should_retry(self, request: Any, options: Any, response: Any) -> bool:
            wait = retry_after(response.headers) or 0.0
            begin = request.extensions.setdefault("pullkey_begin", clock.monotonic())
            left = min(deadline.left, _SECONDS - _ANSWER_SECONDS - (clock.monotonic() - begin))
            return wait < left and bool(super().should_retry(request, options, response))

    return InTime()


def _call_refused(error: Any) -> AzureApiError:
    main = getattr(error, "error", None)
    code, message = getattr(main, "code", None), getattr(main, "message", None)
    status = error.response_status_code
    wait = retry_after(getattr(error, "response_headers", None) or {})
    return AzureApiError(status if isinstance(status, int) else 0, code or "", message or "", wait)


def _comes_again(error: Exception) -> bool:
    if not isinstance(error, AzureApiError) or error.page_from:
        return False
    return error.status in (0, 500, 502) or (error.status == 404 and error.inconclusive)
