"""`ApiError`, the only error that the client of a cloud's API raises.

No exception of an SDK leaves its client module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.model.text import one_line


class ApiError(Exception):
    """A call that an API refused or did not answer.

    Args:
        status: the HTTP status, or the one equivalent to the API's own status; 0 if there was no answer.
        message: the API's error text, or what is wrong with its answer.
        code: the API's error code, if any: `NOT_FOUND`, `AuthorizationFailed`.
        retry_after: the seconds to wait that the API has requested, if any.
    """

    service: str = "The cloud"
    """The API's name at the start of a sentence."""

    def __init__(
        self, status: int, message: str, code: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status} {code}".rstrip())
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after
        self.certificate_fix = ""
        """What to do about a TLS certificate that does not verify; "" if that is not the error. Nothing was
        sent then, and another try would end alike.
        """
        self.page_from = ""
        """The host whose web page came in place of an answer: that of a proxy, or a network's login page.
        "" if none came. Another try would end alike.
        """

    @property
    def summary(self) -> str:
        """The API's error code (or the status) and text, in one line."""
        if self.page_from:
            return self.message
        named = self.code or (str(self.status) if self.status else "no answer")
        return f"{named}, {one_line(self.message)}" if self.message else named

    @property
    def fix(self) -> str:
        """What to do: log in, ask for a permission; "" if one can only wait."""
        return page_fix(self.page_from) if self.page_from else self.certificate_fix

    @property
    def fix_or_wait(self) -> str:
        """What to do: `fix`, or to try again where that may end differently; "" if neither is known."""
        return self.fix or ("Run it again in a while." if self.passing or self.unanswered else "")

    @property
    def missing(self) -> bool:
        """The API does not show the object. Whether it is absent is for the caller to conclude
        (`bootstrap.plugin.observe`).
        """
        return self.status == 404

    @property
    def forbidden(self) -> bool:
        return self.status == 403

    @property
    def unauthenticated(self) -> bool:
        """The access token itself was refused; this says nothing about permissions."""
        return self.status == 401

    @property
    def rate_limited(self) -> bool:
        return self.status == 429

    @property
    def unanswered(self) -> bool:
        """The call may have been carried out."""
        return not self.certificate_fix and (self.status in {0, 408} or self.status >= 500)

    @property
    def inconclusive(self) -> bool:
        """It says nothing about the object: there was no answer, a rate limit, or a web page in its place."""
        return self.unanswered or self.rate_limited

    @property
    def passing(self) -> bool:
        """Whether it is worth waiting for: inconclusive, and another try may end differently."""
        return self.inconclusive and not self.page_from

    def sentence(self, doing: str) -> str:
        """What the user reads: `doing`, as the text after "to", was refused or not answered."""
        if self.certificate_fix:
            return f"{self.service} could not be reached to {doing}: {self.summary}"
        if self.rate_limited:
            return f"{self.service} limits the rate of calls, so it could not {doing}: {self.summary}"
        if self.unanswered:
            return f"{self.service} did not answer the request to {doing}: {self.summary}"
        if self.unauthenticated:
            return f"{self.service} does not accept this login, so it could not {doing}: {self.summary}"
        return f"{self.service} refused to {doing}: {self.summary}"

    @property
    def problem_code(self) -> Code:
        """What kind of problem it is, as far as the status tells."""
        if self.certificate_fix:
            return Code.REGISTRY_CERTIFICATE
        if self.page_from:
            return Code.REGISTRY_ANSWER
        if self.rate_limited:
            return Code.CLOUD_RATE_LIMITED
        if self.unanswered:
            return Code.CLOUD_UNAVAILABLE
        if self.unauthenticated:
            return Code.LOGIN_REFUSED
        return Code.MISSING_PERMISSION if self.forbidden else Code.CLOUD_REFUSED


E = TypeVar("E", bound=ApiError)


def answered_by_page(failed: E, host: str) -> E:
    """An error without an answer as one that says that a web page came from a host."""
    failed.message, failed.page_from = f"a web page came from {host} in place of an answer", host
    return failed


def is_web_page(headers: Mapping[str, str], body: bytes = b"") -> bool:
    """Whether an answer is a web page: no API sends one, but a proxy in between may."""
    return headers.get("Content-Type", "").lower().startswith("text/html") or body.lstrip().startswith(b"<")


def page_fix(host: str) -> str:
    """What to do about a web page that came from a host in place of an answer."""
    return (
        f"A proxy or the login page of a network has answered in place of {host}, or it is another kind of "
        f"server: open https://{host} in a browser on this machine, and check HTTPS_PROXY and NO_PROXY"
    )


def refused(error: ApiError, doing: str) -> StepFailed:
    """Convert an error to a sentence, with what to do.

    Args:
        error: the error.
        doing: the action, as the text after "to".
    """
    if error.rate_limited:
        when = f"after {error.retry_after:.0f} s" if error.retry_after else "later"
        wait = f"Run it again {when}, or with fewer targets at once."
    else:
        wait = "Run it again in a few minutes." if error.unanswered else ""
    return StepFailed(error.sentence(doing), fix=error.fix or wait, code=error.problem_code)


def as_sentence(doing: str) -> AbstractContextManager[None]:
    """Convert API errors raised in this context to `StepFailed`."""
    return refused_as(refused, doing)


@contextmanager
def refused_as(refused: Callable[[ApiError, str], PullkeyError], doing: str) -> Iterator[None]:
    """Convert an API's error inside to one of pullkey's.

    Args:
        refused: converts one: to an error that says that `doing` was refused.
        doing: the action, as the text after "to".
    """
    try:
        yield
    except ApiError as error:
        raise refused(error, doing) from None


def as_user_error(error: BaseException) -> PullkeyError:
    """One of pullkey's own as it is; an API's in its own words; any other without its text, which may come
    from anywhere, and with the plugin that it has come through.

    `--verbose` shows the traceback of what was not foreseen.
    """
    if isinstance(error, PullkeyError):
        return error
    if isinstance(error, ApiError):
        shown = StepFailed(
            f"{error.service} could not be asked: {error.summary}",
            fix=error.fix_or_wait,
            code=error.problem_code,
        )
    else:
        shown = _unexpected(error)
    shown.__cause__ = error
    return shown


def _unexpected(error: BaseException) -> StepFailed:
    # Late, as all that only an error needs.
    from bootstrap.plugin import entry_points, messages

    plugin = entry_points.plugin_at_fault(error)
    if plugin is None:
        return messages.unexpected(error)
    return messages.provider_failed(plugin.entry.name, plugin.package, error)
