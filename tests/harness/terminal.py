"""A terminal of its own for one run of `pullkey`: what it shows, and keys that are pressed meanwhile."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from bootstrap.testing.harness.world import World
from tests.harness import mutants

CTRL_C, CTRL_D = "\x03", "\x04"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """The controlling terminal of one process. As a context manager it ends the process, if that is still
    there.
    """

    def __init__(
        self,
        world: World,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: Path | None = None,
    ) -> None:
        self._world = world
        self._ours, theirs = pty.openpty()
        # A leader of a session that opens a terminal gets it as its own. (To do it between fork and exec does
        # not go with gRPC.)
        opening = 'exec <"$0" >"$0" 2>&1; exec "$@"'
        if stdin is not None:
            opening += f" <{shlex.quote(str(stdin))}"
        self.process = subprocess.Popen(
            ["sh", "-c", opening, os.ttyname(theirs), sys.executable, *mutants.program(), *arguments],
            env={
                **world.environment(env),
                "NO_COLOR": "",
                "TERM": "xterm",
                "COLUMNS": "100",
                "LANG": "C.UTF-8",
            },
            start_new_session=True,
        )
        self._theirs = theirs
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._world.said.append(self.shown)
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def text(self) -> str:
        """What was shown so far, without what moves the cursor."""
        return _ESCAPES.sub("", self.shown)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def _read(self, seconds: float) -> None:
        if select.select([self._ours], [], [], seconds)[0]:
            self.shown += os.read(self._ours, 65_536).decode(errors="replace")

    def until(self, text: str, seconds: float = 30, times: int = 1) -> str:
        """Wait until a text is shown, so many times."""
        end = time.monotonic() + seconds
        while self.text.count(text) < times:
            assert time.monotonic() < end, f"{text!r} was not shown within {seconds} s: {self.text}"
            assert self.process.poll() is None or select.select([self._ours], [], [], 0)[0], self.text
            self._read(0.1)
        return self.text

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def ended(self, seconds: float = 20) -> int:
        """Wait for the end; its exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it did not end within {seconds} s: {self.text}"
            self._read(0.05)
        while select.select([self._ours], [], [], 0)[0]:
            self._read(0)
        return self.process.returncode


def run_in_terminal(world: World, *arguments: str, answer: str) -> tuple[int, str]:
    """Run `pullkey` with a terminal of 80 columns on all three of its streams, and type an answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *mutants.program(), *arguments],
        env={**world.running.process_environment(), "TERM": "xterm", "COLUMNS": "80"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, typed = b"", False
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if b"[y/N]" in shown and not typed:
            typed = True
            os.write(ours, answer.encode() + b"\n")
    os.close(ours)
    text = shown.decode(errors="replace")
    world.said.append(text)
    return process.wait(timeout=60), text
