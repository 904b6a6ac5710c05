"""The errors of Azure's two APIs, their messages, and the trace line of each call."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from bootstrap.model import clock
from bootstrap.model.api_times import seconds_of_retry_after
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.plugin.errors import ApiError

T = TypeVar("T")
LOG_IN = "Log in again: az login (with --auth, check the login that it names)"


class NoLogin(PullkeyError):
    """There is no usable Azure login."""

    code = Code.LOGIN_MISSING


class AzureApiError(ApiError):
    """A call that Azure refused or did not answer.

    `code` is Azure's name of the error, such as `AuthorizationFailed`.
    """

    service = "Azure"

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after: float | None = None,
        *,
        without_token: bool = False,
    ) -> None:
        super().__init__(status, message, code, retry_after=retry_after)
        self.without_token = without_token
        """Whether the login itself failed, so that there was no token to send."""

    @property
    def fix(self) -> str:
        if self.unauthenticated:
            return LOG_IN
        return _missing_permission_fix(self) if self.forbidden else ""


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a web page: neither API sends one, but a proxy in between may."""
    return headers.get("Content-Type", "").lower().startswith("text/html")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of an answer's Retry-After header; None without a valid one."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return seconds_of_retry_after(text)


def refused(error: ApiError, doing: str) -> StepFailed:
    """Describe a failed call to the user.

    A missing answer, a rate limit and a refused token are not reported as refusals of the call.
    """
    if error.status == 429:
        when = f"after {error.retry_after:.0f} s" if error.retry_after else "later"
        return StepFailed(
            f"Azure limits the rate of calls, so it could not {doing}: {error.summary}",
            fix=f"Run it again {when}, or with fewer targets at once.",
            code=error.problem_code,
        )
    if error.unanswered:
        return StepFailed(
            f"Azure did not answer the request to {doing}: {error.summary}",
            fix="Run it again in a few minutes.",
            code=error.problem_code,
        )
    if error.unauthenticated:
        return StepFailed(
            f"Azure does not accept this login, so it could not {doing}: {error.summary}",
            fix=error.fix,
            code=error.problem_code,
        )
    return StepFailed(f"Azure refused to {doing}: {error.summary}", fix=error.fix, code=error.problem_code)


# Resource Manager's text of an `AuthorizationFailed`.
_ACTION = re.compile(r"perform action '([^']+)' over scope '([^']+)'")
_HANDOVER = "or add --handover steps.sh, for an administrator"


def _missing_permission_fix(error: AzureApiError) -> str:
    """Name the permission that a refused call needs, as far as the answer says."""
    named = _ACTION.search(error.message)
    if named is not None:
        return f"Have {named[1]} granted on {named[2].rpartition('/')[2] or named[2]}, {_HANDOVER}"
    if error.code == "Authorization_RequestDenied":
        return (
            "It takes Application.ReadWrite.OwnedBy of Microsoft Graph, or the role Application "
            f"Developer, {_HANDOVER}"
        )
    return f"Have the missing permission granted (see the README), {_HANDOVER}"


@contextmanager
def as_sentence(doing: str) -> Iterator[None]:
    """Turn an `ApiError` inside into a `StepFailed` with a message for the user."""
    try:
        yield
    except ApiError as error:
        raise refused(error, doing) from None


async def traced(
    trace: Callable[[str], None], method: str, resource: str, call: Callable[[], Awaitable[T]]
) -> T:
    """Await a call; trace its method, resource, status and time."""
    begin = clock.monotonic()
    status = "OK"
    try:
        return await call()
    except AzureApiError as error:
        status = f"{error.status or 'unanswered'} {error.code}".rstrip()
        raise
    except BaseException as error:
        status = type(error).__name__
        raise
    finally:
        trace(f"azure {method} {resource} {status} {(clock.monotonic() - begin) * 1000:.0f} ms")
