"""Reads a registry's answer: its redirect, whether its failure may pass, and whether it came in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import Unreadable
from bootstrap.model.metadata_hosts import is_metadata_host
from bootstrap.model.pull import PullAttempt
from bootstrap.registry import messages_answers as messages
from bootstrap.registry.client import Answer, Clean, cleaned_line
from bootstrap.registry.messages import too_late, unanswered

Found = TypeVar("Found")

MOST_REDIRECTS = 4
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def redirect_target(answer: Answer) -> httpx.URL | None:
    """Where a redirect leads, if it can be followed: to another address, with TLS."""
    to = answer.headers.get("Location", "")
    if answer.status not in REDIRECTS or not to:
        return None
    try:
        url = answer.url.join(to)
        inside = is_metadata_host(url.raw_host.decode("ascii", "replace"))
    except (httpx.InvalidURL, ValueError):
        return None
    return None if url == answer.url or url.scheme != "https" or url.userinfo or inside else url


def passing_failure(answer: Answer, clean: Clean) -> PullAttempt | None:
    """A rate limit or a server's error, which says nothing about the question; None for any other answer."""
    if answer.status not in (408, 425, 429) and answer.status < 500:
        return None
    message = messages.rate_limited if answer.status == 429 else messages.server_error
    return message(answer.host, answer.status, cleaned_line(answer.error_text, clean), answer.retry_after)


async def answer_within(
    seconds: float, host: str, clean: Clean, work: Callable[[], Awaitable[Found]]
) -> Found | PullAttempt:
    """The result of `work`; a `PullAttempt` that says why a registry gave none within the time."""
    try:
        async with asyncio.timeout(seconds):
            return await work()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return unanswered(error, host, clean)
    except Unreadable as error:
        return messages.unreadable_answer(host, error)
    except TimeoutError:
        return too_late(host)
