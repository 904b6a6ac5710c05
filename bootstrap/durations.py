"""Durations as people type them."""

from __future__ import annotations

import datetime as dt
import re

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> dt.timedelta:
    """Read `50ms`, `5s`, `10m`, `24h`, `365d`, `1h30m` or `0`.

    Raises:
        ValueError: it is none of these, or longer than a thousand years; its text is one sentence.
    """
    if text == "0":
        return dt.timedelta()
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is no duration: write it like 50ms, 5s, 10m, 24h, 365d or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > 365_000 * 86400.0:
        raise ValueError(f"{text!r} is too long a duration")
    return dt.timedelta(seconds=seconds)
