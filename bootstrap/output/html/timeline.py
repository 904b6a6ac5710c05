"""The time line: for each key its life, when its rotation is due, when it ends, and today.

Drawn as SVG whose lengths are per cent, so that it takes the width that it is given and needs no inline
style, which the page's policy forbids.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootstrap.output.html.markup import Markup, joined, tag
from bootstrap.output.html.rows import Row

_MOST_BACK, _MOST_AHEAD = dt.timedelta(days=400), dt.timedelta(days=800)
_LEAST_AHEAD = dt.timedelta(days=30)
_LABELS = 6
_CLOSE = 9.0  # labels nearer than this would stand on each other
_HEIGHT = 18


@dataclass(frozen=True)
class Span:
    """The time that a time line shows."""

    first: dt.datetime
    last: dt.datetime
    now: dt.datetime

    @classmethod
    def over(cls, rows: Sequence[Row], now: dt.datetime) -> Span:
        """All that the rows tell, within reason, with a little room on both sides."""
        moments = [one for row in rows for one in (row.created, row.due_on, row.expires) if one is not None]
        first = max(min([now - _LEAST_AHEAD, *moments]), now - _MOST_BACK)
        last = min(max([now + _LEAST_AHEAD, *moments]), now + _MOST_AHEAD)
        room = (last - first) / 25
        return cls(first - room, last + room, now)

    def at(self, moment: dt.datetime) -> float:
        """Where a moment is, in per cent; what is outside is at the edge."""
        return min(max((moment - self.first) / (self.last - self.first), 0.0), 1.0) * 100

    def months(self) -> Iterator[dt.datetime]:
        """The beginnings of months to be labelled, evenly, no more than fit."""
        count = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month
        step = max(1, -(-count // _LABELS))
        for number in range(step, count + 1, step):
            year, month = divmod(self.first.month - 1 + number, 12)
            yield dt.datetime(self.first.year + year, month + 1, 1, tzinfo=dt.UTC)


def axis(span: Span) -> Markup:
    """The months along the top."""
    labels = [
        tag("text", f"{month:%Y-%m}", x=_percent(span.at(month)), y=12, text_anchor="middle")
        for month in span.months()
        if 6 < span.at(month) < 94 and abs(span.at(month) - span.at(span.now)) > _CLOSE
    ]
    today = tag("text", "today", x=_percent(min(max(span.at(span.now), 4), 96)), y=12, text_anchor="middle")
    return tag("svg", *labels, today, height=_HEIGHT, width="100%", aria_hidden="true")


def life(row: Row, span: Span) -> Markup:
    """One key: a bar from its making to its end, a mark where its rotation is due, and the key before it
    as a thin bar.
    """
    drawn = []
    begun = row.created or span.first
    if row.replaced is not None:
        old = span.at(row.replaced.created or span.first)
        drawn.append(_bar(old, span.at(row.replaced.expires or span.now), top=13, height=3, kind="before"))
    end = row.expires or span.last
    drawn.append(
        _bar(span.at(begun), span.at(end), top=4, height=8, kind="key" if row.expires else "key endless")
    )
    if row.due_on is not None:
        at = _percent(span.at(row.due_on))
        drawn.append(tag("line", x1=at, x2=at, y1=1, y2=15, class_="due"))
    if row.expires is not None:
        at = _percent(span.at(row.expires))
        drawn.append(tag("line", x1=at, x2=at, y1=1, y2=15, class_="end"))
    return _svg(span, joined(*drawn), label=_in_words(row))


def _svg(span: Span, inner: Markup, *, label: str) -> Markup:
    now = _percent(span.at(span.now))
    today = tag("line", x1=now, x2=now, y1=0, y2=_HEIGHT, class_="now")
    return tag(
        "svg", tag("title", label), inner, today, height=_HEIGHT, width="100%", role="img", aria_label=label
    )


def _bar(begin: float, end: float, *, top: int, height: int, kind: str) -> Markup:
    return tag(
        "rect",
        x=_percent(begin),
        width=_percent(max(end - begin, 0.3)),
        y=top,
        height=height,
        rx=2,
        class_=kind,
    )


def _in_words(row: Row) -> str:
    told = [
        f"created {row.created:%Y-%m-%d}" if row.created else "",
        f"rotation due {row.due_on:%Y-%m-%d}" if row.due_on else "",
        f"expires {row.expires:%Y-%m-%d}" if row.expires else "without expiry",
        "the replaced key still exists" if row.replaced is not None else "",
    ]
    return f"Key {row.key_id}: {', '.join(filter(None, told))}"


def _percent(value: float) -> str:
    return f"{value:.2f}%"
