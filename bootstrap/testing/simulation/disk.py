"""The state directory of a simulated machine, in memory: files, and locks that go with the process that holds them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.testing.simulation.process import Process


@dataclass
class _Handle:
    """An open lock file: whoever has it open holds the lock, a child of the process too."""

    file: str
    process: Process
    mode: int = 0
    """LOCK_EX or LOCK_SH while it is held, else 0."""
    children: int = 0
    closed: bool = False


@dataclass
class Disk:
    """What a machine keeps.

    Attributes:
        full: whether nothing more can be written.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    locks: set[str] = field(default_factory=set)
    full: bool = False
    _handles: dict[int, _Handle] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(3))

    def open(self, file: str, process: Process) -> int:
        """Open a lock file; the descriptor."""
        number = next(self._numbers)
        self._handles[number] = _Handle(file, process)
        return number

    def close(self, number: int) -> None:
        """Close a descriptor; a child that has it too keeps the lock."""
        if (handle := self._handles.get(number)) is not None:
            handle.closed = True
            self._drop(number)

    def inherit(self, number: int) -> None:
        """A child of the process holds the descriptor too."""
        self._handles[number].children += 1

    def ended(self, number: int) -> None:
        """Such a child has ended."""
        if (handle := self._handles.get(number)) is not None:
            handle.children -= 1
            self._drop(number)

    def release(self, process: Process) -> None:
        """The process has ended, whichever way."""
        for number, handle in list(self._handles.items()):
            if handle.process is process:
                self.close(number)

    def lock(self, number: int, how: int) -> None:
        """Take or give back a lock, as flock(2) does it; never waits.

        Raises:
            BlockingIOError: somebody else holds it.
        """
        handle = self._handles.get(number)
        if handle is None or not handle.process.alive:
            return  # what a killed process does in passing
        mode = how & ~fcntl.LOCK_NB
        if mode == fcntl.LOCK_UN:
            handle.mode = 0
            return
        for other in self._handles.values():
            if (
                other is not handle
                and other.file == handle.file
                and other.mode
                and fcntl.LOCK_EX in (mode, other.mode)
            ):
                raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        handle.mode = mode

    def _drop(self, number: int) -> None:
        handle = self._handles[number]
        if handle.closed and not handle.children:
            del self._handles[number]


class MemoryDirectory:
    """In place of `bootstrap.private_directory.PrivateDirectory`: a directory on the disk of the process's machine."""

    def __init__(self, state: Path, name: str) -> None:
        self.path = state / name

    def names(self) -> list[str]:
        """Of the files in it."""
        prefix = f"{self.path}/"
        disk = _process().machine.disk
        return sorted(
            one.removeprefix(prefix) for one in (*disk.files, *disk.locks) if one.startswith(prefix)
        )

    def read(self, name: str) -> bytes | None:
        """What is in a file; None where it is not there."""
        return _process().machine.disk.files.get(f"{self.path}/{name}")

    def write(self, name: str, data: bytes) -> None:
        """Replace a file, or create it.

        Raises:
            OSError: the disk is full.
        """
        process = _process()
        process.point("before the journal is written")
        if process.machine.disk.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        process.machine.disk.files[f"{self.path}/{name}"] = data
        process.point("after the journal was written")

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            FileNotFoundError: it is not there.
        """
        process = _process()
        process.point("before the journal is removed")
        if process.machine.disk.files.pop(f"{self.path}/{name}", None) is None:
            raise FileNotFoundError(errno.ENOENT, "No such file", name)

    def clear_drafts(self, name: str) -> None:
        """There are none: a write is whole or not at all."""

    @contextlib.contextmanager
    def open_lock(self, name: str, *, make: bool) -> Iterator[int]:
        """A descriptor of a lock file.

        Raises:
            FileNotFoundError: it is not there, and must not be created.
        """
        process = _process()
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


class MemoryLocks:
    """In place of the module `fcntl`."""

    LOCK_EX, LOCK_SH, LOCK_NB, LOCK_UN = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB, fcntl.LOCK_UN

    @staticmethod
    def flock(descriptor: int, how: int) -> None:
        """Lock, or unlock, as the process that runs now."""
        from bootstrap.testing.simulation.process import current

        current().machine.disk.lock(descriptor, how)


def _process() -> Process:
    from bootstrap.testing.simulation.process import current

    return current()
