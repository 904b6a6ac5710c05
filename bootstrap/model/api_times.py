"""Points in time as APIs write them, in headers and in JSON; None for what is not one."""

from __future__ import annotations

import datetime as dt
import email.utils
from typing import Any

from bootstrap.model import clock


def time_in_header(text: str) -> dt.datetime | None:
    """Parse the date of a header such as `Date` (RFC 9110, 5.6.7); None if it is not one.

    >>> time_in_header("Tue, 15 Nov 1994 08:12:31 GMT").isoformat()
    '1994-11-15T08:12:31+00:00'
    >>> time_in_header("yesterday") is None
    True
    """
    try:
        return _aware(email.utils.parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def time_in_json(value: Any) -> dt.datetime | None:
    """Parse a time in ISO 8601, as JSON APIs write it; without an offset it is in UTC. None if it is not one.

    >>> time_in_json("2026-01-02T03:04:05Z") == time_in_json("2026-01-02T03:04:05")
    True
    >>> time_in_json(17) is None
    True
    """
    if not isinstance(value, str):
        return None
    try:
        return _aware(dt.datetime.fromisoformat(value))
    except ValueError:
        return None


def seconds_of_retry_after(text: str) -> float | None:
    """Parse a `Retry-After`, a number or a date (RFC 9110, 10.2.3), to seconds; None if it is neither.

    >>> seconds_of_retry_after("120")
    120.0
    >>> seconds_of_retry_after("soon") is None
    True
    """
    text = text.strip()[:64]
    if text.isascii() and text.isdigit():
        return float(text)
    moment = time_in_header(text)
    return max(0.0, (moment - clock.now()).total_seconds()) if moment is not None else None


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
