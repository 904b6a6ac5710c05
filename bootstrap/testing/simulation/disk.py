"""The disk of a simulated machine: files, and locks that are released when the process ends."""

from __future__ import annotations

import errno
import fcntl
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


class Owner(Protocol):
    """A process that holds locks until it ends."""

    @property
    def alive(self) -> bool: ...


@dataclass
class _Handle:
    """An open lock file. Each process that has it open holds the lock, child processes included."""

    file: str
    process: Owner
    mode: int = 0
    """LOCK_EX or LOCK_SH while it is held, else 0."""
    children: int = 0
    closed: bool = False


@dataclass
class Disk:
    """The disk of one machine.

    Attributes:
        full: whether writes fail.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    locks: set[str] = field(default_factory=set)
    full: bool = False
    _handles: dict[int, _Handle] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(3))

    def journals(self) -> list[bytes]:
        """The journals of runs that have not ended, or have left something over."""
        return [data for file, data in self.files.items() if "/journal/" in file]

    def open(self, file: str, process: Owner) -> int:
        """Open a lock file; return its descriptor."""
        number = next(self._numbers)
        self._handles[number] = _Handle(file, process)
        return number

    def close(self, number: int) -> None:
        """Close a descriptor; a child process that has it too keeps the lock."""
        if (handle := self._handles.get(number)) is not None:
            handle.closed = True
            self._drop(number)

    def inherit(self, number: int) -> None:
        """Let a child of the process inherit the descriptor."""
        self._handles[number].children += 1

    def ended(self, number: int) -> None:
        """Record that such a child has ended."""
        if (handle := self._handles.get(number)) is not None:
            handle.children -= 1
            self._drop(number)

    def release(self, process: Owner) -> None:
        """Release the locks of a process that has ended."""
        for number, handle in list(self._handles.items()):
            if handle.process is process:
                self.close(number)

    def lock(self, number: int, how: int) -> None:
        """Lock or unlock, as flock(2) does; never waits.

        Raises:
            BlockingIOError: another process holds it.
        """
        handle = self._handles.get(number)
        if handle is None or not handle.process.alive:
            return  # a killed process may still get here
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
