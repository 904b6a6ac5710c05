"""Where the lines of an audit trail go: a file, or a stream that is not read back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from bootstrap.engine.audit_chain import BEGINNING, START, hash_of, line_of
from bootstrap.files.output_file import open_to_append
from bootstrap.model.errors import UsageProblem

_LOCK_TRIES, _LOCK_PAUSE = 1_000, 0.01
_PART = 1 << 16


class Sink(Protocol):
    """Takes the lines of one command's trail."""

    def append(self, fields: Mapping[str, Any]) -> None:
        """Append one line, chained to the one before it.

        Raises:
            OSError: it could not be written.
        """

    def sync(self) -> None:
        """Have the lines so far outlast a crash of the machine.

        Raises:
            OSError: they may not.
        """

    def close(self) -> None: ...


class AuditStream:
    """A chain of its own, which begins with the first line of this command.

    Args:
        emit: takes a line without its line break. Raises OSError if it could not be written.
    """

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._prev = START

    def append(self, fields: Mapping[str, Any]) -> None:
        line = line_of(fields, self._prev, ascii_only=True)
        self._emit(line)
        self._prev = hash_of(line)

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


class AuditFile:
    """A file that several processes may append to at once. It is never rewritten.

    If it is renamed meanwhile, as logrotate does, the next line begins a new file of the same name.
    """

    def __init__(self, path: Path) -> None:
        """Open it, and create it if it does not exist.

        Raises:
            UsageProblem: it cannot be written and read, or is another kind of file.
        """
        self._path = path
        self._lock_tries = _LOCK_TRIES
        self.descriptor = self._open()

    def _open(self) -> int:
        return open_to_append(self._path, "--audit", "an audit trail", BEGINNING, reads=True)

    def append(self, fields: Mapping[str, Any]) -> None:
        with self._locked():
            last, ended = _last_line(self.descriptor)
            line = line_of(fields, hash_of(last)) + b"\n"
            # A line that a full disk has torn ends here; this one must be whole.
            _write_all(self.descriptor, line if ended else b"\n" + line)

    def sync(self) -> None:
        # Not after each line: thousands of targets write tens of thousands, each of which the run would wait
        # for. Some file systems report only here that there was no room for a line.
        os.fsync(self.descriptor)

    def close(self) -> None:
        os.close(self.descriptor)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from writing between the last line and the next one, in the file of this name."""
        locked = self._lock()
        if self._was_renamed():
            # Unlocks the renamed file. If there can be no new one, the renamed one takes this line too.
            with contextlib.suppress(UsageProblem):
                renamed, self.descriptor = self.descriptor, self._open()
                with contextlib.suppress(OSError):
                    os.fsync(renamed)
                os.close(renamed)
                locked = self._lock()
        try:
            yield
        finally:
            if locked:
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        """Try to lock the file. A line is written even without the lock. After one timeout, later lines try
        only once.
        """
        for _ in range(self._lock_tries):
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE)
            except OSError:
                return False  # a file system without locks
            else:
                return True
        self._lock_tries = 1
        return False

    def _was_renamed(self) -> bool:
        try:
            return not os.path.samestat(self._path.lstat(), os.fstat(self.descriptor))
        except FileNotFoundError:
            return True
        except OSError:
            return False


def _last_line(descriptor: int) -> tuple[bytes | None, bool]:
    """The last line without its line break, None if there is no line; and whether it has a line break."""
    size = os.fstat(descriptor).st_size
    if not size:
        return None, True
    ended = os.pread(descriptor, 1, size - 1) == b"\n"
    begin = size - ended
    parts: list[bytes] = []
    while begin > 0:
        end, begin = begin, max(0, begin - _PART)
        _, line_break, after = os.pread(descriptor, end - begin, begin).rpartition(b"\n")
        parts.append(after)
        if line_break:
            break
    return b"".join(reversed(parts)), ended


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
