"""What Azure's SDK for Resource Manager is made to do otherwise: send each change once, wait no longer
than a run may.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from bootstrap.model.deadline import Deadline
from bootstrap.plugin.errors import answered_by_page, is_web_page
from providers.acr.errors import AzureApiError, retry_after

_RETRIES = 3
_LONGEST_PAUSE_SECONDS = 60.0  # half of what a call may take


def no_web_page() -> Any:
    """Reject web pages: where no content is expected, the SDK accepts any 2xx answer, a proxy's page
    included.
    """
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class NoWebPage(SansIOHTTPPolicy[Any, Any]):
        def on_response(self, request: Any, response: Any) -> None:
            page = is_web_page(response.http_response.headers)
            if page and response.http_response.status_code < 500:
                raise answered_by_page(AzureApiError(0, "", ""), urlsplit(request.http_request.url).netloc)

    return NoWebPage()


def reads_only(deadline: Deadline) -> Any:
    """The SDK's own retries, for reads. A call that changes something is sent once: its caller reads before
    it sends another.

    A Retry-After longer than the run's remaining time is not waited for; the answer is returned as it is.
    """
    from azure.core.pipeline.policies import AsyncRetryPolicy

    class ReadsOnly(AsyncRetryPolicy[Any, Any]):
        def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
            options.setdefault("retry_on_methods", frozenset({"GET", "HEAD"}))
            return super().configure_retries(options)

        def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
            wait = retry_after(response.http_response.headers)
            return (
                response.http_request.method in ("GET", "HEAD")
                and (wait is None or wait < min(deadline.left, _LONGEST_PAUSE_SECONDS))
                and super().is_retry(settings, response)
            )

    return ReadsOnly(retry_total=_RETRIES)


def plaintext_on_loopback() -> Any:
    """The SDK sends no token over http unless each call says so; `settings.endpoint` has seen to it that
    it is loopback.
    """
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class Plaintext(SansIOHTTPPolicy[Any, Any]):
        def on_request(self, request: Any) -> None:
            request.context.options["enforce_https"] = False

    return Plaintext()
