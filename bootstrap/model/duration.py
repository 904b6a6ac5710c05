"""Durations as users type them, such as `24h`."""

from __future__ import annotations

import datetime as dt
import re

BY_YOU = "due to be replaced by you"
"""How `list` describes an overdue user-supplied password, which no command can renew by itself."""
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> dt.timedelta:
    """Read `50ms`, `5s`, `10m`, `24h`, `365d`, `1h30m` or `0`.

    Raises:
        ValueError: the text is not a duration, or over a thousand years. The message is one sentence.
    """
    if text == "0":
        return dt.timedelta()
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is not a valid duration: write it like 50ms, 5s, 10m, 24h, 365d or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > 365_000 * 86400.0:
        raise ValueError(f"{text!r} is too long a duration")
    return dt.timedelta(seconds=seconds)


def as_typed(span: dt.timedelta) -> str:
    """Format a duration in the form that `parse_duration` reads: `730d`, `1d12h`. Fractions are dropped.

    >>> as_typed(dt.timedelta(days=1, hours=12))
    '1d12h'
    """
    rest, parts = int(span.total_seconds()), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_SECONDS[unit]))
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0"


def in_words(span: dt.timedelta) -> str:
    """Format a duration for a sentence, rounded down to one unit: `90 days`, `8 h`, `80 min`."""
    hours = span / dt.timedelta(hours=1)
    if hours >= 72:
        return f"{int(hours // 24)} days"
    return f"{int(hours)} h" if hours >= 3 else f"{max(int(hours * 60), 1)} min"
