"""Ctrl-C, SIGTERM and SIGHUP: the first ends a run in order, the second ends the process at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Protocol

from bootstrap.cli.heartbeat import ticking
from bootstrap.model import early_signals
from bootstrap.model.errors import ExitCode, Interrupted
from bootstrap.output.terminal import say, say_command


class Interruptible(Protocol):
    """An operation that may be in the middle of a change."""

    changing: bool

    @property
    def then(self) -> str:
        """What happens after an interruption, once the calls in progress have ended."""

    def interrupt(self) -> None:
        """Stop in order."""

    def unfinished(self) -> list[str]:
        """What is skipped if it stops at once, one line each."""


class ProgressDisplay(Protocol):
    """A progress display."""

    def interrupted(self, text: str) -> None:
        """A signal arrived; `text` says what happens now. It is shown at once, and kept."""

    def tick(self) -> None:
        """A second or so has passed."""

    def close(self) -> None:
        """There are no more events."""


@contextlib.contextmanager
def ends_in_order(run: Interruptible, reporter: ProgressDisplay, command: str) -> Iterator[None]:
    """Within this context, the first signal stops the run in order; the second stops at once.

    Raises:
        Interrupted: a signal arrived before anything was changed.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            reporter.close()
            skipped = run.unfinished()
            say("pullkey: Stopped at once, without waiting for the calls in progress.", sys.stderr)
            for what in skipped:
                say(f"  {what}", sys.stderr)
            if skipped:
                say("Run the command again; it cleans up first:", sys.stderr)
                say_command(command, sys.stderr)
            os._exit(ExitCode.INTERRUPTED)
        if run.changing:
            reporter.interrupted(
                f"Interrupted: waiting for the calls in progress, then {run.then}. Press Ctrl-C "
                "again to skip that."
            )
            run.interrupt()
        elif task is not None:
            reporter.interrupted("Interrupted: stopping. No changes were made.")
            task.cancel()

    # A signal that was ignored at the start stays ignored: SIGHUP under nohup, SIGINT in a background job.
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    for number in handlers:
        loop.add_signal_handler(number, stop)
    try:
        if early_signals.received():
            raise Interrupted("Interrupted", fix="No changes were made")
        with ticking(reporter):
            yield
    except asyncio.CancelledError:
        raise Interrupted("Interrupted", fix="No changes were made") from None
    finally:
        if run.changing:
            early_signals.note_changes()
        for number, handler in handlers.items():
            loop.remove_signal_handler(number)
            # asyncio leaves SIGTERM to the system, which ignores it in the first process of a container.
            signal.signal(number, handler)
