"""`--processes N`: a file in parts, N of them at once, each in a process of its own.

A part is as one of `--shard`. Each process works on one part and ends, so that what its targets took is free
again. The parent reads the file once, before it forks, and makes no call: it starts the processes, passes
signals on, and prints one report. Once something may have been changed, only a second signal during the work
ends a process before it has reported that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import selectors
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

from bootstrap.cli import messages
from bootstrap.cli.file_report import report
from bootstrap.cli.part_report import Part, PartReport, ends_of
from bootstrap.cli.secrets import keep_to_ourselves, run_alone
from bootstrap.fleet.registries import Registries
from bootstrap.fleet.shards import Shard
from bootstrap.fleet.target_end import TargetEnd
from bootstrap.model import early_signals
from bootstrap.model.errors import ExitCode, Interrupted
from bootstrap.output.terminal import say
from bootstrap.plugin.errors import as_user_error

Work = Callable[[Mapping[str, Any]], Coroutine[Any, Any, int]]
_TARGETS_OF_PART = 500
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


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
    processes = _Processes(lambda part, sent: _work_on(part, sent, values, work))
    with _handled(processes.pass_on):  # until the report is printed
        early_signals.note_changes()
        processes.run(parts, values["processes"])
        ends: list[TargetEnd] = []
        complete = True
        for part in parts:
            found, whole = ends_of(part, values)
            ends += found
            complete = complete and whole
        ends.sort(key=lambda one: one.number)
        return report(ends, command=command, file=registries.name, values=values, trail_is_complete=complete)


def _parts_of(registries: Registries, processes: int) -> list[Part]:
    count = max(processes, -(-len(registries.entries) // _TARGETS_OF_PART))
    found = [Shard(number + 1, count).of(registries) for number in range(count)]
    found = [one for one in found if one.entries]
    return [Part(one, f"{one.name}, part {number} of {len(found)}") for number, one in enumerate(found, 1)]


class _Processes:
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
        room = at_once
        with selectors.DefaultSelector() as pipes:
            while self._at_work or (waiting and not self.asked):
                while waiting and len(self._at_work) < room and not self.asked:
                    part = waiting.pop()
                    try:
                        pipe = self._start(part)
                    except OSError as error:  # no memory, or too many processes
                        if self._at_work:
                            waiting.append(part)
                            room = len(self._at_work)  # until one has ended
                        else:
                            part.error = messages.part_not_started(part.label, error)
                    else:
                        pipes.register(pipe, selectors.EVENT_READ, part)
                for key, _ in pipes.select() if self._at_work else ():
                    if not self._receive(key.data, key.fd):
                        pipes.unregister(key.fd)
                        os.close(key.fd)
                        self._end(key.data)
                        room = at_once

    @staticmethod
    def _receive(part: Part, pipe: int) -> bool:
        """Read what a part reports. Return False once its process has closed the pipe."""
        data = os.read(pipe, 65_536)
        part.data += data
        return bool(data)

    def _end(self, part: Part) -> None:
        _, part.status = os.waitpid(part.pid, 0)
        del self._at_work[part.pid]

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: every process at work gets it."""
        self.asked += 1
        for pid in self._at_work:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _start(self, part: Part) -> int:
        """Start the process of a part. Return where it reports.

        Raises:
            OSError: it could not be started.
        """
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        ours, theirs = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            parent, pid = os.getpid(), os.fork()
            if not pid:
                self._be_a_part(part, ours, theirs, parent)
            part.pid = pid
            self._at_work[pid] = part
            # The terminal's Ctrl-C reaches this process alone, which passes it on.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.setpgid(pid, pid)
            if self.asked:  # since `run` looked, and until signals were blocked
                os.kill(pid, signal.SIGTERM)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return ours

    def _be_a_part(self, part: Part, received: int, sent: int, parent: int) -> NoReturn:
        code = ExitCode.FAILED
        try:
            os.close(received)
            with contextlib.suppress(PermissionError):
                os.setpgid(0, 0)
            early_signals.interrupt_until_changes()
            _end_with(parent)
            self._run(part, sent)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            code = ExitCode.DONE
        finally:
            os._exit(code)


@contextlib.contextmanager
def _handled(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals that end a run; those that were ignored stay so."""
    former: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    former = {number: one for number, one in former.items() if one is not signal.SIG_IGN}
    for number in former:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, one in former.items():
            signal.signal(number, one)


def _end_with(parent: int) -> None:
    """On Linux, have the kernel send SIGTERM if the parent dies."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _work_on(part: Part, sent: int, values: Mapping[str, Any], work: Work) -> None:
    """Work on a part in this process, and write its report. Signals are blocked from the fork to here."""
    found = PartReport()

    def deliver(ends: Sequence[TargetEnd], trail_is_complete: bool) -> None:
        _ignore_signals()
        found.ends, found.trail_is_complete = list(ends), trail_is_complete

    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        run_alone(work({**values, "part": part.registries, "label": part.label, "deliver": deliver}))
    except (KeyboardInterrupt, asyncio.CancelledError):
        found.error = Interrupted("Interrupted")
    except BaseException as raised:  # noqa: BLE001  - an SDK can raise anything; the other parts continue
        found.error = as_user_error(raised)
    finally:
        _ignore_signals()
    found.changed = early_signals.changes_made()
    with open(sent, "wb") as stream:
        stream.write(found.encoded())


def _ignore_signals() -> None:
    """Ignore all signals that end a run: from here on, only the report is missing."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
