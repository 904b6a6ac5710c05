"""How a run looks: plain lines anywhere, a live list of steps in a terminal. All of it on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from bootstrap.errors import LeftOver, Problem
from bootstrap.reporter import Reporter
from bootstrap.steps import Fate, Removal, Sighting, State
from bootstrap.words import sentence

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

_WORDS = {State.DONE: "is there", State.MISSING: "to do", State.UNSEEN: "cannot be seen"}
_FATES = {Fate.REMOVE: "goes", Fate.KEEP: "stays", Fate.GONE: "is gone", Fate.UNSEEN: "not seen"}


class PlainReporter:
    """One line an event, as logs and people without colour read it."""

    def __init__(self, stream: TextIO, *, verbose: bool) -> None:
        self._stream = stream
        self._verbose = verbose

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def connected(self, label: str, who: str) -> None:
        self._line(f"{label}, as {who}")

    def planned(self, rows: Sequence[tuple[str, str, Sighting]]) -> None:
        for _, title, sighting in rows:
            self._line(f"  [{_WORDS[sighting.state]:8}] {title}{_because(sighting.detail)}")

    def removals(self, removals: Sequence[Removal]) -> None:
        for one in removals:
            self._line(f"  [{_FATES[one.fate]:8}] {one.what}{_because(one.why)}")
            if one.command and one.fate is not Fate.REMOVE:
                self._line(f"             by hand: {one.command}")

    def notice(self, text: str) -> None:
        self._line(f"  note: {text}")

    def problems(self, problems: Sequence[Problem]) -> None:
        self._line("Nothing was changed. To be mended first:")
        for problem in problems:
            self._line(f"  - {sentence(problem.what)}")
            if problem.mend:
                self._line(f"    {sentence(problem.mend)}")

    def begin(self, name: str, title: str) -> None:
        if self._verbose:
            self._line(f"  ... {title}")

    def waiting(self, text: str) -> None:
        self._line(f"  waiting: {text}")

    def finish(self, name: str, detail: str, seconds: float) -> None:
        self._line(f"  done: {name}: {detail} ({seconds:.1f} s)")

    def fail(self, name: str, text: str) -> None:
        self._line(f"  failed: {name}: {text}")

    def undone(self, text: str) -> None:
        self._line(f"  undone: {text}")

    def left_over(self, items: Sequence[LeftOver]) -> None:
        for item in items:
            self._line(f"  left over: {item.what}")
            if item.command:
                self._line(f"    remove it with: {item.command}")

    def trace(self, text: str) -> None:
        if self._verbose:
            self._line(f"    {text}")

    def confirm(self, question: str) -> bool:
        self._stream.write(f"{question} [y/N] ")
        self._stream.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def close(self) -> None:
        return


class LiveReporter(PlainReporter):
    """A list of steps that is filled in as they end, with the time of each."""

    def __init__(self, stream: TextIO, *, verbose: bool) -> None:
        super().__init__(stream, verbose=verbose)
        from rich.console import Console

        self._console: Console = Console(file=stream, highlight=False)
        self._rows: dict[str, tuple[str, Sighting]] = {}
        self._marks: dict[str, tuple[str, str, str]] = {}
        self._began: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._wait = ""
        self._shown = True
        self._live: Live | None = None

    def _line(self, text: str) -> None:
        style = next((style for word, style in _STYLES if text.lstrip().startswith(word)), "")
        self._console.print(text, style=style, markup=False)

    def connected(self, label: str, who: str) -> None:
        self._console.print(f"[bold]{_plain(label)}[/bold]\n[dim]as {_plain(who)}[/dim]")

    def planned(self, rows: Sequence[tuple[str, str, Sighting]]) -> None:
        self._rows = {name: (title, sighting) for name, title, sighting in rows}
        self._shown = False

    def begin(self, name: str, title: str) -> None:
        self._began[name] = time.monotonic()
        self._marks[name] = ("▸", "cyan", "")
        self._refresh()

    def waiting(self, text: str) -> None:
        self._wait = text
        self._refresh()

    def finish(self, name: str, detail: str, seconds: float) -> None:
        self._marks[name] = ("✓", "green", detail)
        self._took[name] = seconds
        if not set(self._began) - set(self._took):
            self._wait = ""
        self._refresh()

    def fail(self, name: str, text: str) -> None:
        self._wait = ""
        self._marks[name] = ("✗", "red", "failed")
        self._took[name] = time.monotonic() - self._began.get(name, time.monotonic())
        self._refresh()

    def undone(self, text: str) -> None:
        self.close()
        super().undone(text)

    def confirm(self, question: str) -> bool:
        self._show()
        return super().confirm(question)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._show()

    def _show(self) -> None:
        """The list as it stands, where no live one has shown it."""
        if not self._shown:
            self._shown = True
            self._console.print(self._render())

    def problems(self, problems: Sequence[Problem]) -> None:
        self.close()
        super().problems(problems)

    def left_over(self, items: Sequence[LeftOver]) -> None:
        self.close()
        super().left_over(items)

    def _refresh(self) -> None:
        if self._live is None:
            from rich.live import Live

            self._shown = True
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=8)
            self._live.start()
        self._live.refresh()

    def _render(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=3, justify="right")
        table.add_column(ratio=1, overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        for name, (title, sighting) in self._rows.items():
            there = sighting.state is State.DONE
            mark, style, detail = self._marks.get(name, ("✓" if there else "·", "dim", sighting.detail))
            text = Text(title, style="dim" if there else "")
            if detail:
                text.append(f"\n{detail}", "dim")
            table.add_row(Text(mark, style), text, Text(self._time_of(name), "dim"))
        waiting = [Text(f"    {self._wait}", "yellow")] if self._wait else []
        return Group(table, *waiting)

    def _time_of(self, name: str) -> str:
        if name in self._took:
            return f"{self._took[name]:.1f} s"
        return f"{time.monotonic() - self._began[name]:.1f} s" if name in self._began else ""


_STYLES = (("note:", "yellow"), ("undone:", "yellow"), ("failed:", "red"), ("left over:", "bold red"), ("google ", "dim"), ("azure ", "dim"))  # fmt: skip


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _because(detail: str) -> str:
    return f" ({detail})" if detail else ""


def wants_colour(stream: TextIO) -> bool:
    """A terminal, and nobody said otherwise (no-color.org; TERM=dumb has no cursor to move)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def make_reporter(stream: TextIO, *, verbose: bool) -> Reporter:
    return (
        LiveReporter(stream, verbose=verbose)
        if wants_colour(stream)
        else PlainReporter(stream, verbose=verbose)
    )
