"""A command ends although a background task is just starting a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, sys
from bootstrap.model import event_loop

async def call():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "", {pipes})
    await process.wait()

background = set()

async def main():
    background.add(asyncio.create_task(call()))
    for _ in range({turns}):
        await asyncio.sleep(0)
    return 7

sys.exit(event_loop.run(main()))
"""


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("pipes", ["", "stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE"])
def test_a_command_ends_while_a_process_is_being_started(pipes: str, turns: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(pipes=pipes, turns=turns)],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, b"")
