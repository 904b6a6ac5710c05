"""Progress of work on many targets, on stderr: plain lines in logs, a live table in a terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from bootstrap.engine.reporter import harmless
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.progress import FleetReporter
from bootstrap.model.deadline import Tell, silent
from bootstrap.model.errors import LeftOver, Problem, PullkeyError, first_line
from bootstrap.model.tense import doing
from bootstrap.model.text import count_of, one_line, sentence
from bootstrap.output.annotations import annotation as annotation_at
from bootstrap.output.plain_progress import in_words
from bootstrap.output.terminal import (
    fold,
    is_live,
    lines_for,
    marks_of,
    painted,
    wants_colour,
    width_of,
)
from bootstrap.plugin.step import Removal, StepStatus

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from bootstrap.fleet.planner import Planned
    from bootstrap.fleet.target_result import TargetResult

_PULSE_SECONDS = 30.0
_ROWS = 12


def _style_of(text: str) -> str:
    """The style of a line, as rich names it."""
    if " failed" in text[:40] or "left over" in text:
        return "red"
    return "yellow" if text.startswith("note:") else ""


class PlainFleetReporter:
    """Prints one line per finished target, and a progress line if none has finished for a while."""

    def __init__(
        self, stream: TextIO, *, name: str, verbose: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self.only_failed = False
        """Show only targets that failed, or with something undone or left over."""
        self._clock = clock
        self._name = name
        self._verbose = verbose
        self._what, self._count, self._done, self._failed = "", 0, 0, 0
        self._at_work: dict[int, tuple[Entry, str, float]] = {}
        self._said = self._begun = clock()

    def line(self, text: str) -> None:
        self._said = self._clock()
        for line in lines_for(self._stream, text):
            print(painted(line, self._stream, _style_of(text)), file=self._stream, flush=True)

    def begin(self, what: str, count: int) -> None:
        self._what, self._count, self._done = what, count, 0
        self._begun = self._said = self._clock()
        if count:
            self.line(f"{_at(what)} {count_of(count, 'target')} of {self._name}")

    def at_work(self, entry: Entry, doing: str) -> None:
        begun = self._at_work[entry.number][2] if entry.number in self._at_work else time.monotonic()
        self._at_work[entry.number] = entry, doing, begun

    def seen(self, planned: Planned) -> None:
        self._done += 1
        self._at_work.pop(planned.entry.number, None)

    def tick(self) -> None:
        """Print a progress line, if nothing was printed for a while."""
        if not self._count or self._clock() - self._said < _PULSE_SECONDS:
            return
        failed = f", {self._failed} failed" if self._failed else ""
        self.line(
            f"  {in_words(self._clock() - self._begun)} so far: {self._done} of {self._count} done, "
            f"{len(self._at_work)} in progress{failed}"
        )

    def ended(self, result: TargetResult) -> None:
        self._done += 1
        self._failed += result.failed
        self._at_work.pop(result.entry.number, None)
        if self.only_failed and not (result.failed or result.undone or result.left_over):
            return
        width = len(str(self._count))
        for number, line in enumerate(lines_of(result)):
            self.line(
                f"[{self._done:{width}}/{self._count}] {line}"
                if number == 0
                else f"{' ' * (2 * width + 4)}{line}"
            )

    def notice(self, text: str) -> None:
        self.line(f"note: {text}")

    def interrupted(self, text: str) -> None:
        self.line(text)

    @property
    def trace(self) -> Tell:
        return self._show_call if self._verbose else silent

    def _show_call(self, text: str) -> None:
        self.line(f"    {text}")

    def close(self) -> None:
        return


class LiveFleetReporter(PlainFleetReporter):
    """Shows the progress and the targets in progress, with the finished ones above."""

    def __init__(self, stream: TextIO, *, name: str, verbose: bool) -> None:
        super().__init__(stream, name=name, verbose=verbose)
        from rich.console import Console

        self._console: Console = Console(
            file=stream, highlight=False, no_color=not wants_colour(stream), width=width_of(stream)
        )
        self._marks = marks_of(stream)
        self._live: Live | None = None
        self._words: Counter[str] = Counter()

    def line(self, text: str) -> None:
        for line in fold(text, width_of(self._stream)):
            self._console.print(line, style=_style_of(text), markup=False, soft_wrap=True)

    def begin(self, what: str, count: int) -> None:
        self._what, self._count, self._done = what, count, 0
        self._words.clear()
        if self._live is None and count:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._render, console=self._console, refresh_per_second=8, transient=True
            )
            self._live.start()

    def seen(self, planned: Planned) -> None:
        super().seen(planned)
        self._words[str(planned.action)] += 1

    def ended(self, result: TargetResult) -> None:
        super().ended(result)
        self._words["failed" if result.failed else result.result] += 1

    def tick(self) -> None:
        return

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        rows = sorted(self._at_work.values(), key=lambda row: row[2])
        lines = [line for row in rows[:_ROWS] for line in self._lines_of(*row)]
        more = [Text(f"and {len(rows) - _ROWS} more", "dim")] if len(rows) > _ROWS else []
        words = ", ".join(f"{count} {word}" for word, count in sorted(self._words.items()))
        head = [
            Text(line, "bold")
            for line in fold(
                f"{_at(self._what)} {self._done} of {self._count}{f': {words}' if words else ''}",
                self._console.width,
            )
        ]
        bar = (
            [ProgressBar(total=max(self._count, 1), completed=self._done)] if self._marks.done == "✓" else []
        )
        return Group(*head, *bar, *lines, *more)

    def _lines_of(self, entry: Entry, what: str, begun: float) -> list[Text]:
        """A target and, at the right or below it, its activity and for how long."""
        from rich.text import Text

        now = Text.assemble((what, "cyan"), (f"{time.monotonic() - begun:5.0f} s", "dim"))
        name = Text(entry.name)
        room = self._console.width - len(now)
        if len(name) + 2 > room:
            return [name, *(Text(line) for line in fold(f"    {now.plain}", self._console.width))]
        name.pad_right(room - len(name))
        return [name.append_text(now)]


def make_fleet_reporter(
    stream: TextIO, *, name: str, verbose: bool, only_failed: bool = False, live: bool = True
) -> PlainFleetReporter:
    kind = LiveFleetReporter if live and is_live(stream) else PlainFleetReporter
    reporter = kind(stream, name=name, verbose=verbose)
    reporter.only_failed = only_failed
    return harmless(reporter)


def _at(what: str) -> str:
    return {"looking": "Looking at", "changing": "Working on"}[what]


def lines_of(result: TargetResult) -> list[str]:
    """The result of a target: one line, and below it the details."""
    entry, error = result.entry, result.error
    word = {"done": f"{result.planned.action} done", "unchanged": "unchanged"}.get(
        result.result, result.result
    )
    key = f", key {result.key_id}" if result.key_id and result.result == "done" else ""
    lines = [f"{entry.name}: {word}{key} ({result.seconds:.1f} s)"]
    if error is not None:
        lines.append(
            f"{sentence(one_line(error.what, 600))} "
            f"[{error.code}]{f' {sentence(one_line(error.fix, 600))}' if error.fix else ''}"
        )
    return [*lines, *(f"undone: {text}" for text in result.undone)]


def annotation(name: str, result: TargetResult) -> str:
    """A GitHub annotation at the target's line in the file: that it has failed, or what it needs."""
    kind = "error" if result.failed else "warning"
    left = "; ".join(map(str, result.left_over))
    summary = result.planned.attention or left or result.detail or result.result
    what = f"{result.entry.name}: {_with_fix(result.error) if result.error else summary}"
    return annotation_at(kind, name, result.entry.place, what)


def plan_annotation(name: str, planned: Planned) -> str:
    """A GitHub annotation at the line of a target that a plan does not bring into place."""
    kind = "error" if planned.problems else "warning"
    left = "; ".join(map(str, planned.left_over))
    what = " ".join(map(_with_fix, planned.problems)) or planned.attention or left or str(planned.action)
    return annotation_at(kind, name, planned.entry.place, f"{planned.entry.name}: {what}")


def _with_fix(error: PullkeyError | Problem) -> str:
    return f"{first_line(error)} {sentence(one_line(error.fix, 600))}".strip()


class TargetReporter:
    """Passes the events of one target to the reporter of the file; the others are in its result."""

    def __init__(self, reporter: FleetReporter, entry: Entry) -> None:
        self._reporter = reporter
        self._entry = entry

    def connected(self, label: str, who: str) -> None:
        return

    def project(self, described: str) -> None:
        return

    def planned(self, rows: Sequence[tuple[str, str, StepStatus]]) -> None:
        return

    def warning(self, text: str) -> None:
        return

    def removals(self, removals: Sequence[Removal]) -> None:
        return

    def notice(self, text: str) -> None:
        return

    def interrupted(self, text: str) -> None:
        return

    def problems(self, problems: Sequence[Problem]) -> None:
        return

    def begin(self, name: str, title: str) -> None:
        self._reporter.at_work(self._entry, doing(title))

    def waiting(self, text: str) -> None:
        self._reporter.at_work(self._entry, "waiting")

    def finish(self, name: str, text: str, seconds: float) -> None:
        return

    def skip(self, name: str, text: str) -> None:
        return

    def tick(self) -> None:
        return

    def fail(self, name: str, text: str) -> None:
        self._reporter.at_work(self._entry, "undoing")

    def undone(self, text: str) -> None:
        return

    def left_over(self, items: Sequence[LeftOver]) -> None:
        # At once: the only other record of it, the run's journal, is deleted after this.
        for item in items:
            self._reporter.notice(f"{self._entry.name}: left over: {item.what} [{item.code}]")
            if item.command:
                self._reporter.notice(f"{self._entry.name}: remove it with: {item.command}")

    @property
    def trace(self) -> Tell:
        return self._reporter.trace

    def show_plan(self) -> None:
        return  # it is shown for all targets together

    def confirm(self, question: str) -> bool:
        raise AssertionError("a file's work is asked about once, for all its targets")

    def close(self) -> None:
        return
