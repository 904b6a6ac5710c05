"""What SIGTERM, SIGHUP and Ctrl-C do before a run handles them itself, and after it.

The first process of a container ignores a signal that it has no handler for (pid_namespaces(7)), so the
handlers are set before anything else is imported, which takes some 0.3 s. `deploy/Containerfile` starts
pullkey with these signals blocked; one that arrives meanwhile is handled as soon as `install` unblocks it.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""As `bootstrap.model.errors.ExitCode.INTERRUPTED`, which is not imported yet."""

NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _State:
    received = False
    changes_made = False


def install() -> None:
    """End the process at one of `NUMBERS`, and let those arrive that were blocked when it started.

    A signal that was ignored at the start stays ignored: SIGHUP under nohup, SIGINT in a background job.
    """
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)


def interrupt_from_here() -> None:
    """Raise KeyboardInterrupt at a signal, for `bootstrap.cli.main` to report. SIGINT is as Python sets it,
    so that asyncio cancels its task.
    """
    for number in NUMBERS:
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else _interrupt)


def interrupt_until_changes() -> None:
    """In a forked process: raise KeyboardInterrupt at a signal until `note_changes`, and ignore signals after
    that, so that the process reports what it has changed.
    """
    _State.received = _State.changes_made = False  # of the process that was forked
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt_until_changes)


def received() -> bool:
    """Whether a signal has arrived: the KeyboardInterrupt may have been lost, as in a destructor."""
    return _State.received


def note_changes() -> None:
    """From here on, an interruption does not say that no changes were made."""
    _State.changes_made = True


def changes_made() -> bool:
    """Whether a run that has ended has changed something."""
    return _State.changes_made


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"pullkey: Interrupted. No changes were made.\n")
    os._exit(INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _State.received = True
    raise KeyboardInterrupt


def _interrupt_until_changes(number: int, frame: FrameType | None) -> None:
    if not _State.changes_made:
        _interrupt(number, frame)
