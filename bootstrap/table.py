"""`pullkey list` as text: a line a credential, what is wrong of it beneath, and a sum."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bootstrap.standing import Standing, due, now

Style = Callable[[str, str], str]
"""Gives a text the style of a state; returns it as it is where there are no colours."""

# How many reasons why something could not be seen are told in a list.
_REASONS = 4


@dataclass(frozen=True)
class _Column:
    head: str
    width: int
    cell: Callable[[Standing], str]
    least: int = 0  # shown from this width of the terminal on


_COLUMNS = (
    _Column("KEY", 9, lambda one: _short(one.behind.held.link.key_id) if one.behind.held.link else "-"),
    _Column("AGE", 4, lambda one: ago(one.key.created) if one.key and one.key.created else "-"),
    _Column("ENDS", 4, lambda one: _span(one.key.ends - now()) if one.key and one.key.ends else "-"),
    _Column("PULLED", 6, lambda one: ago(one.proven) if one.proven else "-", least=90),
    _Column("GRANT", 8, lambda one: one.grant or "-", least=100),
    _Column("STATE", 7, lambda one: one.state),
    _Column("IDENTITY", 40, lambda one: one.identity or "-", least=150),
)


def as_table(standings: Sequence[Standing], *, width: int, style: Style) -> list[str]:
    """The lines of the list, none longer than `width` but for names that are."""
    columns = [column for column in _COLUMNS if width >= column.least]
    longest = max((len(one.behind.held.name) for one in standings), default=0)
    widths = sum(column.width for column in columns)
    gap = "  " if longest + widths + 2 * len(columns) <= width else " "
    taken = widths + len(gap) * len(columns)
    name_width = min(max(longest, len("NAME")), max(width - taken, 16))

    def row(name: str, cells: Sequence[str]) -> str:
        padded = [f"{cell:{column.width}}" for cell, column in zip(cells, columns, strict=True)]
        return gap.join([f"{name:{name_width}}", *padded]).rstrip()

    lines = [style(row("NAME", [column.head for column in columns]), "head")]
    for one in standings:
        name, cells = one.behind.held.name, [column.cell(one) for column in columns]
        if len(name) > name_width:
            lines.append(name)
            name = ""
        lines.append(style(row(name, cells), one.state) if one.state == "wrong" else row(name, cells))
        notes = one.known if one.behind.ours else []
        lines += _folded(
            [*(("wrong: ", text) for text in one.wrong), *(("note: ", text) for text in notes)], width
        )
    return lines + _unseen(standings, width)


def as_page(one: Standing, *, style: Style) -> list[str]:
    """All that is known of one credential."""
    held, key = one.behind.held, one.key
    link = held.link
    rows = [
        (
            "registry",
            f"{one.behind.target.label if one.behind.target else held.server} ({one.behind.provider.name})",
        ),
        ("server", held.server),
        ("user", held.username),
        ("e-mail", held.email),
        ("Akka's status", held.status or "none shown"),
        ("identity", one.identity or "not known"),
        ("grant", one.grant),
        ("key", link.key_id if link else "not known"),
        ("made", f"{key.created:%Y-%m-%d %H:%M} UTC ({ago(key.created)})" if key and key.created else ""),
        (
            "ends",
            (f"{key.ends:%Y-%m-%d} (in {_span(key.ends - now())})" if key.ends else "never") if key else "",
        ),
        ("due", due(key) if key else ""),
        (
            "last pulled",
            f"{one.proven:%Y-%m-%d %H:%M} UTC, seen from this machine"
            if one.proven
            else "not seen from this machine",
        ),
        ("state", style(one.state, one.state)),
        *(("wrong", text) for text in one.wrong),
        *(("not seen", text) for text in one.unseen),
        *(("note", text) for text in one.known),
    ]
    return [held.name, *(f"  {word + ':':14} {text}" for word, text in rows if text)]


def total(standings: Sequence[Standing]) -> str:
    """The sum, in one line."""
    words = {
        "ok": "ok",
        "wrong": "wrong",
        "brought": "brought, with nothing to be seen",
        "unseen": "not wholly seen",
        "not ours": "not made by pullkey",
    }
    counts = [(sum(one.state == state for one in standings), word) for state, word in words.items()]
    plural = "credential" if len(standings) == 1 else "credentials"
    return f"{len(standings)} {plural}: " + ", ".join(f"{count} {word}" for count, word in counts if count)


def ago(moment: dt.datetime) -> str:
    return _span(now() - moment)


def _span(span: dt.timedelta) -> str:
    """`353d`, `5h`, `10m`; `past` for what is over."""
    if span < dt.timedelta():
        return "past"
    if span.days:
        return f"{span.days}d"
    hours, minutes = span.seconds // 3600, span.seconds // 60
    return f"{hours}h" if hours else f"{minutes}m" if minutes else "now"


def _short(key_id: str) -> str:
    """Enough of a key's id to tell it by; of a registry's token, which of its two passwords it is."""
    slot, dash, _ = key_id.partition("-")
    return slot if dash and slot in ("password1", "password2") else key_id[:8]


def _folded(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    return [
        line
        for word, text in rows
        for line in textwrap.wrap(
            f"{word}{text}", width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
        )
    ]


def _unseen(standings: Sequence[Standing], width: int) -> list[str]:
    """What could not be seen, by kind: a login or a right that is missing hides much at a time."""
    whose: dict[str, list[str]] = {}
    for one in standings:
        if one.unseen:
            whose.setdefault(_kind(one, one.unseen[0]), []).append(one.behind.held.name)
    rows = []
    for reason, names in sorted(whose.items(), key=lambda item: -len(item[1]))[:_REASONS]:
        of = names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        rows.append(("not seen: ", f"{reason} ({of})"))
    rest = sum(len(names) for names in whose.values()) - sum(len(names) for names in sorted(whose.values(), key=len, reverse=True)[:_REASONS])  # fmt: skip
    if rest:
        rows.append(("not seen: ", f"{rest} more, for other reasons"))
    if rows:
        rows.append(("", "All that is known of one: pullkey list NAME"))
    return _folded(rows, width)


def _kind(one: Standing, reason: str) -> str:
    """A reason without what is this credential's own, so that the same one is told once."""
    link = one.behind.held.link
    own = [one.behind.held.name, one.behind.held.username, one.identity]
    own += (
        [link.key_id, f"{link.name}@{link.domain}", link.domain, link.domain.partition(".")[0]]
        if link
        else []
    )
    for text in sorted(filter(None, own), key=len, reverse=True):
        reason = reason.replace(text, "…")
    return reason
