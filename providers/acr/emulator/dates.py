"""How Azure's services write dates, each in its own way (all of it as recorded)."""

from __future__ import annotations

import datetime as dt


def ticks(moment: dt.datetime) -> str:
    """Authorization: seven decimals, always, and `Z`."""
    return f"{_with_tenth_of_microsecond(moment)}Z"


def _with_tenth_of_microsecond(moment: dt.datetime) -> str:
    """.NET counts in tenths of a microsecond; ours are made of what there is, and are never 0."""
    at = moment.astimezone(dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}{at.microsecond % 9 + 1}"


def whole_seconds(moment: dt.datetime) -> str:
    """Graph, where it is read."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def with_decimals(moment: dt.datetime) -> str:
    """Graph, in the answer to a creation: as many of seven decimals as there are."""
    return _without_zeros(ticks(moment))


def as_given(moment: dt.datetime) -> str:
    """Graph, for a date that a client sent: as many decimals as it had."""
    at = moment.astimezone(dt.UTC)
    return _without_zeros(f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z")


def _without_zeros(text: str) -> str:
    return f"{text[:-1].rstrip('0').rstrip('.')}Z"


def with_offset(moment: dt.datetime, *, exactly: bool = False) -> str:
    """Container Registry: `+00:00`, and as many of seven decimals as there are; `exactly` those that a
    client sent.
    """
    return f"{(as_given if exactly else with_decimals)(moment)[:-1]}+00:00"
