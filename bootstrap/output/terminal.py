"""Prints text to a stream as it supports it: colours, updates in place, width and characters.

Text for a terminal is folded at spaces; text for a pipe is not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO

NARROWEST, _DEFAULT = 40, 80
_SPACED = re.compile("( *)([^ ]+)")
_WORKFLOW_COMMAND = re.compile(r"^\s*:(?=:)|##(?=(?:vso)?\[)", re.IGNORECASE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Marks:
    """The marks before a line; the words beside them say the same."""

    done: str = "✓"
    failed: str = "✗"
    running: str = "▸"
    waits: str = "·"
    more: str = "…"


_ASCII = Marks(done="ok", failed="x", running=">", waits=".", more="...")


def is_live(stream: TextIO) -> bool:
    """Whether lines can be overwritten: a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour(stream: TextIO) -> bool:
    """Whether to print colours.

    `NO_COLOR` (no-color.org) and `FORCE_COLOR` (force-color.org) count where they are set and not empty,
    whatever they are set to; of both, the former. Without them a terminal has colours, unless it is
    TERM=dumb.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_live(stream)


def width_of(stream: TextIO) -> int | None:
    """The columns of a terminal; None for anything else, where lines are not folded."""
    if not stream.isatty():
        return None
    if os.environ.get("COLUMNS", "").isdecimal():
        return max(int(os.environ["COLUMNS"]), NARROWEST)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return max(columns or _DEFAULT, NARROWEST)


def marks_of(stream: TextIO) -> Marks:
    return Marks() if takes_unicode(stream) else _ASCII


def takes_unicode(stream: TextIO) -> bool:
    """Whether `✓` can be shown: the stream can encode it, and the locale is not plain C.

    In the C locale Python writes UTF-8 anyway, and sets LC_CTYPE=C.UTF-8 in its own environment
    (PEP 538, 540), whatever the terminal shows.
    """
    try:
        "✓▸…".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    of_all, of_characters, of_language = (os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    plain = ("", "C", "POSIX")
    if not of_all and of_characters == "C.UTF-8" and of_language in plain:
        return False
    return (of_all or of_characters or of_language) not in plain


def fold(text: str, width: int | None, *, further: int = 2) -> list[str]:
    """The lines of a text, none longer than `width` except for a long word; continuation lines are indented
    by `further`.

    A word is never broken: one that is too long for its indentation is indented less. Colours take no room.

    >>> fold("  a key that is due", 14)
    ['  a key that', '    is due']
    """
    lines = text.splitlines() or [""]
    if width is None:
        return lines
    return [part for line in lines for part in _fold_line(line, width, further)]


def _fold_line(line: str, width: int, further: int) -> list[str]:
    if _columns(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip(" "))]
    found, current = [], ""
    for space, word in _SPACED.findall(line.strip(" ")):
        longer = f"{current}{space}{word}" if current else _indented(word, indent, width)
        if current and _columns(longer) > width:
            found.append(current)
            longer = _indented(word, indent + " " * further, width)
        current = longer
    return [*found, current]


def _indented(word: str, indent: str, width: int) -> str:
    """A word at the start of a line, with as much of its indentation as fits."""
    return f"{indent[: max(width - _columns(word), 0)]}{word}"


def _columns(text: str) -> int:
    """The number of columns of a text, without colour codes."""
    return len(_COLOUR.sub("", text)) if "\x1b" in text else len(text)


def fold_command(command: str, width: int | None, *, indent: str = "") -> list[str]:
    """The lines of a command; one that is too long for a terminal continues after a backslash, so that it
    can be copied.

    >>> fold_command("az ad app create --display-name 'akka reader'", 34)
    ['az ad app create \\\\', "    --display-name 'akka reader'"]
    """
    found = []
    # A quoted text or a here-document of several lines is kept as it is.
    fixed = "<<" in command or any(
        line.count("'") % 2 or line.count('"') % 2 for line in command.splitlines()
    )
    for line in command.splitlines():
        if width is None or fixed or len(indent) + len(line) <= width:
            found.append(f"{indent}{line}")
        else:
            found += _fold_command_line(line, width, indent)
    return found


def say(text: str, stream: TextIO, *, further: int = 2) -> None:
    """Print text for the user, folded if the stream is a terminal. All text is printed here."""
    for line in lines_for(stream, text, further=further):
        print(line, file=stream)


def lines_for(stream: TextIO, text: str, *, further: int = 2) -> list[str]:
    """The lines of a text for the user: folded for a terminal.

    In GitHub Actions and Azure Pipelines, a text from Akka, a cloud or a registry must not be read as a
    command of the job, such as `::stop-commands::`: GitHub finds `::` at the start of a line and `##[`
    anywhere in it (src/Runner.Common/ActionCommand.cs of actions/runner), Azure `##vso[` anywhere.
    """
    lines = fold(text, width_of(stream), further=further)
    if os.environ.get("GITHUB_ACTIONS") != "true" and not os.environ.get("TF_BUILD"):
        return lines
    return [_WORKFLOW_COMMAND.sub(lambda found: f"{found[0]} ", line) for line in lines]


def say_command(command: str, stream: TextIO, *, indent: str = "  ") -> None:
    """Print a command to copy: whole in a pipe, continued by backslashes in a terminal."""
    for line in fold_command(command, width_of(stream), indent=indent):
        print(line, file=stream)


def put(document: str, stream: TextIO) -> None:
    """Print machine-readable text (JSON, YAML, a script) unchanged."""
    print(document, file=stream)


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """The text in a style of `click.style`, if the stream shows colours. It must not depend on the style."""
    import click

    return click.style(text, **style) if wants_colour(stream) else text


def painted(text: str, stream: TextIO, style: str) -> str:
    """As `styled`, with a style of rich's: a colour, `bold` and `dim`.

    >>> import io
    >>> painted("failed", io.StringIO(), "bold red")
    'failed'
    """
    words = style.split()
    colours = [word for word in words if word not in ("bold", "dim")]
    found: dict[str, Any] = {word: True for word in words if word in ("bold", "dim")}
    return styled(text, stream, fg=colours[0] if colours else None, **found) if style else text


def _fold_command_line(line: str, width: int, indent: str) -> list[str]:
    begin = indent + line[: len(line) - len(line.lstrip())]
    found, current = [], ""
    continued = " \\" if line.endswith(" \\") else ""
    for word in _options(_words(line.removesuffix(" \\").strip()), width - 2):
        longer = f"{current} {word}" if current else _indented(word, begin, width - 2)
        # A first word is never left alone.
        if current and len(longer) + 2 > width:
            found.append(f"{current} \\")
            longer = _indented(word, f"{begin}    ", width - 2)
        current = longer
    return [*found, f"{current}{continued}"]


def _options(words: Iterator[str], width: int) -> Iterator[str]:
    """The words with each option's value beside it; too wide ones are split where that does not change the
    command.
    """
    parts = list(words)
    while parts:
        word = parts.pop(0)
        if word.startswith("--") and "=" not in word and parts and not parts[0].startswith("-"):
            if len(word) + 1 + len(parts[0]) <= width:
                word += f" {parts.pop(0)}"
        elif len(word) > width and len(within := list(_words(word, within=True))) > 1:
            parts[:0] = within
            continue
        yield word


def _words(line: str, *, within: bool = False) -> Iterator[str]:
    """The words of a command as the shell splits them, with their quotes; `within` also splits `$(...)`."""
    current, opened = "", [""]
    for place, character in enumerate(line):
        before = line[place - 1 : place]
        if opened[-1] == "'":
            if character == "'":
                opened.pop()
        elif before == "\\":
            pass
        elif character == '"' == opened[-1] or (character == ")" and opened[-1] == "("):
            opened.pop()
        elif (
            character in "'(" and (opened[-1] != '"' or (character == "(" and before == "$"))
        ) or character == '"':
            opened.append(character)
        elif character == " " and (opened[-1] == "" or (within and opened[-1] == "(")):
            if current:
                yield current
            current = ""
            continue
        current += character
    if current:
        yield current
