"""`pullkey apply -f FILE --processes N` whose parts end as a test says, without a cloud.

    python -m tests.harness.parts_at_work '{"s0": "killed", "s1": "done"}' '[]' apply -f registries.yaml …

The first argument says what the part of each Akka secret does, the second which calls of `os.fork` fail,
counted from 1. All else is the real command. Each group of targets is a part of its own.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap import __main__ as program
from bootstrap.cli import apply, file_processes
from bootstrap.cli.file_report import end_of
from bootstrap.cli.part_report import Part
from bootstrap.fleet.planner import Action, Planned
from bootstrap.fleet.target_result import TargetResult
from bootstrap.model import early_signals
from bootstrap.testing.harness.kill_points import wait_until

_parts: Mapping[str, str] = {}
_forks_that_fail: Sequence[int] = ()
_fork = os.fork
_work_on = file_processes._work_on
_forks = itertools.count(1)


async def _work(values: Mapping[str, Any]) -> int:
    """What a part does instead of working on its targets."""
    registries = values["part"]
    does = _parts[registries.entries[0].secret_name]
    pid = values["file"].with_name("killed.pid")
    text = "x" * 100_000 if does == "much" else ""

    def deliver() -> None:
        ended = [
            TargetResult(planned=Planned(one, Action.CREATE), result="done", changed=True, detail=text)
            for one in registries.entries
        ]
        as_json = values["output"] == "json"
        values["deliver"](
            [end_of(one, file=registries.name, scope=lambda it: it.scope, as_json=as_json) for one in ended],
            True,
        )

    if does == "killed":
        pid.with_suffix(".new").write_text(str(os.getpid()))
        pid.with_suffix(".new").rename(pid)
        os.kill(os.getpid(), signal.SIGKILL)
    elif does == "exits":
        os._exit(130)
    elif does == "is interrupted before its changes":
        os.kill(os.getpid(), signal.SIGTERM)
    elif does == "is interrupted after its changes":
        early_signals.note_changes()
        os.kill(os.getpid(), signal.SIGTERM)
    elif does == "fails after its changes":
        early_signals.note_changes()
        raise ValueError
    elif does in ("interrupts the command", "is interrupted at work"):
        if "killed" in _parts.values():
            wait_until(lambda: pid.exists() and not _exists(pid.read_text()), 20)
        interrupted = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, interrupted.set)
        if does == "interrupts the command":
            os.kill(os.getppid(), signal.SIGTERM)
        await interrupted.wait()
    deliver()
    if does.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, does))
    return 0


def _exists(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def _work_or_cut(part: Part, sent: int, values: Mapping[str, Any], work: file_processes.Work) -> None:
    if _parts[part.registries.entries[0].secret_name] == "killed while it writes":
        os.write(sent, b'{"ends": [{"number": 1, "na')
        os.kill(os.getpid(), signal.SIGKILL)
    _work_on(part, sent, values, work)


def _fork_or_fail() -> int:
    if next(_forks) in _forks_that_fail:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return _fork()


if __name__ == "__main__":
    _parts, _forks_that_fail = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    apply._apply = _work
    file_processes._TARGETS_OF_PART = 1
    file_processes._work_on = _work_or_cut
    os.fork = _fork_or_fail
    sys.argv[1:] = sys.argv[3:]
    program.run()
