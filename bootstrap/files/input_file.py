"""Read a file named by an option, without hanging on a named pipe that has no writer."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

_WRITER_SECONDS = 2.0
_PAUSE_SECONDS = 0.02


class NoWriter(OSError):
    """A pipe has no writer."""

    def __init__(self) -> None:
        super().__init__(0, "it is a pipe that nothing is written to")


def read_file(path: Path, limit: int) -> bytes:
    """Read at most `limit` bytes of a file, or of a pipe that has a writer (`<(...)`, `/dev/stdin`).

    Raises:
        OSError: it cannot be read; `NoWriter` for a pipe that got no writer for two seconds.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", 0) as file:
        content = _first_bytes(descriptor) if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else b""
        os.set_blocking(descriptor, True)
        while len(content) < limit and (more := file.read(min(limit - len(content), 1 << 20))):
            content += more
        return content[:limit]


def _first_bytes(pipe: int) -> bytes:
    """The bytes that are already in a pipe; none if its writer has not written yet."""
    until = time.monotonic() + _WRITER_SECONDS
    while True:
        try:
            if found := os.read(pipe, 1 << 16):
                return found
        except BlockingIOError:
            return b""  # there is a writer
        if time.monotonic() > until:
            raise NoWriter
        time.sleep(_PAUSE_SECONDS)
