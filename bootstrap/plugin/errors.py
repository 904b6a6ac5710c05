"""The one kind of error that a client of a cloud's API raises: no SDK's exception leaves its client
module.
"""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.model.text import one_line


class ApiError(Exception):
    """A call that an API refused, or did not answer.

    Args:
        status: the HTTP status, or the one that the API's own status stands for; 0 if there was no answer.
        message: the API's own words, or what is wrong with its answer.
        code: its name of the error, where it has one: `NOT_FOUND`, `AuthorizationFailed`.
        retry_after: how many seconds it asks to be left alone, where it says so.
    """

    service: str = "The cloud"
    """Whose API it is, as a sentence names it."""

    def __init__(
        self, status: int, message: str, code: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status} {code}".rstrip())
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after

    @property
    def said(self) -> str:
        """The API's own words, in one line, with its name of the error or the status."""
        named = self.code or (str(self.status) if self.status else "no answer")
        return f"{named}, {one_line(self.message)}" if self.message else named

    @property
    def fix(self) -> str:
        """What to do about it: log in, ask for a permission; "" where waiting is all there is."""
        return ""

    @property
    def missing(self) -> bool:
        """The API does not show it. That it is absent is a conclusion of the caller's
        (`bootstrap.plugin.observe`).
        """
        return self.status == 404

    @property
    def forbidden(self) -> bool:
        return self.status == 403

    @property
    def unauthenticated(self) -> bool:
        """The token itself was refused: nothing is known of permissions."""
        return self.status == 401

    @property
    def rate_limited(self) -> bool:
        return self.status == 429

    @property
    def unanswered(self) -> bool:
        """The call may have been done all the same."""
        return self.status in {0, 408} or self.status >= 500

    @property
    def busy(self) -> bool:
        """It says nothing about the call itself, only that it should come again."""
        return self.unanswered or self.rate_limited

    @property
    def problem_code(self) -> Code:
        """What kind of problem it is, as far as the status tells."""
        if self.rate_limited:
            return Code.CLOUD_RATE_LIMITED
        if self.unanswered:
            return Code.CLOUD_UNAVAILABLE
        if self.unauthenticated:
            return Code.LOGIN_REFUSED
        return Code.MISSING_PERMISSION if self.forbidden else Code.CLOUD_REFUSED


def as_user_error(error: BaseException) -> PullkeyError:
    """One of pullkey's own as it is; an API's in its own words; any other without its text, which may come
    from anywhere.

    `--verbose` shows the traceback of what was not foreseen.
    """
    if isinstance(error, PullkeyError):
        return error
    if isinstance(error, ApiError):
        shown = StepFailed(
            f"{error.service} could not be asked: {error.said}",
            fix=error.fix or "Run it again in a while.",
            code=error.problem_code,
        )
    else:
        shown = StepFailed(
            f"Something that pullkey does not expect went wrong ({type(error).__name__})",
            fix="Run it again with --verbose, and report what it shows.",
            code=Code.UNEXPECTED,
        )
    shown.__cause__ = error
    return shown
