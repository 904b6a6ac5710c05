"""What Docker Hub refuses, or does not answer, as the rest of pullkey knows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.retry import Delay

_UNTOLD_SECONDS = 3.0
_BUSY = "Docker Hub is busy or briefly away; trying again."
_LIMITED = "Docker Hub limits how often it is asked; trying again once it may be."


class NotAsked(PullkeyError):
    """Docker Hub needs a login, and there is none."""

    code = Code.HUB_LOGIN_MISSING


class HubApiError(ApiError):
    """A call that Docker Hub refused, or did not answer as it should.

    Args:
        status: the HTTP status; 0 if there was no answer.
        message: its own words, or what is wrong with the answer.
        retry_after: how many seconds it asks to be left alone for, where it says so.
        second_factor: it wants a code beside the password.
    """

    service = "Docker Hub"

    def __init__(
        self, status: int, message: str, *, retry_after: float | None = None, second_factor: bool = False
    ) -> None:
        super().__init__(status, message, retry_after=retry_after)
        self.second_factor = second_factor


def busy(error: Exception) -> Delay | None:
    """Whether a refusal is worth waiting for; a rate limit as long as Docker Hub says itself, else for
    moments only.
    """
    if not isinstance(error, HubApiError) or not error.busy:
        return None
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        # Mostly it says how long. Where it does not, only a passing one is worth another try.
        return Delay(
            _LIMITED, at_most=_UNTOLD_SECONDS if error.retry_after is None else None, after=error.retry_after
        )
    return Delay(_BUSY, after=error.retry_after)


@contextmanager
def as_sentence(doing: str) -> Iterator[None]:
    """Whatever is refused inside ends in a sentence."""
    try:
        yield
    except HubApiError as error:
        raise refused(error, doing) from None


def refused(error: ApiError, doing: str) -> StepFailed:
    """An error as a sentence."""
    return StepFailed(f"Docker Hub refused to {doing}: {error.said}", code=error.problem_code)
