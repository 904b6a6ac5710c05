"""The clients of Google's SDKs: one per API and endpoint; every call is traced and within the run's deadline.

No SDK's exception leaves this module: each is raised as a `GoogleApiError`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from bootstrap.model import clock
from bootstrap.model.deadline import Deadline, Tell, silent
from bootstrap.model.settings import endpoint
from bootstrap.plugin.retry import Delay, retry_while
from providers.gcr import errors
from providers.gcr.login import GoogleLogin

T = TypeVar("T")
READ_SECONDS = 30.0
CHANGE_SECONDS = 60.0


def import_clients() -> None:
    """Import what the clients below import when they are first used."""
    import providers.gcr._fast_import  # noqa: F401, I001  - before anything of Google's
    import grpc.aio  # noqa: F401


class GoogleClient:
    """The clients of Google's APIs, with one login.

    Args:
        impersonate: e-mail of a service account to act as, or "".
        trace: takes one line per call, without secrets.
        deadline: of the run; no call takes much longer.
        tell: shows what the login waits for.
    """

    def __init__(
        self, impersonate: str, trace: Callable[[str], None], deadline: Deadline, tell: Tell = silent
    ) -> None:
        self.login = GoogleLogin(impersonate, deadline, tell)
        self._deadline = deadline
        self._trace = trace
        self._clients: list[Any] = []
        self._tokens = 0
        self.enabled: set[tuple[str, str]] = set()
        """Projects, and the APIs that this command has enabled in them: an error that says one is disabled
        there is then a delay.
        """
        self._numbers: dict[str, str] = {}
        """The numbers of projects, by their ids, as far as answers have shown them."""
        self._renewing = asyncio.Lock()

    # -- clients ---------------------------------------------------------------------------------------------

    def _client(self, kind: Any, variable: str) -> Any:
        from google.api_core.client_options import ClientOptions

        where = endpoint(variable)
        if where is None:
            client = kind(credentials=self.login.credentials)
        elif where.plaintext:
            import grpc

            channel = grpc.aio.insecure_channel(where.grpc_target)
            client = kind(transport=kind.get_transport_class("grpc_asyncio")(channel=channel))
        else:
            client = kind(
                credentials=self.login.credentials,
                client_options=ClientOptions(api_endpoint=where.grpc_target),
            )
        self._clients.append(client)
        return client

    @cached_property
    def iam(self) -> Any:
        from google.cloud.iam_admin_v1.services.iam import IAMAsyncClient

        return self._client(IAMAsyncClient, "PULLKEY_GOOGLE_IAM_ENDPOINT")

    @cached_property
    def projects(self) -> Any:
        from google.cloud.resourcemanager_v3.services.projects import ProjectsAsyncClient

        return self._client(ProjectsAsyncClient, "PULLKEY_GOOGLE_RESOURCEMANAGER_ENDPOINT")

    @cached_property
    def registry(self) -> Any:
        from google.cloud.artifactregistry_v1.services.artifact_registry import ArtifactRegistryAsyncClient

        return self._client(ArtifactRegistryAsyncClient, "PULLKEY_GOOGLE_ARTIFACTREGISTRY_ENDPOINT")

    @cached_property
    def services(self) -> Any:
        from google.cloud.service_usage_v1.services.service_usage import ServiceUsageAsyncClient

        return self._client(ServiceUsageAsyncClient, "PULLKEY_GOOGLE_SERVICEUSAGE_ENDPOINT")

    @cached_property
    def policies(self) -> Any:
        from google.cloud.orgpolicy_v2.services.org_policy import OrgPolicyAsyncClient

        return self._client(OrgPolicyAsyncClient, "PULLKEY_GOOGLE_ORGPOLICY_ENDPOINT")

    async def close(self) -> None:
        while self._clients:
            await self._clients.pop().transport.close()

    def number_of(self, project: str) -> str:
        """The number of a project; "" if no answer has shown it yet."""
        return self._numbers.get(project, "")

    def note_number(self, project: str, name: str) -> None:
        """Note a project's number from the name of it or of something in it: `projects/734512906481/...`."""
        number = name.removeprefix("projects/").partition("/")[0]
        if number.isdigit():
            self._numbers[project] = number

    # -- calling ---------------------------------------------------------------------------------------------

    @cached_property
    def reading(self) -> dict[str, Any]:
        """Retry and timeout of a read: repeated while Google is busy, which the SDKs do for some reads only.

        Not repeated if Google says how long to wait (`read` does that), if the login has expired, or if
        the certificate does not verify.
        """
        from google.api_core import exceptions, retry_async

        passing = (
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.InternalServerError,
            exceptions.ResourceExhausted,
            *_UNREADABLE,
        )

        def busy(error: BaseException) -> bool:
            text = str(getattr(error, "message", ""))
            return isinstance(error, passing) and _retry_info(error) is None and not errors.is_final(text)

        retry = retry_async.AsyncRetry(predicate=busy, initial=0.3, maximum=5.0, timeout=READ_SECONDS)
        return {"retry": retry, "timeout": READ_SECONDS}

    async def read(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """Send a read, with the SDK's retries, and after the pauses that Google asks for."""

        def why(error: Exception) -> Delay | None:
            asked = isinstance(error, errors.GoogleApiError) and error.retry_after is not None
            return errors.delay_of(error) if asked else None

        return await retry_while(
            lambda: self.call(method, resource, call), why=why, deadline=self._deadline, tell=self._trace
        )

    async def call(
        self,
        method: str,
        resource: str,
        call: Callable[[], Awaitable[T]],
        *,
        seconds: float = CHANGE_SECONDS,
        silent: bool = False,
    ) -> T:
        """Send one call, with the SDK's retries.

        Args:
            method: its name in the trace.
            resource: the resource it is about, in the trace.
            call: sends it.
            seconds: its time limit.
            silent: a success has no answer. Else no answer means one that could not be read: gRPC only logs
                that.

        Raises:
            GoogleApiError: it was refused, or not answered.
        """

        def just_enabled(error: Exception) -> Delay | None:
            if not isinstance(error, errors.GoogleApiError):
                return None
            service, consumer = error.disabled_service, error.consumer
            # The login's calls may count to another project, in which nothing was enabled.
            waits = any(
                service == name and consumer in ("", project, self.number_of(project) or consumer)
                for project, name in self.enabled
            )
            return errors.new_service_delay(service) if waits else None

        return await retry_while(
            lambda: self._as_logged_in(method, resource, call, seconds=seconds, silent=silent),
            why=just_enabled,
            deadline=self._deadline,
            tell=self._trace,
        )

    async def _as_logged_in(
        self, method: str, resource: str, call: Callable[[], Awaitable[T]], *, seconds: float, silent: bool
    ) -> T:
        tokens = self._tokens
        try:
            return await self._once(method, resource, call, seconds=seconds, silent=silent)
        except errors.GoogleApiError as error:
            if not error.unauthenticated:
                raise
            # Nothing was done. The token may have expired during the run: fetch a new one, once.
            async with self._renewing:
                if self._tokens == tokens:
                    await self._renew()
                    self._tokens += 1
        return await self._once(method, resource, call, seconds=seconds, silent=silent)

    async def _renew(self) -> None:
        """Fetch a new token, and drop the clients, which keep credentials of their own.

        Calls in flight keep the old clients, which are closed at the end.
        """
        await self.login.renew()
        for name in ("iam", "projects", "registry", "services", "policies"):
            self.__dict__.pop(name, None)

    async def _once(
        self, method: str, resource: str, call: Callable[[], Awaitable[T]], *, seconds: float, silent: bool
    ) -> T:
        begin = clock.monotonic()
        status = "OK"
        try:
            async with asyncio.timeout(self._deadline.clip(seconds)):
                answer = await call()
            if answer is None and not silent:
                raise ValueError
        except Exception as error:
            refusal = _as_api_error(error)
            if refusal is None:
                status = type(error).__name__
                raise
            status = refusal.code
            raise refusal from None
        else:
            return answer
        finally:
            self._trace(f"google {method} {resource} {status} {(clock.monotonic() - begin) * 1000:.0f} ms")


# -- errors --------------------------------------------------------------------------------------------------

# Raised by the SDKs, or by reading their answers, if an answer does not have the documented form.
_UNREADABLE = (AttributeError, TypeError, ValueError, LookupError)


def _as_api_error(error: Exception) -> errors.GoogleApiError | None:
    """The error of a call as a `GoogleApiError`, timeouts and unreadable answers included; None for any other
    exception.
    """
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError

    if isinstance(error, errors.GoogleApiError):
        return error
    if isinstance(error, exceptions.RetryError) and isinstance(error.cause, Exception):
        # The error that was retried says more than that the time is over.
        return _as_api_error(error.cause)
    if isinstance(error, TimeoutError | exceptions.RetryError):
        return errors.GoogleApiError("DEADLINE_EXCEEDED", "there was no answer in time")
    if isinstance(error, GoogleAuthError):
        code = "UNAVAILABLE" if isinstance(error, TransportError) else "UNAUTHENTICATED"
        return errors.GoogleApiError(code, errors.said_in(error))
    if isinstance(error, exceptions.GoogleAPICallError):
        return _of_call_error(error)
    if isinstance(error, _UNREADABLE):
        return errors.GoogleApiError("UNKNOWN", "its answer cannot be read")
    return None


def _of_call_error(error: Any) -> errors.GoogleApiError:
    message = str(error.message or "")
    code = error.grpc_status_code.name if error.grpc_status_code is not None else "UNKNOWN"
    if code == "UNAVAILABLE" and errors.is_refused_login(message):
        code = "UNAUTHENTICATED"
    details: dict[str, Any] = {}
    with contextlib.suppress(*_UNREADABLE):  # code and message say what it is, whatever its details are
        info = {str(name): str(value) for name, value in (error.metadata or {}).items()}
        details = {"reason": str(error.reason or ""), "info": info}
        details["constraint"] = _constraint(error, info)
        details["retry_after"] = _retry_info(error)
    return errors.GoogleApiError(code, message, **details)


def _retry_info(error: Any) -> float | None:
    """The pause that Google asks for (google.rpc.RetryInfo), in seconds."""
    for detail in getattr(error, "details", None) or ():
        delay = getattr(detail, "retry_delay", None)
        if delay is not None:
            return float(delay.seconds) + float(delay.nanos) / 1e9
    return None


def _constraint(error: Any, info: Mapping[str, str]) -> str:
    """The organisation policy constraint that a refusal names (google.rpc.PreconditionFailure, or its
    ErrorInfo).
    """
    for detail in error.details or ():
        for violation in getattr(detail, "violations", ()):
            # Those of a QuotaFailure and of a BadRequest have no type.
            kind = str(getattr(violation, "type", ""))
            if kind.startswith("constraints/"):
                return kind.removeprefix("constraints/")
    return info.get("customConstraints", "").split(",")[0].removeprefix("constraints/")
