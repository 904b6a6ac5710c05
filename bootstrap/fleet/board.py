"""How work on many targets looks, on stderr: plain lines in logs, a live table in a terminal."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from bootstrap.errors import LeftOver, Problem
from bootstrap.fleet.registries import Entry
from bootstrap.steps import Removal, Sighting
from bootstrap.words import one_line, sentence

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

    from bootstrap.fleet.look import Planned
    from bootstrap.fleet.work import Ended

_PULSE_SECONDS = 15.0
_ROWS = 12


class Board(Protocol):
    """Takes the events of a whole file's work."""

    def begin(self, what: str, count: int) -> None:
        """`count` targets are looked at or changed now."""

    def at_work(self, entry: Entry, doing: str) -> None:
        """A target's turn has begun, or it does something else now."""

    def seen(self, planned: Planned) -> None:
        """It is known what is to be done for a target."""

    def ended(self, result: Ended) -> None:
        """A target's work has ended."""

    def notice(self, text: str) -> None:
        """Something to know."""

    def trace(self, text: str) -> None:
        """One call of an API, for `--verbose`."""

    def close(self) -> None:
        """Nothing more comes."""


class PlainBoard:
    """One line a target as it ends, and a sign of life while none does."""

    def __init__(self, stream: TextIO, *, name: str, verbose: bool) -> None:
        self._stream = stream
        self._name = name
        self._verbose = verbose
        self._of_github = os.environ.get("GITHUB_ACTIONS") == "true"
        self._what, self._count, self._done, self._failed = "", 0, 0, 0
        self._at_work: dict[int, tuple[Entry, str, float]] = {}
        self._said = time.monotonic()

    def line(self, text: str) -> None:
        self._said = time.monotonic()
        print(text, file=self._stream, flush=True)

    def begin(self, what: str, count: int) -> None:
        self._what, self._count, self._done = what, count, 0
        if count:
            self.line(f"{_at(what)} {count} target{'s' * (count != 1)} of {self._name}")

    def at_work(self, entry: Entry, doing: str) -> None:
        begun = self._at_work[entry.number][2] if entry.number in self._at_work else time.monotonic()
        self._at_work[entry.number] = entry, doing, begun
        self._pulse()

    def seen(self, planned: Planned) -> None:
        self._done += 1
        self._at_work.pop(planned.entry.number, None)
        self._pulse()

    def _pulse(self) -> None:
        if time.monotonic() - self._said >= _PULSE_SECONDS:
            self.line(f"  ... {self._done} of {self._count} done, {len(self._at_work)} at work{f', {self._failed} failed' if self._failed else ''}")  # fmt: skip

    def ended(self, result: Ended) -> None:
        self._done += 1
        self._failed += result.failed
        self._at_work.pop(result.entry.number, None)
        width = len(str(self._count))
        for number, line in enumerate(lines_of(result)):
            self.line(f"[{self._done:{width}}/{self._count}] {line}" if number == 0 else f"{' ' * (2 * width + 4)}{line}")  # fmt: skip
        if result.failed and self._of_github:
            self.line(annotation(self._name, result))

    def notice(self, text: str) -> None:
        self.line(f"note: {text}")

    def trace(self, text: str) -> None:
        if self._verbose:
            self.line(f"    {text}")

    def close(self) -> None:
        return


class LiveBoard(PlainBoard):
    """How far it is, who is at work, and what has ended above it."""

    def __init__(self, stream: TextIO, *, name: str, verbose: bool) -> None:
        super().__init__(stream, name=name, verbose=verbose)
        from rich.console import Console

        self._console: Console = Console(file=stream, highlight=False)
        self._live: Live | None = None
        self._words: Counter[str] = Counter()

    def line(self, text: str) -> None:
        self._said = time.monotonic()
        style = "red" if " failed" in text[:40] or "left over" in text else "yellow" if text.startswith("note:") else ""  # fmt: skip
        self._console.print(text, style=style, markup=False)

    def begin(self, what: str, count: int) -> None:
        self._what, self._count, self._done = what, count, 0
        self._words.clear()
        if self._live is None and count:
            from rich.live import Live

            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=8, transient=True)  # fmt: skip
            self._live.start()

    def seen(self, planned: Planned) -> None:
        super().seen(planned)
        self._words[str(planned.action)] += 1

    def ended(self, result: Ended) -> None:
        super().ended(result)
        self._words["failed" if result.failed else result.result] += 1

    def _pulse(self) -> None:
        return

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        rows = sorted(self._at_work.values(), key=lambda row: row[2])
        for entry, doing, begun in rows[:_ROWS]:
            table.add_row(entry.name, Text(doing, "cyan"), Text(f"{time.monotonic() - begun:.0f} s", "dim"))
        more = [Text(f"and {len(rows) - _ROWS} more", "dim")] if len(rows) > _ROWS else []
        words = ", ".join(f"{count} {word}" for word, count in sorted(self._words.items()))
        head = Text(f"{_at(self._what)} {self._done} of {self._count}{f': {words}' if words else ''}", "bold")
        return Group(head, ProgressBar(total=max(self._count, 1), completed=self._done), table, *more)


def make_board(stream: TextIO, *, name: str, verbose: bool) -> PlainBoard:
    from bootstrap.display import wants_colour

    kind = LiveBoard if wants_colour(stream) else PlainBoard
    return kind(stream, name=name, verbose=verbose)


def _at(what: str) -> str:
    return {"looking": "Looking at", "changing": "Working on"}[what]


def lines_of(result: Ended) -> list[str]:
    """What became of a target: one line, and below it what somebody must know."""
    entry, error = result.entry, result.error
    word = {"done": f"{result.planned.action} done", "unchanged": "unchanged"}.get(result.result, result.result)  # fmt: skip
    key = f", key {result.key_id}" if result.key_id and result.result == "done" else ""
    lines = [f"{entry.name}: {word}{key} ({result.seconds:.1f} s)"]
    if error is not None:
        lines.append(f"{sentence(one_line(error.what, 600))}{f' {sentence(one_line(error.mend, 600))}' if error.mend else ''}")  # fmt: skip
    return [*lines, *(f"undone: {text}" for text in result.undone)]


def annotation(name: str, result: Ended) -> str:
    """A line by which GitHub shows a failure beside the target in the file."""
    what = f"{result.entry.name}: {result.error.what if result.error else result.result}"
    escaped = what.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = result.entry.place
    file = name.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
    return f"::error file={file},line={place.line},col={place.column}::{escaped}"


class TargetReporter:
    """What one target's run tells, as far as the board has room for it; the rest stands in its outcome."""

    def __init__(self, board: Board, entry: Entry) -> None:
        self._board = board
        self._entry = entry

    def connected(self, label: str, who: str) -> None:
        return

    def planned(self, rows: Sequence[tuple[str, str, Sighting]]) -> None:
        return

    def removals(self, removals: Sequence[Removal]) -> None:
        return

    def notice(self, text: str) -> None:
        return

    def problems(self, problems: Sequence[Problem]) -> None:
        return

    def begin(self, name: str, title: str) -> None:
        self._board.at_work(self._entry, name)

    def waiting(self, text: str) -> None:
        self._board.at_work(self._entry, "waiting")

    def finish(self, name: str, detail: str, seconds: float) -> None:
        return

    def fail(self, name: str, text: str) -> None:
        self._board.at_work(self._entry, "undoing")

    def undone(self, text: str) -> None:
        return

    def left_over(self, items: Sequence[LeftOver]) -> None:
        # At once: the run's journal, which is the only other place that knows of it, ends after this.
        for item in items:
            self._board.notice(f"{self._entry.name}: left over: {item.what}")
            if item.command:
                self._board.notice(f"{self._entry.name}: remove it with: {item.command}")

    def trace(self, text: str) -> None:
        self._board.trace(text)

    def confirm(self, question: str) -> bool:
        raise AssertionError("a file's work is asked about once, for all its targets")

    def close(self) -> None:
        return
