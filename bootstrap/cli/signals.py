"""Ctrl-C, SIGTERM and SIGHUP: the first ends a run in order, the second ends the process at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Protocol

import click

from bootstrap.errors import ExitCode


class Interruptible(Protocol):
    """Something that may be in the middle of a change."""

    changing: bool

    def interrupt(self) -> None:
        """End in order."""

    def unfinished(self) -> list[str]:
        """What may be left if it stops now, each in a few words."""


class Closable(Protocol):
    """What shows how it goes."""

    def close(self) -> None:
        """Nothing more comes."""


@contextlib.contextmanager
def ends_in_order(run: Interruptible, reporter: Closable, command: str) -> Iterator[None]:
    """While this is open, the first signal ends the run in order; the second stops at once and says what is left."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            reporter.close()
            click.echo("pullkey: Stopped at once. What may be left is in the journal:", err=True)
            for what in run.unfinished():
                click.echo(f"  {what}", err=True)
            click.echo(f"Run this again, which clears up first:\n  {command}", err=True)
            os._exit(ExitCode.INTERRUPTED)
        if run.changing:
            click.echo(
                "Interrupted: waiting for the calls under way, then ending in order. Once more stops at once.",
                err=True,
            )
            run.interrupt()
        elif task is not None:
            task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        raise click.Abort from None
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
