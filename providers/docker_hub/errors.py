"""The errors and delays of Docker Hub's API."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.rest_client import limited_delay
from bootstrap.plugin.retry import Delay

_BUSY = "Docker Hub is busy or briefly away; trying again."
_LIMITED = "Docker Hub limits how often it is asked; trying again once it may be."


class LoginMissing(PullkeyError):
    """Docker Hub needs a login, and none was supplied."""

    code = Code.HUB_LOGIN_MISSING


class HubApiError(ApiError):
    """A call that Docker Hub refused, or did not answer as documented.

    Args:
        status: the HTTP status; 0 if there was no answer.
        message: its error text, or what is wrong with the answer.
        retry_after: the seconds to wait that it has requested, if any.
        second_factor: whether it wants a code in addition to the password.
    """

    service = "Docker Hub"

    def __init__(
        self, status: int, message: str, *, retry_after: float | None = None, second_factor: bool = False
    ) -> None:
        super().__init__(status, message, retry_after=retry_after)
        self.second_factor = second_factor


def busy(error: Exception) -> Delay | None:
    """The delay of a busy API or a rate limit; None for a refusal."""
    return limited_delay(error, busy=_BUSY, limited=_LIMITED)
