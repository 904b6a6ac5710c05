"""The page itself: what is wrong first, then the time line, then all there is."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from bootstrap.model.duration import BY_YOU
from bootstrap.model.text import count_of
from bootstrap.output.html.markup import Markup, joined, tag
from bootstrap.output.html.rows import ORDER, Row, rows_of
from bootstrap.output.html.timeline import Span, axis, life

BEGINNING = "<!doctype html>\n<!-- Written by pullkey report. -->\n"
"""How every page of ours begins, so that no other file is taken for one."""
_WORDS = {
    "wrong": "wrong",
    "unseen": "not seen",
    "due": "due",
    "not-ours": "not ours",
    "brought": "user-supplied",
    "gone": "removed",
    "ok": "ok",
}
_MEANING = {
    "wrong": "it cannot pull, or soon will not be able to",
    "unseen": "a part of it could not be checked",
    "due": "valid, and its key is due for rotation",
    "not-ours": "not created by pullkey, so its cloud resources are not known",
    "brought": "a password that the user supplied: only Akka's record is known",
    "gone": "marked for removal, and removed",
    "ok": "everything that can be checked is in order",
}


def page(document: Mapping[str, Any], *, now: dt.datetime, version: str) -> str:
    """A whole page of what `pullkey list --output json` prints, which is also in it as it stands.

    Args:
        document: of `list` or of `list -f`.
        now: when it was looked.
        version: of pullkey.
    """
    rows = rows_of(document)
    style, script = _own("page.css"), _own("page.js")
    about = _about(document)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'"
    )
    head = joined(
        Markup('<meta charset="utf-8">'),
        # Before anything that it is about.
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        Markup('<meta name="referrer" content="no-referrer">'),
        Markup('<meta name="robots" content="noindex">'),
        tag("title", f"Registry credentials of {about}"),
        tag("style", style),
    )
    body = joined(
        tag(
            "header",
            tag("h1", "Registry credentials of ", tag("span", about)),
            tag(
                "p",
                f"{_total(rows)} Seen on {now:%Y-%m-%d at %H:%M} UTC by pullkey {version}. No "
                "secret is in this page.",
                class_="quiet",
            ),
        ),
        tag("main", _pressing(rows), _time(rows, now), _all(rows)),
        # What is in a script is not parsed as HTML, so nothing in it may look like the end of one.
        tag(
            "script",
            Markup(
                json.dumps(document, indent=1)
                .replace("&", "\\u0026")
                .replace("<", "\\u003c")
                .replace(">", "\\u003e")
            ),
            type="application/json",
            id="listing",
        ),
        tag("script", script),
    )
    return f'{BEGINNING}<html lang="en">\n<head>{head}</head>\n<body>{body}</body>\n</html>\n'


def _own(name: str) -> Markup:
    return Markup(files("bootstrap.output.html").joinpath(name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _about(document: Mapping[str, Any]) -> str:
    if "file" in document:
        return str(document["file"])
    akka = document["akka"]
    region = f" in {akka['region']}" if akka["region"] else ""
    context = f", context {akka['context']}" if akka.get("context") else ""
    return (akka["project"] or "the current Akka project") + region + context


def _total(rows: Sequence[Row]) -> str:
    counts = Counter(row.state for row in rows)
    counted = ", ".join(f"{counts[state]} {_WORDS[state]}" for state in ORDER if counts[state])
    return f"{count_of(len(rows), 'credential')}{': ' if counted else ''}{counted}."


# -- what is wrong first -------------------------------------------------------------------------------------


def _pressing(rows: Sequence[Row]) -> Markup:
    told = [row for row in rows if row.state in ("wrong", "unseen", "due")]
    if not told:
        return _section(
            "pressing",
            "Problems and due rotations",
            tag("p", _nothing(rows) if rows else "Akka has no registry credentials here."),
        )
    return _section(
        "pressing",
        "Problems and due rotations",
        tag("ul", *(_pressing_one(row) for row in told), class_="pressing"),
    )


def _nothing(rows: Sequence[Row]) -> str:
    """Said of what could be seen, and of nothing else."""
    partly = sum(row.state in ("brought", "not-ours") for row in rows)
    if not partly:
        return "No problems, and no key is due."
    seen = (
        "Where everything could be checked, there are no problems and no key is due. "
        if partly < len(rows)
        else ""
    )
    return (
        f"{seen}{count_of(partly, 'credential')} could not be checked beyond Akka's record: "
        "user-supplied, or not created by pullkey."
    )


def _pressing_one(row: Row) -> Markup:
    by_you = row.due.startswith(BY_YOU)
    due = row.due if by_you else f"to be rotated: {row.due}" if row.due else ""
    if by_you and row.due in row.wrong:
        due = ""
    reasons = [
        *(tag("li", one) for one in row.wrong),
        *([tag("li", due)] if due else []),
        *(tag("li", f"not seen: {one}") for one in row.unseen),
    ]
    return tag("li", _state(row), " ", tag("a", row.name, href=f"#{_id(row)}"), tag("ul", *reasons))


# -- the time line -------------------------------------------------------------------------------------------


def _time(rows: Sequence[Row], now: dt.datetime) -> Markup:
    known = sorted(
        (row for row in rows if row.key is not None),
        key=lambda row: (row.next is None, row.next or now, row.name),
    )
    if not known:
        return _section("time", "Expiry and rotation", tag("p", "No key's dates are known."))
    span = Span.over(known, now)
    legend = tag(
        "p",
        tag("span", class_="mark key"),
        "key lifetime  ",
        tag("span", class_="mark due"),
        "rotation due  ",
        tag("span", class_="mark end"),
        "expires  ",
        tag("span", class_="mark now"),
        "day of this page  ",
        tag("span", class_="mark before"),
        "replaced key, not deleted yet",
        class_="legend",
    )
    head = _head(("text", "Credential"), ("", axis(span)), ("text", "Rotation due"), ("text", "Expires"))
    body = [
        _line(
            row,
            tag("td", tag("a", row.name, href=f"#{_id(row)}"), data_label="Credential", role="cell"),
            tag("td", life(row, span), class_="life", role="cell"),
            _date("Rotation due", row.due_on, now),
            _date("Expires", row.expires, now, none=row.expiry),
        )
        for row in known
    ]
    return _section(
        "time",
        "Expiry and rotation",
        legend,
        _table("Expiry and rotation, the next first", head, body, "times"),
    )


# -- all there is --------------------------------------------------------------------------------------------


def _all(rows: Sequence[Row]) -> Markup:
    if not rows:
        return Markup()
    head = _head(
        ("state", "State"),
        ("text", "Credential"),
        ("text", "Registry"),
        ("text", "Identity"),
        ("text", "Grant"),
        ("text", "Key"),
        ("text", "Created"),
        ("text", "Rotation due"),
        ("text", "Expires"),
    )
    return _section(
        "all",
        "All credentials",
        _table("Credentials, problems first", head, [_full(row) for row in rows], "all"),
        _meanings(rows),
    )


def _full(row: Row) -> Markup:
    grant = " ".join(filter(None, (row.right, f"({row.grant})" if row.grant and row.right else row.grant)))
    whose = row.identity or row.username
    cells = [
        _cell("State", _state(row), key=row.urgency, more=row.notes),
        _cell(
            "Credential", tag("b", row.name), key=row.name, more=[f"for {row.server}"] if row.server else []
        ),
        _cell("Registry", row.registry, more=[row.provider]),
        _cell("Identity", whose, more=[f"user {row.username}"] if row.username not in ("", whose) else []),
        _cell("Grant", grant),
        _cell(
            "Key", tag("code", row.key_id) if row.key_id else "", key=row.key_id, more=list(_of_the_key(row))
        ),
        _date("Created", row.created),
        _date("Rotation due", row.due_on),
        _date("Expires", row.expires, none=row.expiry if row.key is not None else ""),
    ]
    return _line(row, *cells, id_=_id(row))


def _of_the_key(row: Row) -> Iterator[str]:
    if row.key is not None and row.key.disabled:
        yield "disabled"
    if row.last_pulled is not None:
        yield f"pulled {row.last_pulled:%Y-%m-%d}"


def _meanings(rows: Sequence[Row]) -> Markup:
    shown = {row.state for row in rows}
    told = [joined(tag("dt", _WORDS[one]), tag("dd", _MEANING[one])) for one in ORDER if one in shown]
    return tag("dl", *told, class_="quiet")


# -- pieces --------------------------------------------------------------------------------------------------


def _section(name: str, title: str, *inner: Markup) -> Markup:
    return tag("section", tag("h2", title, id=f"{name}-title"), *inner, aria_labelledby=f"{name}-title")


def _table(caption: str, head: Markup, body: Sequence[Markup], kind: str) -> Markup:
    # The roles are explicit: on a narrow screen rows are laid out as blocks, and a browser would no longer
    # treat them as rows.
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", head, role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        class_=kind,
        role="table",
    )


def _head(*columns: tuple[str, str | Markup]) -> Markup:
    return tag(
        "tr",
        *(
            tag(
                "th",
                title,
                scope="col",
                role="columnheader",
                data_sort=how or None,
                aria_sort="ascending" if how == "state" else None,
            )
            for how, title in columns
        ),
        role="row",
    )


def _line(row: Row, *cells: Markup, id_: str | None = None) -> Markup:
    return tag("tr", *cells, id=id_, role="row", class_=f"is-{row.state}")


def _cell(label: str, shown: str | Markup, *, key: object = None, more: Sequence[str] = ()) -> Markup:
    """`key` is what it is sorted by, where that is not what is shown."""
    below = [tag("span", one, class_="more") for one in more]
    return tag(
        "td",
        shown or tag("span", "-", class_="none"),
        *below,
        data_label=label,
        data_key=shown if key is None else key,
        role="cell",
    )


def _date(
    label: str, moment: dt.datetime | None, now: dt.datetime | None = None, *, none: str = ""
) -> Markup:
    if moment is None:
        return _cell(label, tag("span", none, class_="none") if none else "", key="")
    left = [] if now is None else [_away(moment - now)]
    return _cell(
        label,
        tag("time", f"{moment:%Y-%m-%d}", datetime=moment.isoformat()),
        key=moment.isoformat(),
        more=left,
    )


def _away(span: dt.timedelta) -> str:
    if span < dt.timedelta():
        return f"{-span.days} days ago" if span.days < -1 else "past"
    return f"in {span.days} days" if span.days > 1 else "in a day" if span.days else "today"


def _state(row: Row) -> Markup:
    return tag("span", _WORDS[row.state], class_=f"state {row.state}")


def _id(row: Row) -> str:
    """Where a row is in the page: of no text of others, so that it is always an id."""
    return f"c-{hashlib.sha256(row.name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
