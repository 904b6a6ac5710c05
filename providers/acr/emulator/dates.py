"""The date formats of Azure's services, all of them recorded."""

from __future__ import annotations

import datetime as dt


def ticks(moment: dt.datetime) -> str:
    """Authorization: always seven decimals, and `Z`."""
    return f"{_with_tenth_of_microsecond(moment)}Z"


def _with_tenth_of_microsecond(moment: dt.datetime) -> str:
    """A date with .NET's tenths of a microsecond, which are derived from the date and never 0."""
    at = moment.astimezone(dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}{at.microsecond % 9 + 1}"


def whole_seconds(moment: dt.datetime) -> str:
    """Graph, in reads: whole seconds."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def with_decimals(moment: dt.datetime) -> str:
    """Graph, in the answer to a creation: up to seven decimals, without trailing zeros."""
    return _without_zeros(ticks(moment))


def as_given(moment: dt.datetime) -> str:
    """Graph, for a date from a client: with the same number of decimals."""
    at = moment.astimezone(dt.UTC)
    return _without_zeros(f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z")


def _without_zeros(text: str) -> str:
    return f"{text[:-1].rstrip('0').rstrip('.')}Z"


def with_offset(moment: dt.datetime, *, exactly: bool = False) -> str:
    """Container Registry: `+00:00`, and up to seven decimals; `exactly` for a date from a client."""
    return f"{(as_given if exactly else with_decimals)(moment)[:-1]}+00:00"
