"""What every HTTP API's refusals have in common: what a status says about the call."""

from __future__ import annotations

from bootstrap.codes import Code


class HttpRefused(Exception):
    """A call that an API refused, or did not answer.

    Args:
        status: the HTTP status; 0 if there was no answer.
        message: the API's own words.
        code: its name of the error, where it has one.
    """

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(f"{status} {code}".rstrip())
        self.status = status
        self.message = message
        self.code = code

    @property
    def missing(self) -> bool:
        return self.status == 404

    @property
    def unanswered(self) -> bool:
        """It may have been done all the same."""
        return self.status in {0, 408} or self.status >= 500

    @property
    def problem_code(self) -> Code:
        """What kind of problem it is, as far as the status tells."""
        if self.status == 429:
            return Code.CLOUD_RATE_LIMITED
        if self.unanswered:
            return Code.CLOUD_UNAVAILABLE
        return {401: Code.LOGIN_REFUSED, 403: Code.MISSING_PERMISSION}.get(self.status, Code.CLOUD_REFUSED)

    @property
    def busy(self) -> bool:
        """It says nothing about the call itself, only that it should come again."""
        return self.unanswered or self.status == 429
