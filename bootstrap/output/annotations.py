"""Annotations of GitHub Actions: workflow commands that mark a line of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.fleet.fault import Fault, Place


def annotation(kind: str, file: str, place: Place | None, what: str) -> str:
    """One annotation: `kind` is `error` or `warning`; without a place it is about the whole file.

    The path is absolute: the runner takes a relative one as one in the workspace, whatever the step's working
    directory is. The escapes are those of `toolkit/packages/core/src/command.ts` of actions/toolkit.
    """
    at = f",line={place.line},col={place.column}" if place is not None else ""
    path = file if file == "stdin" else str(Path(file).absolute())
    name = _escaped(path).replace(",", "%2C").replace(":", "%3A")
    return f"::{kind} file={name}{at}::{_escaped(what)}"


def fault_annotations(file: str, faults: Sequence[Fault]) -> list[str]:
    """An annotation for each mistake of a file, with its fix."""
    return [
        annotation("error", file, one.place, f"{one.what}{f'. {one.fix}' if one.fix else ''}")
        for one in faults
    ]


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
