"""`scripts/with-env`: makes the environment once, and removes nothing but an environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Makes what the script looks for, and says that it did; slow enough for another one to come in between.
UV = """#!/bin/sh
[ "$1" = venv ] || exit 0
echo made >> "$LOG"
sleep 0.3
for place in "$@"; do :; done
mkdir -p "$place/bin"
touch "$place/pyvenv.cfg"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").write_text(UV)
    (programs / "uv").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PULLKEY_VENV": str(tmp_path / "venv"),
        "LOG": str(tmp_path / "log"),
    }


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(ROOT / "scripts" / "with-env"), "echo", "ran"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_that_begin_at_once_make_one_environment(environment: dict[str, str]) -> None:
    said = [one.communicate() for one in [start(environment) for _ in range(3)]]
    assert [out for out, _ in said] == ["ran\n"] * 3, said
    assert Path(environment["LOG"]).read_text() == "made\n"


def test_files_that_are_no_environment_are_kept(environment: dict[str, str], tmp_path: Path) -> None:
    kept = tmp_path / "venv" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    begun = start(environment)
    out, err = begun.communicate()
    assert (begun.returncode, out) == (2, "")
    assert "has files and is no environment" in err
    assert kept.read_text() == "mine"


def test_one_that_was_cut_off_is_made_again(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    out, err = start(environment).communicate()
    assert out == "ran\n", err
