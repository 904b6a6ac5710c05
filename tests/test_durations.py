"""Durations as people type them."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model.duration import parse_duration

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", dt.timedelta()),
        ("50ms", dt.timedelta(milliseconds=50)),
        ("5s", dt.timedelta(seconds=5)),
        ("10m", dt.timedelta(minutes=10)),
        ("24h", dt.timedelta(hours=24)),
        ("365d", dt.timedelta(days=365)),
        ("1h30m", dt.timedelta(minutes=90)),
        ("1.5s", dt.timedelta(milliseconds=1500)),
    ],
)
def test_documented_forms(text: str, expected: dt.timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "-5s", "5 s", "s", "5x", "1h30", "5s\n", "99999999999999999999d", "1e3s"]
)
def test_anything_else_is_one_sentence(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_duration(text)
    assert repr(text) in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_parts_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == dt.timedelta(milliseconds=sum(n * UNITS[u] for n, u in parts))


@given(st.text())
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= dt.timedelta()
