"""What the calls of Azure's two APIs have in common: how a refusal is told, and one traced line a call."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from bootstrap.errors import PullkeyError, StepFailed
from bootstrap.refusal import HttpRefused
from bootstrap.words import one_line

T = TypeVar("T")
INSTALL = 'pipx install --force "pullkey[acr]"  (or: uv tool install "pullkey[acr]", or: pip install "pullkey[acr]")'


class NoLogin(PullkeyError):
    """There is no usable Azure login."""


class CallRefused(HttpRefused):
    """A call that Azure refused, or did not answer; `code` is Azure's name of the error, as `AuthorizationFailed`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message, code)

    @property
    def forbidden(self) -> bool:
        return self.status in (401, 403)

    @property
    def said(self) -> str:
        """Azure's own words, in one line, with its code."""
        code = self.code or (str(self.status) if self.status else "no answer")
        return f"{code}, {one_line(self.message)}" if self.message else code


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is made for a browser: neither API has one, and a proxy between may."""
    return headers.get("Content-Type", "").lower().startswith("text/html")


def refused(error: CallRefused, doing: str) -> StepFailed:
    """An Azure error as a sentence."""
    return StepFailed(f"Azure refused to {doing}: {error.said}")


@contextmanager
def as_sentence(doing: str) -> Iterator[None]:
    """Whatever is refused inside ends in a sentence."""
    try:
        yield
    except CallRefused as error:
        raise refused(error, doing) from None


async def traced(
    trace: Callable[[str], None], method: str, resource: str, call: Callable[[], Awaitable[T]]
) -> T:
    """Await a call; tell its method, resource, status and time."""
    begin = time.monotonic()
    status = "OK"
    try:
        return await call()
    except CallRefused as error:
        status = f"{error.status or 'unanswered'} {error.code}".rstrip()
        raise
    except BaseException as error:
        status = type(error).__name__
        raise
    finally:
        trace(f"azure {method} {resource} {status} {(time.monotonic() - begin) * 1000:.0f} ms")
