"""`pullkey list` as text: a line per credential with its problems below, and a total."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bootstrap.engine.due import due
from bootstrap.engine.health import CredentialHealth
from bootstrap.model import clock
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.text import count_of
from bootstrap.output.terminal import fold

Style = Callable[[str, str], str]
"""Returns a text in the style of a state; unchanged if there are no colours."""

# How many reasons why something could not be read are shown in a list.
_REASONS = 4
# The indentation of continuation lines in `as_page`.
HANGING = 15


@dataclass(frozen=True)
class Row:
    """A credential in the list.

    Args:
        name: the Akka secret; with its project, in a list of a file's targets.
        registry: what it pulls from.
        health: its health; None where Akka has no credential of this name.
        state: one word.
        remarks: the lines below it, each with its prefix.
    """

    name: str
    registry: str
    health: CredentialHealth | None
    state: str
    remarks: Sequence[tuple[str, str]] = ()


def row_of(one: CredentialHealth) -> Row:
    notes = one.notes if one.located.ours else []
    remarks = [*(("wrong: ", text) for text in one.problems), *(("note: ", text) for text in notes)]
    return Row(one.located.held.name, registry_of(one), one, one.state, remarks)


def registry_of(one: CredentialHealth) -> str:
    return one.located.target.label if one.located.target else one.located.held.server


@dataclass(frozen=True)
class _Column:
    head: str
    width: int
    cell: Callable[[CredentialHealth], str]
    least: int = 0  # shown from this width of the terminal on


_COLUMNS = (
    _Column("KEY", 9, lambda one: _short(one.located.held.link.key_id) if one.located.held.link else "-"),
    _Column("AGE", 4, lambda one: ago(one.key.created) if one.key and one.key.created else "-"),
    _Column("EXPIRES", 7, lambda one: _expires(one.key)),
    _Column("PULLED", 6, lambda one: ago(one.verified_at) if one.verified_at else "-", least=90),
    _Column("GRANT", 8, lambda one: one.grant or "-", least=100),
)
_STATE = 8
_WITH_REGISTRY = 150


def as_table(rows: Sequence[Row], *, width: int | None, style: Style) -> list[str]:
    """The lines of the table.

    In a terminal (`width`) only names may be wider; columns without room are left out or printed below the
    name. In a pipe each credential is one line.
    """
    room = width or 10_000
    columns = [column for column in _COLUMNS if room >= column.least]
    beside = room >= _WITH_REGISTRY
    longest = max((len(one.name) for one in rows), default=0)
    taken = sum(column.width + 2 for column in columns) + _STATE + 2
    name_width = min(max(longest, len("NAME")), max(room - taken, 16))

    def line(name: str, cells: Sequence[str], state: str, registry: str) -> str:
        padded = [f"{cell:{column.width}}" for cell, column in zip(cells, columns, strict=True)]
        last = [registry] if beside else []
        return "  ".join([f"{name:{name_width}}", *padded, f"{state:{_STATE}}", *last]).rstrip()

    lines = [style(line("NAME", [column.head for column in columns], "STATE", "REGISTRY"), "head")]
    for one in rows:
        name = one.name
        cells = [column.cell(one.health) if one.health is not None else "-" for column in columns]
        if len(name) > name_width:
            lines.append(name)
            name = ""
        lines.append(style(line(name, cells, state_word(one.state), one.registry), one.state))
        if not beside:
            lines += [style(text, "dim") for text in fold(f"  {one.registry}", width)]
        lines += _folded(one.remarks, width)
    return lines


def as_page(one: CredentialHealth, *, style: Style) -> list[str]:
    """The details of one credential."""
    held, key = one.located.held, one.key
    link = held.link
    rows = [
        ("registry", f"{registry_of(one)} ({one.located.provider.name})"),
        ("server", held.server),
        ("user", held.username),
        ("e-mail", held.email),
        ("Akka's status", held.status or "none shown"),
        ("identity", one.identity or "not known"),
        ("grant", one.grant),
        ("key", link.key_id if link else "not known"),
        (
            "registered" if key and key.supplied else "created",
            f"{key.created:%Y-%m-%d %H:%M} UTC ({ago(key.created)})" if key and key.created else "",
        ),
        (
            "expires",
            (f"{key.expires:%Y-%m-%d} (in {_span(key.expires - clock.now())})" if key.expires else key.expiry)
            if key
            else "",
        ),
        ("due", due(key) if key else ""),
        (
            "last pulled",
            f"{one.verified_at:%Y-%m-%d %H:%M} UTC, seen from this machine"
            if one.verified_at
            else "not seen from this machine",
        ),
        ("state", style(state_word(one.state), one.state)),
        *(("wrong", text) for text in one.problems),
        *(("not seen", text) for text in one.unverified),
        *(("note", text) for text in one.notes),
    ]
    return [held.name, *(f"  {word + ':':{HANGING - 1}} {text}" for word, text in rows if text)]


def state_word(state: str) -> str:
    """A state as text shows it; two have a different name in JSON."""
    return {"brought": "external", "gone": "removed"}.get(state, state)


def total(assessed: Sequence[CredentialHealth]) -> str:
    """The total, in one line."""
    words = {
        "ok": "ok",
        "wrong": "wrong",
        "brought": "user-supplied (key not visible)",
        "unseen": "not fully checked",
        "not ours": "not created by pullkey",
    }
    counts = [(sum(one.state == state for one in assessed), word) for state, word in words.items()]
    counted = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{count_of(len(assessed), 'credential')}: {counted}"


def _expires(key: KeyFacts | None) -> str:
    if key is None:
        return "-"
    return _span(key.expires - clock.now()) if key.expires else key.expiry


def ago(moment: dt.datetime) -> str:
    return _span(clock.now() - moment)


def _span(span: dt.timedelta) -> str:
    """A time span such as `353d`, `5h` or `10m`; `past` if it is negative."""
    if span < dt.timedelta():
        return "past"
    if span.days:
        return f"{span.days}d"
    hours, minutes = span.seconds // 3600, span.seconds // 60
    return f"{hours}h" if hours else f"{minutes}m" if minutes else "now"


def _short(key_id: str) -> str:
    """A short form of a key's id: of a registry's token, which of its two passwords it is; of words and a
    number, the number.
    """
    words, _, number = key_id.rpartition("-")
    if number.isdecimal() and words.replace("-", "").isalpha():
        return number
    slot, dash, _ = key_id.partition("-")
    return slot if dash and slot in ("password1", "password2") else key_id[:8]


def _folded(rows: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    return [line for word, text in rows for line in fold(f"    {word}{text}", width)]


def unseen_lines(assessed: Sequence[CredentialHealth], width: int | None) -> list[str]:
    """What could not be read, by reason: one missing login or permission hides many credentials."""
    whose: dict[str, list[str]] = {}
    for one in assessed:
        if one.unverified:
            whose.setdefault(_kind(one, one.unverified[0]), []).append(one.located.held.name)
    rows = []
    for reason, names in sorted(whose.items(), key=lambda item: -len(item[1]))[:_REASONS]:
        of = names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        rows.append(("not seen: ", f"{reason} ({of})"))
    rest = sum(len(names) for names in whose.values()) - sum(
        len(names) for names in sorted(whose.values(), key=len, reverse=True)[:_REASONS]
    )
    if rest:
        rows.append(("not seen: ", f"{rest} more, for other reasons"))
    if rows:
        rows.append(("", "All that is known of one: pullkey list NAME"))
    return _folded(rows, width)


def _kind(one: CredentialHealth, reason: str) -> str:
    """A reason without the credential's own names, so that equal reasons are shown once."""
    link = one.located.held.link
    own = [one.located.held.name, one.located.held.username, one.identity]
    own += (
        [link.key_id, f"{link.name}@{link.domain}", link.domain, link.domain.partition(".")[0]]
        if link
        else []
    )
    for text in sorted(filter(None, own), key=len, reverse=True):
        reason = reason.replace(text, "…")
    return reason
