"""The three standard streams, so that losing one is never an error in the middle of a run.

Whatever is printed may be lost: the terminal is closed, the reader of a pipe has seen enough, the disk under
a log file is full. A run and its undoing go on all the same. What could not be printed on stdout decides the
exit code in the end, since a program may wait for it; what could not be printed on stderr is lost.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDIN, _STDOUT, _STDERR = range(3)


class _LossyFile(io.FileIO):
    """A descriptor that takes everything. What cannot be written is dropped.

    Attributes:
        lost: why something was dropped, the first reason of all.
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
                if count is None:  # somebody has set the descriptor to non-blocking
                    import select

                    select.select([], [self], [])
                    continue
                written += count
        except (OSError, ValueError) as error:
            self.lost = self.lost or (error if isinstance(error, OSError) else OSError(str(error)))
        return len(view)


def install() -> None:
    """Take the place of `sys.stdin`, `sys.stdout` and `sys.stderr`; again is the same as once.

    A stream that was closed before the program was started (`2>&-`) is opened on /dev/null first: otherwise
    the next file that is opened would get its number, and with it all that a library prints.
    """
    for number in (_STDIN, _STDOUT, _STDERR):
        if not _is_open(number):
            os.open(os.devnull, os.O_RDWR)  # which gets the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  - for the life of the process; pathlib is slow to import
    sys.stdout = _lossy(sys.stdout, _STDOUT)
    sys.stderr = _lossy(sys.stderr, _STDERR)


class _Records:
    lost = False


def note_lost_record() -> None:
    """Something that was to be kept of this command was lost, and that has been said."""
    _Records.lost = True


def record_lost() -> bool:
    """Whether something that was to be kept was lost: the exit code must say so too."""
    return _Records.lost


def output_lost() -> OSError | None:
    """Why something that was printed on stdout was lost; None if all of it was written, or its reader has
    gone.
    """
    raw = _raw(sys.stdout)
    if raw is None or raw.lost is None or raw.lost.errno == errno.EPIPE:
        return None
    return raw.lost


def _lossy(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None and (_raw(stream) is not None or _number_of(stream) != number):
        return stream  # done before, or put there by a program that runs this one within
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
        # Python has None for one that was closed; what has its number by now may be anything.
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
