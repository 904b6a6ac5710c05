"""Standard streams whose loss never raises in the middle of a run.

Output can be lost: the terminal is closed, the reader of a pipe exits, the disk of a log file is full. A run
and its rollback continue. Output lost on stdout changes the exit code, since a program may depend on it;
output lost on stderr is ignored.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from bootstrap.model.errors import ExitCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDIN, _STDOUT, _STDERR = range(3)


class _LossyFile(io.FileIO):
    """A descriptor whose writes never fail; what cannot be written is dropped.

    Attributes:
        lost: the first error that dropped something.
    """

    def __init__(self, descriptor: int, *, lost: OSError | None = None, closed_before: bool = False) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._closed_before = closed_before
        self.lost = lost

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        written = 0
        try:
            if self._closed_before and view:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            while written < len(view):
                count = super().write(view[written:])
                if count is None:  # another process has set the descriptor to non-blocking
                    import select

                    select.select([], [self], [])
                    continue
                written += count
        except (OSError, ValueError) as error:
            self.lost = self.lost or (error if isinstance(error, OSError) else OSError(str(error)))
        return len(view)


def install() -> None:
    """Replace `sys.stdin`, `sys.stdout` and `sys.stderr`; idempotent.

    A stream that was closed before the program was started (`2>&-`) is opened on /dev/null first: otherwise
    the next file that is opened would get its number, and with it all that a library prints.
    """
    for number in (_STDIN, _STDOUT, _STDERR):
        if not _is_open(number):
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  - for the life of the process; pathlib is slow to import
    sys.stdout = _lossy(sys.stdout, _STDOUT)
    sys.stderr = _lossy(sys.stderr, _STDERR)


class _Records:
    lost = False


def note_lost_record() -> None:
    """Note that an audit record was lost, which was already reported."""
    _Records.lost = True


def final_code(code: int) -> int:
    """The exit code of the process and of its document: a success, of which an audit record was lost, is a
    failure.
    """
    return code or (int(ExitCode.FAILED) if _Records.lost else code)


def output_lost() -> OSError | None:
    """Why output on stdout was lost; None if all of it was written, or its reader has exited."""
    raw = _raw(sys.stdout)
    if raw is None or raw.lost is None or raw.lost.errno == errno.EPIPE:
        return None
    return raw.lost


def stdout_error() -> OSError | None:
    """Why some output on stdout was lost, also because its reader has exited; None if nothing was."""
    raw = _raw(sys.stdout)
    return raw.lost if raw is not None else None


def _lossy(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None and (_raw(stream) is not None or _number_of(stream) != number):
        return stream  # already replaced, or set by a program that embeds this one
    lost = None
    encoding = "utf-8"
    if stream is not None:
        encoding = stream.encoding or encoding
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            lost = error if isinstance(error, OSError) else None
    # A character that the terminal's encoding lacks is shown as an escape, as Python does on stderr anyway.
    return io.TextIOWrapper(
        # Python sets a closed stream to None; another file may have its number by now.
        io.BufferedWriter(_LossyFile(number, lost=lost, closed_before=stream is None)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def _number_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _raw(stream: TextIO | None) -> _LossyFile | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _LossyFile) else None


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
