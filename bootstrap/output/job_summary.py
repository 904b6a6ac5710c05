"""The summary of a job in GitHub Actions: Markdown that is appended to the file of `GITHUB_STEP_SUMMARY`."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.model.errors import first_line
from bootstrap.model.text import sentence
from bootstrap.output.fleet_results import end_total, needs_attention, plan_total

if TYPE_CHECKING:
    from bootstrap.fleet.planner import Planned
    from bootstrap.fleet.target_end import TargetEnd
    from bootstrap.fleet.target_result import TargetResult

MOST_ROWS = 500
_MOST_CHARACTERS = 1000
"""Of one text in a cell."""
_MOST_BYTES = 1_000_000
"""Of a table: GitHub takes 1 MiB of a step, and nothing of what is longer ("Workflow commands for GitHub
Actions", Step isolation and limits)."""


def wanted() -> bool:
    """Whether this is a step of GitHub Actions that takes a summary."""
    return os.environ.get("GITHUB_ACTIONS") == "true" and bool(os.environ.get("GITHUB_STEP_SUMMARY"))


def append(lines: Sequence[str]) -> str:
    """Append to the summary of this step. Return why it could not be written, "" if it was."""
    try:
        with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
            file.write("\n".join([*lines, "", ""]))
    except OSError as error:
        return f"The job summary could not be written: {error.strerror}"
    return ""


def plan_summary(name: str, plan: Sequence[Planned]) -> list[str]:
    """What a plan changes, and which targets need attention; not those that are in place."""
    rows = [
        (str(one.action), one.entry.name, one.entry.place.line, list(_of_plan(one)))
        for one in plan
        if one.action.changes or needs_attention(one)
    ]
    return _page(f"Plan for {name}", plan_total(plan), rows)


def result_summary(command: str, name: str, ended: Sequence[TargetEnd]) -> list[str]:
    """What a command has changed, and which targets failed or need attention."""
    rows = [
        (one.result, one.name, one.line, list(one.details))
        for one in ended
        if one.changed or one.failed or one.left_over or one.result in ("postponed", "drift")
    ]
    return _page(f"pullkey {command} of {name}", end_total(ended), rows)


def _of_plan(one: Planned) -> Iterator[str]:
    yield from (f"{first_line(problem)} {sentence(problem.fix)}".strip() for problem in one.problems)
    shown = {problem.what for problem in one.problems}
    yield from (text for text in dict.fromkeys([*one.reasons, *one.drift]) if text not in shown)
    if one.attention:
        yield one.attention
    yield from one.steps.values()
    yield from one.notices
    yield from map(str, one.left_over)


def details_of(one: TargetResult) -> Iterator[str]:
    """The details of a result, for `result_summary`."""
    if one.error is not None:
        yield f"{first_line(one.error)} {sentence(one.error.fix)}".strip()
    elif one.result == "done":
        yield from filter(None, (one.key_id and f"key {one.key_id}", one.verified))
    elif detail := one.planned.attention or one.detail:
        yield detail
    yield from (f"undone: {text}" for text in one.undone)
    yield from map(str, one.left_over)


def _page(title: str, total: str, rows: Sequence[tuple[str, str, int, list[str]]]) -> list[str]:
    lines = [f"### {_plain(title)}", "", _plain(total)]
    if rows:
        lines += ["", "| | Target | Line | |", "| --- | --- | ---: | --- |"]
    shown = list(_fitting(rows[:MOST_ROWS]))
    lines += shown
    if len(rows) > len(shown):
        lines += ["", f"And {len(rows) - len(shown)} more targets: see the log."]
    return lines


def _fitting(rows: Sequence[tuple[str, str, int, list[str]]]) -> Iterator[str]:
    """The lines of the first rows, as many as GitHub takes."""
    room = _MOST_BYTES
    for what, target, line, details in rows:
        row = f"| {_plain(what)} | {_plain(target)} | {line} | {'<br>'.join(map(_plain, details))} |"
        room -= len(row.encode(errors="replace")) + 1
        if room < 0:
            return
        yield row


def _plain(text: str) -> str:
    """A text with nothing in it that Markdown or HTML would read as markup."""
    one_line = " ".join(text.split())
    short = one_line if len(one_line) <= _MOST_CHARACTERS else f"{one_line[:_MOST_CHARACTERS]}…"
    return re.sub(r"([\\`*_{}\[\]()#+!|~@:])", r"\\\1", html.escape(short, quote=False))
