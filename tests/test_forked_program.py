"""The program that runs `pullkey` as a fork, for scripts of tests, behaves as the real one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.world import World


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return fork_server().program(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "pullkey --version",
        "pullkey nonesuch",
        "pullkey explain missing-permission | head -n 3; pullkey providers 2>&1 >/dev/null",
        'cd /; echo \'version: 1\' | pullkey plan -f - --output json >>"$HOME/out"; echo $?; cat "$HOME/out"',
    ],
)
def test_a_script_sees_no_difference(line: str, program: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, str, str]] = []
    for path in (f"{Path(sys.executable).parent}", f"{program.parent}"):
        home = tmp_path / f"home-{len(seen)}"
        home.mkdir(mode=0o700)
        done = subprocess.run(
            ["sh", "-c", line],
            env={"PATH": f"{path}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8"},
            input="",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        seen.append((done.returncode, done.stdout, done.stderr))
    assert seen[0] == seen[1]


def test_it_passes_a_signal_on(program: Path, private: World) -> None:
    private.fault("akka.*=hang*forever")
    running = subprocess.Popen(
        [program, "list"],
        env=private.running.process_environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 30
    while not private.running.sandbox.log.calls and time.monotonic() < end:
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    said = running.communicate(timeout=30)[1]
    assert running.returncode == 130, said
    assert "Interrupted" in said
