"""A first minute with pullkey in a terminal looks as the transcripts in the repository show it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TRANSCRIPTS = ROOT / "tests" / "transcripts"


@pytest.mark.parametrize(
    "name",
    [
        "80-columns.txt",
        "80-columns-colour.ansi",
        "80-columns-c-locale.txt",
        "120-columns.txt",
        "120-columns-colour.ansi",
    ],
)
def test_a_first_minute_looks_as_recorded(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "transcripts"), "--check", name],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_one_for_the_c_locale_is_ascii() -> None:
    assert (TRANSCRIPTS / "80-columns-c-locale.txt").read_text(encoding="utf-8").isascii()


@pytest.mark.parametrize("columns", [80, 120])
def test_colour_adds_nothing_to_what_is_said(columns: int) -> None:
    plain, coloured = (
        (TRANSCRIPTS / f"{columns}-columns{end}").read_text(encoding="utf-8")
        for end in (".txt", "-colour.ansi")
    )
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.iterdir()), ids=lambda path: path.name)
def test_no_line_is_wider_than_its_terminal(path: Path) -> None:
    columns = int(path.name.partition("-")[0])
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if len(line) > columns] == []
