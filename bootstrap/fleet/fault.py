"""A mistake in a file of registries, with its line, column and code."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.model.codes import Code

_LONGEST_SHOWN = 60


@dataclass(frozen=True, order=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True)
class Fault:
    """One mistake in a file."""

    place: Place
    what: str
    fix: str = ""
    code: Code = Code.FILE_INVALID

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def quoted(text: str) -> str:
    """A name from the file for a message: shortened, printable, and without a login
    (`https://ops:secret@host`).
    """
    if "@" in text and ":" in text:
        return "(an address with a login)"
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"
