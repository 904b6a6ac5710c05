"""A file that is to be read or written may be a pipe: one with a writer is read, and nothing waits for one
without.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = "version: 1\ntargets: []\n"
PULLKEY = [sys.executable, "-m", "bootstrap"]


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PULLKEY_STATE_DIR": str(folder / "state")}
    script = command.replace("pullkey", f"{sys.executable} -m bootstrap")
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        "pullkey plan -f pipe",
        "pullkey list -f pipe",
        "pullkey apply pipe --yes",
        "pullkey plan -f r.yaml --save pipe",
        "pullkey apply -f r.yaml --yes --audit pipe",
        "pullkey import --to pipe",
        "pullkey sandbox exec --log pipe -- true",
    ],
)
def test_a_pipe_that_nothing_is_written_to_is_refused(tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "r.yaml").write_text("version: 1\ntargets:\n  - {provider: docker-hub, image: acme/shop}\n")
    done = run(tmp_path, command)
    assert done.returncode == 2, done.stderr
    assert "pipe" in done.stderr
    assert done.stderr.startswith("pullkey: ")


@pytest.mark.parametrize(
    "command",
    [
        f"pullkey plan -f <(printf '{FILE}')",
        f"pullkey plan -f <(sleep 3; printf '{FILE}')",
        f"printf '{FILE}' | pullkey plan -f -",
        f"printf '{FILE}' | pullkey plan -f /dev/stdin",
        "(sleep 3; printf 'version: 1\\n'; sleep 0.2; printf 'targets: []\\n') | pullkey plan -f /dev/stdin",
        f"mkfifo p; (sleep 1; printf '{FILE}') > p & sleep 0.1; pullkey plan -f p",
    ],
)
def test_a_pipe_that_is_written_to_is_read_to_its_end(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, command)
    assert "targets is an empty list" in done.stderr, done.stderr


def test_a_log_goes_into_no_other_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine\n")
    done = run(tmp_path, "pullkey sandbox exec --log mine.txt -- true")
    assert done.returncode == 2
    assert "already exists, and is not a log of calls of pullkey's" in done.stderr
    assert mine.read_text() == "mine\n"
    (tmp_path / "link").symlink_to(mine)
    assert run(tmp_path, "pullkey sandbox exec --log link -- true").returncode == 2
    (tmp_path / "log").write_text('{"time":"2026-01-01T00:00:00Z"}\n')
    assert run(tmp_path, "pullkey sandbox exec --log log -- true").returncode == 0
