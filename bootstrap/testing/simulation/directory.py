"""The state directory and its locks, on the disk of a simulated machine."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import zlib
from collections.abc import Iterator
from pathlib import Path

from bootstrap.testing.simulation.process import Process, current


class MemoryDirectory:
    """Replaces `bootstrap.files.private_directory.PrivateDirectory`: a directory on the disk of the process's
    machine.
    """

    def __init__(self, state: Path, name: str) -> None:
        self.path = state / name
        # No decision depends on anything else that is on the disk, so nothing is gained by a kill between.
        self._point = Process.point if name == "journal" else _no_point

    def names(self) -> list[str]:
        """The names of its files."""
        prefix = f"{self.path}/"
        disk = current().machine.disk
        return sorted(
            one.removeprefix(prefix) for one in (*disk.files, *disk.locks) if one.startswith(prefix)
        )

    def stamps(self) -> dict[str, tuple[int, int, int]]:
        """Of each file what differs once it has another content."""
        files = current().machine.disk.files
        found = {
            name: files[f"{self.path}/{name}"] for name in self.names() if f"{self.path}/{name}" in files
        }
        return {name: (0, zlib.crc32(data), len(data)) for name, data in found.items()}

    def read(self, name: str) -> bytes | None:
        """Read a file; None if it does not exist."""
        return current().machine.disk.files.get(f"{self.path}/{name}")

    def write(self, name: str, data: bytes) -> None:
        """Replace or create a file.

        Raises:
            OSError: the disk is full.
        """
        process = current()
        self._point(process, "before the journal is written")
        if process.machine.disk.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        process.machine.disk.files[f"{self.path}/{name}"] = data
        self._point(process, "after the journal was written")

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            FileNotFoundError: it does not exist.
        """
        process = current()
        self._point(process, "before the journal is removed")
        if process.machine.disk.files.pop(f"{self.path}/{name}", None) is None:
            raise FileNotFoundError(errno.ENOENT, "No such file", name)

    def prepare(self, name: str) -> None:
        """Do nothing: a write is complete or does not happen."""

    @contextlib.contextmanager
    def open_lock(self, name: str, *, make: bool) -> Iterator[int]:
        """Open a lock file; return its descriptor.

        Raises:
            FileNotFoundError: it does not exist, and must not be created.
        """
        process = current()
        disk, file = process.machine.disk, f"{self.path}/{name}"
        if make:
            disk.locks.add(file)
        elif file not in disk.locks:
            raise FileNotFoundError(errno.ENOENT, "No such file", name)
        number = disk.open(file, process)
        try:
            yield number
        finally:
            disk.close(number)


def _no_point(_process: Process, _what: str) -> None:
    """Mark no point."""


class MemoryLocks:
    """Replaces the module `fcntl`."""

    LOCK_EX, LOCK_SH, LOCK_NB, LOCK_UN = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB, fcntl.LOCK_UN

    @staticmethod
    def flock(descriptor: int, how: int) -> None:
        """Lock or unlock, as the current process."""
        current().machine.disk.lock(descriptor, how)
