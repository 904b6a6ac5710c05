"""The chain of an audit trail: each line holds the SHA-256 of the line before it, in `prev`.

A line that was changed, removed or added later does not fit. The chain holds no key: it cannot show that
lines are missing at the end, or that all lines from one on were rewritten.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

BEGINNING = b'{"time": "'
"""The first bytes of each line."""
START = "0" * 64
"""The `prev` of a first line."""
LONGEST_LINE = 1 << 20

# `prev` is near the beginning, so that most torn lines still hold it.
_PREV = re.compile(rb'\{"time": "[^"]*", "prev": "([0-9a-f]{64})"')


def line_of(fields: Mapping[str, Any], prev: str, *, ascii_only: bool = False) -> bytes:
    """One line of a trail, without its line break.

    Args:
        fields: its fields, with `time`.
        prev: the hash of the line before it.
        ascii_only: whether other characters are escaped.
    """
    document = {"time": fields["time"], "prev": prev, **fields}
    return json.dumps(document, ensure_ascii=ascii_only).encode(errors="backslashreplace")


def hash_of(line: bytes | None) -> str:
    """The `prev` of the line after this one; of a first line if None. `line` has no line break."""
    return START if line is None else hashlib.sha256(line).hexdigest()


@dataclass(frozen=True)
class Mismatch:
    """The first line that does not fit."""

    line: int
    what: str


@dataclass
class ChainReport:
    """What a verification of one file has found.

    Attributes:
        lines: how many lines fit.
        torn: the numbers of those that a run could not finish, as on a full disk.
        last: the hash of the last line that fits.
        begins: when the first line was written; None if that is not readable.
        mismatch: the line at which the verification ended; None if all lines fit.
    """

    lines: int = 0
    torn: list[int] = field(default_factory=list)
    last: str = START
    begins: dt.datetime | None = None
    mismatch: Mismatch | None = None


def verify(lines: Iterable[bytes], *, not_before: dt.datetime | None = None) -> ChainReport:
    """Verify the chain of one file.

    Args:
        lines: each with its line break, and not longer than `LONGEST_LINE`.
        not_before: when the file before it begins, of several in their order.
    """
    report = ChainReport()
    for number, raw in enumerate(lines, 1):
        line = raw.removesuffix(b"\n")
        prev, when, problem = _parsed(line)
        if not problem and prev is not None and prev != report.last:
            problem = _unlike(number)
        if not problem and number == 1 and when and not_before and when < not_before:
            problem = "it is older than the first line of the file before it; name the files oldest first"
        if problem:
            report.mismatch = Mismatch(number, problem)
            break
        if when is None:
            report.torn.append(number)
        if number == 1:
            report.begins = when
        report.lines, report.last = number, hash_of(line)
    return report


def _unlike(number: int) -> str:
    if number == 1:
        return "its `prev` is not that of a first line, so lines before it were removed"
    return (
        f"its `prev` is not the SHA-256 of line {number - 1}: one of the two was changed, or a line between "
        "them was removed or added"
    )


def _parsed(line: bytes) -> tuple[str | None, dt.datetime | None, str]:
    """The `prev` and time of a line, and why it is not a line of a trail.

    A torn line has no time, and its `prev` only if it is long enough.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        found = _PREV.match(line)
        if not (line.startswith(BEGINNING) or BEGINNING.startswith(line)):
            return None, None, "it is not a line of an audit trail"
        return found[1].decode() if found else None, None, ""
    if not isinstance(document, dict) or not isinstance(document.get("prev"), str):
        return None, None, "it has no `prev`"
    try:
        when = dt.datetime.fromisoformat(document["time"])
    except (KeyError, TypeError, ValueError):
        return None, None, "it has no valid `time`"
    if when.tzinfo is None:
        return None, None, "it has no valid `time`"
    return document["prev"], when, ""
