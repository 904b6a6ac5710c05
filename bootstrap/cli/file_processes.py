"""`--processes N`: a file in parts, N of them at once, each in a process of its own.

A part is as one of `--shard`. Each process works on one part and ends, so that what its targets took is free
again. The parent reads the file once, before it forks, and makes no call: it starts the processes, passes
signals on, and prints one report.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import json
import os
import selectors
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from bootstrap.cli import messages
from bootstrap.cli.file_report import end_of, report
from bootstrap.cli.secrets import keep_to_ourselves, run_alone
from bootstrap.fleet.planner import Action, Planned
from bootstrap.fleet.registries import Registries
from bootstrap.fleet.shards import Shard
from bootstrap.fleet.target_end import TargetEnd
from bootstrap.fleet.target_result import TargetResult
from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, PullkeyError
from bootstrap.output.terminal import say
from bootstrap.plugin.errors import as_user_error

Work = Callable[[Mapping[str, Any]], Coroutine[Any, Any, int]]
_TARGETS_OF_PART = 500
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_GC_THRESHOLD = 10_000
"""What the parent has is frozen, so a collection looks at a part's own objects only. The index by which a
secret is found in a text (`SecretPieces`) takes more than a megabyte until its target is collected.
"""


@dataclass
class Part:
    """What one process works on, and what it has reported.

    Attributes:
        label: what progress calls it.
        pid: of its process; 0 before it has begun.
        data: what it has sent so far.
        status: how its process ended, as `os.waitpid` says.
    """

    registries: Registries
    label: str
    pid: int = 0
    data: bytearray = field(default_factory=bytearray)
    status: int = 0


def work_in_processes(
    registries: Registries, values: Mapping[str, Any], work: Work, command: str
) -> ExitCode:
    """Work on all targets of a file, in parts; print one report."""
    parts = _parts_of(registries, values["processes"])
    say(
        f"{len(registries.entries)} targets in {len(parts)} parts, "
        f"{min(values['processes'], len(parts))} processes at a time.",
        sys.stderr,
    )
    keep_to_ourselves()
    for provider in {id(one.provider): one.provider for one in registries.entries}.values():
        with contextlib.suppress(Exception):  # what is missing is reported by the part that needs it
            provider.preload()
    gc.collect()
    gc.freeze()  # a collection in a child would copy the pages that it shares with this process
    crew = _Crew(lambda part, sent: _work_on(part, sent, values, work))
    crew.run(parts, values["processes"])
    ends: list[TargetEnd] = []
    complete = True
    for part in parts:
        found, whole = _ends_of(part, values, interrupted=crew.asked > 0)
        ends += found
        complete = complete and whole
    ends.sort(key=lambda one: one.number)
    return report(ends, command=command, file=registries.name, values=values, trail_is_complete=complete)


def _parts_of(registries: Registries, processes: int) -> list[Part]:
    count = max(processes, -(-len(registries.entries) // _TARGETS_OF_PART))
    found = [Shard(number + 1, count).of(registries) for number in range(count)]
    found = [one for one in found if one.entries]
    return [Part(one, f"{one.name}, part {number} of {len(found)}") for number, one in enumerate(found, 1)]


class _Crew:
    """The processes at work.

    Args:
        run: works on a part in its process, and writes what it reports to a file descriptor.

    Attributes:
        asked: how many signals have arrived.
    """

    def __init__(self, run: Callable[[Part, int], None]) -> None:
        self._run = run
        self._at_work: dict[int, Part] = {}
        self.asked = 0

    def run(self, parts: Sequence[Part], at_once: int) -> None:
        """Work on the parts, the first first. After a signal no further part begins."""
        waiting = list(reversed(parts))
        with _handled(self._pass_on) as handlers, selectors.DefaultSelector() as pipes:
            while self._at_work or (waiting and not self.asked):
                while waiting and len(self._at_work) < at_once and not self.asked:
                    part = waiting.pop()
                    pipes.register(self._start(part, handlers), selectors.EVENT_READ, part)
                for key, _ in pipes.select():
                    part = key.data
                    if data := os.read(key.fd, 65_536):
                        part.data += data
                        continue
                    pipes.unregister(key.fd)
                    os.close(key.fd)
                    _, part.status = os.waitpid(part.pid, 0)
                    del self._at_work[part.pid]

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        for pid in self._at_work:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _start(self, part: Part, handlers: Mapping[int, Any]) -> int:
        """Start the process of a part. Return where it reports."""
        ours, theirs = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        parent, pid = os.getpid(), os.fork()
        if not pid:
            os.close(ours)
            self._be_a_part(part, theirs, handlers, before, parent)
        # The terminal's Ctrl-C reaches this process alone, which passes it on.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        os.close(theirs)
        part.pid = pid
        self._at_work[pid] = part
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return ours

    def _be_a_part(
        self, part: Part, sent: int, handlers: Mapping[int, Any], mask: Any, parent: int
    ) -> NoReturn:
        code = ExitCode.FAILED
        try:
            with contextlib.suppress(PermissionError):
                os.setpgid(0, 0)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _end_with(parent)
            gc.set_threshold(_GC_THRESHOLD)
            self._run(part, sent)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            code = ExitCode.DONE
        finally:
            os._exit(code)


@contextlib.contextmanager
def _handled(handle: Callable[[int, FrameType | None], None]) -> Iterator[Mapping[int, Any]]:
    """Handle the signals that end a run; those that were ignored stay so. The former handlers are given."""
    former: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    former = {number: one for number, one in former.items() if one is not signal.SIG_IGN}
    for number in former:
        signal.signal(number, handle)
    try:
        yield former
    finally:
        for number, one in former.items():
            signal.signal(number, one)


def _end_with(parent: int) -> None:
    """On Linux: be interrupted if the parent is killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


# -- what a process reports ----------------------------------------------------------------------------------


def _work_on(part: Part, sent: int, values: Mapping[str, Any], work: Work) -> None:
    """Work on a part in this process, and write its end."""
    ends: list[TargetEnd] = []
    complete = True

    def deliver(found: Sequence[TargetEnd], trail_is_complete: bool) -> None:
        nonlocal complete
        ends.extend(found)
        complete = trail_is_complete

    error: PullkeyError | None = None
    try:
        run_alone(work({**values, "part": part.registries, "label": part.label, "deliver": deliver}))
    except PullkeyError as raised:
        error = raised
    except Exception as raised:  # noqa: BLE001  - an SDK can raise anything; the other parts continue
        error = as_user_error(raised)
    document = {
        "ends": [dataclasses.asdict(one) for one in ends],
        "complete": complete,
        "error": None
        if error is None
        else {"what": error.what, "fix": error.fix, "code": error.code, "exit_code": int(error.exit_code)},
    }
    with open(sent, "wb") as stream:
        stream.write(json.dumps(document).encode())


def _ends_of(part: Part, values: Mapping[str, Any], *, interrupted: bool) -> tuple[list[TargetEnd], bool]:
    """The ends of a part's targets, and whether its lines of the audit trail are complete."""
    nothing = {"ends": [], "complete": True, "error": None}
    found: Mapping[str, Any] = json.loads(part.data) if part.data else nothing
    ends = [TargetEnd(**one) for one in found["ends"]]
    if ends:
        return ends, found["complete"]
    error: PullkeyError | None = None
    if found["error"] is not None:
        error = PullkeyError(
            found["error"]["what"], fix=found["error"]["fix"], code=Code(found["error"]["code"])
        )
        error.exit_code = ExitCode(found["error"]["exit_code"])
    elif part.pid and os.WIFSIGNALED(part.status) and not interrupted:
        error = messages.part_was_killed(part.label, signal.Signals(os.WTERMSIG(part.status)).name)
    if error is None or error.exit_code is ExitCode.INTERRUPTED:
        result, code, error = "not begun", ExitCode.INTERRUPTED, None
    else:
        result = "refused" if error.exit_code is ExitCode.REFUSED else "failed"
        code = error.exit_code
        say(f"{part.label}: {error.what}", sys.stderr)
    return [
        end_of(
            TargetResult(planned=Planned(entry, Action.BLOCKED), result=result, exit_code=code, error=error),
            file=part.registries.name,
            scope=lambda one: one.scope,
            as_json=values["output"] == "json",
        )
        for entry in part.registries.entries
    ], True
