"""Formats click's help for a terminal: no word is broken, and a wide example continues after a backslash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from bootstrap.output.terminal import fold, fold_command

_AS_TYPED = "\b\n"
"""click's mark before a paragraph whose lines are kept."""


class FoldedHelp(click.HelpFormatter):
    """A formatter that does not break words; click's own does, and does not fold examples."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        begin = f"{'Usage: ' if prefix is None else prefix}{prog}"
        self._write_lines(fold(f"{begin} {args}", self.width, further=len(begin) + 1))

    def write_text(self, text: str) -> None:
        for number, paragraph in enumerate(text.split("\n\n")):
            if number:
                self.write("\n")
            if paragraph.startswith(_AS_TYPED):
                for line in paragraph.removeprefix(_AS_TYPED).splitlines():
                    self._write_lines(self._example(line))
            else:
                self._write_lines(fold(self._indent + " ".join(paragraph.split()), self.width, further=0))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        column = min(max(len(name) for name, _ in rows), col_max) + col_spacing
        for name, text in rows:
            beside = len(name) + col_spacing <= column
            begin = f"{name:{column}}" if beside else " " * column
            if not beside:
                self._write_lines([f"{self._indent}{name}"])
            self._write_lines(
                fold(f"{self._indent}{begin}{text}".rstrip(), self.width, further=column if beside else 0)
            )

    @property
    def _indent(self) -> str:
        return " " * self.current_indent

    def _example(self, line: str) -> list[str]:
        """The lines of an example; a remark without room beside its command is below it."""
        command, remark_begins, remark = line.strip().partition("  (")
        command = command.strip()
        indent = self._indent + line[: len(line) - len(line.lstrip())]
        if len(self._indent + line) <= self.width + 2 or not command.startswith("pullkey "):
            return fold(self._indent + line, self.width + 2)
        below = fold(f"{indent}    ({remark}", self.width + 2) if remark_begins else []
        return [*fold_command(command, self.width + 2, indent=indent), *below]

    def _write_lines(self, lines: Sequence[str]) -> None:
        self.write("".join(f"{line}\n" for line in lines))
