"""Progress of a run, on stderr: one line per event, or in a terminal a list that updates in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from bootstrap.engine.reporter import Reporter, harmless
from bootstrap.model.errors import LeftOver, Problem
from bootstrap.model.tense import doing
from bootstrap.output.plain_progress import MARGIN, PlainReporter, PlanRow, row_of_removal, row_of_step
from bootstrap.output.terminal import (
    fold,
    fold_command,
    is_live,
    wants_colour,
    width_of,
)
from bootstrap.plugin.step import Removal, State, StepStatus

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

_TIME = 8


class LiveReporter(PlainReporter):
    """Shows a list of steps in a terminal; each row updates from planned to done, with its duration."""

    def __init__(
        self, stream: TextIO, *, verbose: bool, plan: bool = True, checks: bool = False, brief: bool = False
    ) -> None:
        super().__init__(stream, verbose=verbose, plan=plan, checks=checks, brief=brief)
        from rich.console import Console

        self._console: Console = Console(
            file=stream, highlight=False, no_color=not wants_colour(stream), width=width_of(stream)
        )
        self._rows: dict[str, PlanRow] = {}
        self._took: dict[str, float] = {}
        self._shown = True
        self._live: Live | None = None

    def _print(self, text: str, style: str) -> None:
        for line in fold(text, width_of(self._stream)):
            self._console.print(line, style=style, markup=False, soft_wrap=True)

    def _print_whole(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def connected(self, label: str, who: str) -> None:
        self._head = [(label, "bold"), (f"as {who}", "dim")]

    def planned(self, rows: Sequence[tuple[str, str, StepStatus]]) -> None:
        if self._brief and all(status.state is State.DONE for _, _, status in rows):
            self._head = []
            return
        self._rows = {
            name: row_of_step(title, status, checks=self._checks, marks=self._marks_of_stream)
            for name, title, status in rows
        }
        self._shown = False

    def removals(self, removals: Sequence[Removal]) -> None:
        self._rows = {one.what: row_of_removal(one) for one in removals}
        self._shown = False

    def begin(self, name: str, title: str) -> None:
        self._titles[name] = title
        self._began[name] = self._clock()
        self._turn(name, self._marks_of_stream.running, "cyan", doing(title))

    def waiting(self, text: str) -> None:
        self._wait = text
        self._refresh()

    def tick(self) -> None:
        return

    def finish(self, name: str, text: str, seconds: float) -> None:
        self._over(name)
        self._took[name] = seconds
        self._turn(name, self._marks_of_stream.done, "green", text)

    def skip(self, name: str, text: str) -> None:
        self._over(name)
        self._turn(name, self._marks_of_stream.waits, "yellow", text)

    def fail(self, name: str, text: str) -> None:
        self._took[name] = self._clock() - self._began.get(name, self._clock())
        self._over(name)
        self._turn(name, self._marks_of_stream.failed, "red", f"Failed: {self._titles.get(name, name)}")

    def _turn(self, name: str, mark: str, style: str, text: str) -> None:
        self._rows[name] = PlanRow(mark, text, style=style)
        self._refresh()

    def undone(self, text: str) -> None:
        self.close()
        super().undone(text)

    def show_plan(self) -> None:
        self._show()

    def confirm(self, question: str) -> bool:
        self._show()
        return super().confirm(question)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._show()

    def _show(self) -> None:
        """Print the list in its current state, if it was not shown live."""
        if not self._shown:
            self._shown = True
            self._print_head()
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

            self._print_head()
            self._shown = True
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=8)
            self._live.start()
        self._live.refresh()

    def _render(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        lines = [
            line for name, row in self._rows.items() for line in self._lines_of(row, self._time_of(name))
        ]
        waiting = [
            Text(line, "yellow") for line in fold(f"{MARGIN}{self._wait}", self._console.width) if self._wait
        ]
        return Group(*lines, *waiting)

    def _lines_of(self, row: PlanRow, time_taken: str) -> list[Text]:
        """A row with its mark and its duration at the right; below it the reason and the command."""
        from rich.text import Text

        # Room for a duration is reserved from the first step on, so that lines do not wrap differently later.
        width = self._console.width - (_TIME if self._began or self._took else 0)
        mark = f"{row.mark:>{len(MARGIN) - 1}} "
        faint = "dim" if row.style == "dim" else ""
        found = []
        for number, line in enumerate(fold(f"{MARGIN}{row.text}", width, further=0)):
            text = Text(line, faint)
            if number == 0 and line.startswith(MARGIN):
                text = Text.assemble((mark, row.style), (line.removeprefix(MARGIN), faint))
            elif number == 0:
                found.append(Text(mark, row.style))
            if number == 0 and time_taken:
                text.pad_right(max(self._console.width - len(text) - len(time_taken), 1))
                text.append(time_taken, "dim")
            found.append(text)
        below = fold(f"{MARGIN}{row.because}", width, further=0) if row.because else []
        if row.command:
            below += [
                f"{MARGIN}to remove it:",
                *fold_command(row.command, self._console.width, indent=f"{MARGIN}  "),
            ]
        return [*found, *(Text(line, "dim") for line in below)]

    def _time_of(self, name: str) -> str:
        if name in self._took:
            return f"{self._took[name]:.1f} s" if self._took[name] >= 0.05 else ""
        return f"{self._clock() - self._began[name]:.1f} s" if name in self._began else ""


def make_reporter(
    stream: TextIO, *, verbose: bool, plan: bool = True, checks: bool = False, brief: bool = False
) -> Reporter:
    kind = LiveReporter if is_live(stream) else PlainReporter
    return harmless(kind(stream, verbose=verbose, plan=plan, checks=checks, brief=brief))
