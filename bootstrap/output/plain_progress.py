"""Progress of a run as text: one line per event."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from bootstrap.model.deadline import Tell, silent
from bootstrap.model.errors import LeftOver, Problem, first_line
from bootstrap.model.tense import doing, takes_away, thing
from bootstrap.model.text import capitalised, sentence
from bootstrap.output import prompt
from bootstrap.output.terminal import (
    Marks,
    fold_command,
    lines_for,
    marks_of,
    painted,
    width_of,
)
from bootstrap.plugin.step import Disposition, Removal, State, StepStatus

PULSE_SECONDS = 30.0
"""The longest time without output while something is in progress."""

MARGIN = " " * 5

Clock = Callable[[], float]


@dataclass
class PlanRow:
    """A row of the plan: a mark, what is to be done, and why."""

    mark: str
    text: str
    because: str = ""
    style: str = ""
    command: str = ""

    @property
    def line(self) -> str:
        return f"{self.text}{f' ({self.because})' if self.because else ''}"


def row_of_step(title: str, status: StepStatus, *, checks: bool, marks: Marks) -> PlanRow:
    match status.state:
        case State.DONE:
            return PlanRow(
                marks.done if checks else "=", thing(title), status.detail, "" if checks else "dim"
            )
        case State.UNSEEN:
            return PlanRow(
                "?", thing(title) if checks else title, f"cannot be checked: {status.detail}", "yellow"
            )
        case _ if checks:
            return PlanRow(marks.failed, thing(title), status.detail or "missing", "red")
        case _:
            return (
                PlanRow("-", title, status.detail, "red")
                if takes_away(title)
                else PlanRow("+", title, status.detail, "green")
            )


def row_of_removal(one: Removal) -> PlanRow:
    match one.disposition:
        case Disposition.REMOVE:
            return PlanRow("-", f"Remove {one.what}", one.why, "red")
        case Disposition.KEEP:
            return PlanRow("=", f"Keep {one.what}", one.why, "dim", one.command)
        case Disposition.GONE:
            return PlanRow("=", capitalised(f"{one.what} was already deleted"), one.why, "dim")
        case Disposition.UNSEEN:
            return PlanRow("?", f"Keep {one.what}", f"cannot be checked: {one.why}", "yellow", one.command)


class PlainReporter:
    """Prints one line per event, for logs and pipes.

    Args:
        plan: show the plan before it is applied; otherwise only what was done.
        checks: the rows are results of checks; nothing is to be done.
        brief: show nothing of a target with nothing to do.
        clock: returns seconds since an arbitrary start.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbose: bool,
        plan: bool = True,
        checks: bool = False,
        brief: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self._stream = stream
        self._verbose = verbose
        self._plan, self._checks, self._brief = plan, checks, brief
        self._clock = clock
        self._marks_of_stream = marks_of(stream)
        self._head: list[tuple[str, str]] = []
        self._titles: dict[str, str] = {}
        self._began: dict[str, float] = {}
        self._wait = ""
        self._said = clock()

    def _line(self, text: str, style: str = "") -> None:
        """Print a line, after the heading if that is not printed yet."""
        self._print_head()
        self._print(text, style)

    def _print_head(self) -> None:
        head, self._head = self._head, []
        for text, style in head:
            self._print(text, style)

    def _print(self, text: str, style: str) -> None:
        self._said = self._clock()
        for line in lines_for(self._stream, text):
            print(painted(line, self._stream, style), file=self._stream, flush=True)

    def connected(self, label: str, who: str) -> None:
        self._head = [(f"{label}, as {who}", "bold")]

    def project(self, described: str) -> None:
        self._head.append((described, "dim"))

    def planned(self, rows: Sequence[tuple[str, str, StepStatus]]) -> None:
        if self._brief and all(status.state is State.DONE for _, _, status in rows):
            self._head = []
        elif self._plan:
            for _, title, status in rows:
                self._show_row(row_of_step(title, status, checks=self._checks, marks=self._marks_of_stream))

    def removals(self, removals: Sequence[Removal]) -> None:
        for one in removals:
            if self._plan or one.disposition is not Disposition.REMOVE:
                self._show_row(row_of_removal(one))

    def _show_row(self, row: PlanRow) -> None:
        width = max(len(mark) for mark in (self._marks_of_stream.done, row.mark)) if self._checks else 1
        self._line(f"  {row.mark:{width}} {row.line}", row.style)
        if row.command:
            self._command("to remove it", row.command)

    def _command(self, what: str, command: str) -> None:
        self._line(f"    {what}:")
        for line in fold_command(command, width_of(self._stream), indent="      "):
            self._print_whole(line)

    def _print_whole(self, line: str) -> None:
        """Print a line without folding it."""
        self._said = self._clock()
        print(line, file=self._stream, flush=True)

    def notice(self, text: str) -> None:
        self._line(f"  note: {text}", "yellow")

    def warning(self, text: str) -> None:
        self._line(f"  warning: {text}", "bold yellow")

    def problems(self, problems: Sequence[Problem]) -> None:
        failed = "" if self._checks else "Preflight failed; no changes were made. "
        self._line(f"{failed}Fix the following:", "bold red")
        for problem in problems:
            self._line(f"  - {first_line(problem)}")
            if problem.fix:
                self._line(f"    {sentence(problem.fix)}")
        codes = {problem.code for problem in problems}
        self._line(f"  See: pullkey explain {codes.pop() if len(codes) == 1 else 'CODE'}")

    def begin(self, name: str, title: str) -> None:
        self._titles[name] = title
        self._began[name] = self._clock()
        if self._verbose:
            self._line(f"  {doing(title)} ...")

    def waiting(self, text: str) -> None:
        self._wait = text
        self._line(f"  waiting: {text}", "dim")

    def tick(self) -> None:
        """Print a progress line, if nothing was printed for a while."""
        if not self._began or self._clock() - self._said < PULSE_SECONDS:
            return
        name, began = next(iter(self._began.items()))
        why = f": {self._wait}" if self._wait else ""
        self._line(f"  {doing(self._titles[name])}, for {in_words(self._clock() - began)} so far{why}")

    def _over(self, name: str) -> None:
        self._began.pop(name, None)
        if not self._began:
            self._wait = ""

    def finish(self, name: str, text: str, seconds: float) -> None:
        self._over(name)
        self._line(f"  {text}{f' ({in_words(seconds)})' if seconds >= 1 else ''}", "green")

    def skip(self, name: str, text: str) -> None:
        self._over(name)
        self._line(f"  {text}", "yellow")

    def fail(self, name: str, text: str) -> None:
        self._over(name)
        self._line(f"  failed: {self._titles.get(name, name)}", "red")

    def undone(self, text: str) -> None:
        self._line(f"  undone: {text}", "yellow")

    def left_over(self, items: Sequence[LeftOver]) -> None:
        for item in items:
            self._line(f"  left over: {item.what} [{item.code}]", "bold red")
            if item.command:
                self._command("to remove it", item.command)

    @property
    def trace(self) -> Tell:
        return self._show_call if self._verbose else silent

    def _show_call(self, text: str) -> None:
        self._line(f"    {text}", "dim")

    def interrupted(self, text: str) -> None:
        self._line(text, "bold yellow")

    def show_plan(self) -> None:
        self._print_head()

    def confirm(self, question: str) -> bool:
        self._print_head()
        return prompt.confirm(question, self._stream)

    def close(self) -> None:
        return


def in_words(seconds: float) -> str:
    """`2.3 s`, `45 s`, `3 min 20 s`.

    >>> in_words(200)
    '3 min 20 s'
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
