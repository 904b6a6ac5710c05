"""Prompts at the terminal. Ctrl-C, SIGTERM and SIGHUP end a prompt at once, and so the command.

asyncio's signal handlers run on the event loop, which is blocked while this thread reads a line: they would
not run before Enter is pressed. So while a prompt is open, each of these signals interrupts the read itself.
Prompts run in the main thread, since only there a signal restores the terminal's echo.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, TextIO

from bootstrap.model.errors import Interrupted
from bootstrap.output.terminal import fold, width_of

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def confirm(question: str, stream: TextIO) -> bool:
    """Ask a yes-or-no question; anything but yes is no, including end of input (Ctrl-D).

    Raises:
        Interrupted: a signal ended it.
    """
    with _ended_by_signals(), _answers() as terminal:
        _drop_typed_ahead(terminal)
        _write(f"{question} [y/N]", stream)
        answer = terminal.readline()
    if not answer.endswith("\n"):
        stream.write("\n")
    return answer.strip().lower() in ("y", "yes")


def ask_line(what: str, stream: TextIO) -> str:
    """Ask for one line of text; "" if only Enter is pressed.

    Raises:
        Interrupted: a signal or Ctrl-D ended it.
    """
    with _ended_by_signals():
        _drop_typed_ahead(sys.stdin)
        _write(f"{what}:", stream)
        answer = sys.stdin.readline()
    if not answer:
        stream.write("\n")
        raise Interrupted("Interrupted", fix="No changes were made")
    return answer.strip()


def ask_hidden(what: str) -> str:
    """Ask for a secret, without echo.

    Raises:
        Interrupted: a signal or Ctrl-D ended it; what was typed is dropped.
    """
    import getpass

    with _ended_by_signals():
        try:
            return getpass.getpass(f"{_folded(f'{what}:', sys.stderr)} ", sys.stderr)
        except EOFError:
            sys.stderr.write("\n")
            raise Interrupted("Interrupted", fix="No changes were made") from None


def _write(question: str, stream: TextIO) -> None:
    stream.write(f"{_folded(question, stream)} ")
    stream.flush()


def _folded(question: str, stream: TextIO) -> str:
    width = width_of(stream)
    return "\n".join(fold(question, width - 1 if width else None))


def can_ask(*, stdin_taken: bool) -> bool:
    """Whether a question can be asked; on the controlling terminal if stdin holds a secret."""
    if not sys.stderr.isatty():
        return False
    if sys.stdin.isatty() or not stdin_taken:
        return sys.stdin.isatty()
    try:
        with _answers():
            return True
    except OSError:
        return False


@contextlib.contextmanager
def _answers() -> Iterator[TextIO]:
    """The stream that answers are read from."""
    if sys.stdin.isatty():
        yield sys.stdin
    else:
        with Path("/dev/tty").open(encoding="utf-8", errors="replace") as terminal:
            yield terminal


def _drop_typed_ahead(terminal: TextIO) -> None:
    """Discard what was typed before the question was shown."""
    import termios

    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcflush(terminal.fileno(), termios.TCIFLUSH)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within this context, a signal that ends a run interrupts a blocking read.

    Raises:
        Interrupted: a signal arrived.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    # A signal that was ignored at the start stays ignored. The event loop must not receive the signal too: it
    # would cancel what has already ended.
    replaced = {
        number: handler for number in _ENDING if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    wakeup = signal.set_wakeup_fd(-1)
    try:
        for number in replaced:
            signal.signal(number, end)
        yield
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise Interrupted("Interrupted", fix="No changes were made") from None
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
