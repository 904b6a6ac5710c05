"""Write a file named by an option, without overwriting the user's other files.

A file is written if it is new, empty, or was written by pullkey for the same purpose, which its first bytes
show. Anything else is left alone: a file of registries, a key, a device. Writing is atomic, by a temporary
file in the same folder, so that a full disk destroys nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem


@dataclass(frozen=True)
class OutputFile:
    """A file to write.

    Args:
        path: as typed. If it is a link, the file that it points to is written.
        option: the option's name, for errors.
        kind: what pullkey writes there: "a plan".
        beginning: the first bytes of a file that pullkey may replace; if empty, none is replaced.
        mode: the permissions of a new file.
        keep_mode: whether a replaced file keeps its permissions.
        any_umask: whether the file gets `mode` whatever the umask is.
    """

    path: Path
    option: str
    kind: str
    beginning: bytes = b""
    mode: int = 0o600
    keep_mode: bool = False
    any_umask: bool = False

    def check(self) -> None:
        """Check, before anything else is done, that the file can be written and would not replace another's.

        Raises:
            UsageProblem: it cannot be written.
        """
        path = self._real()
        folder = path.parent
        if not folder.is_dir():
            raise self._unusable(f"{folder} is not a folder", "Create it, or name another.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._unusable(f"{path} cannot be written: no permission to write in {folder}")
        self._mode_there(path)

    def write(self, text: str) -> None:
        """Write the file atomically.

        Raises:
            UsageProblem: it cannot be written. An existing file is unchanged.
        """
        path = self._real()
        draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(
                draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, self.mode
            )
            try:
                if self.any_umask:
                    os.fchmod(descriptor, self.mode)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                self._take_place(draft, path)
            finally:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(f"{path} cannot be written: {error.strerror}") from None

    def _take_place(self, draft: Path, path: Path) -> None:
        there = self._mode_there(path)
        if there is None:
            try:
                os.link(draft, path)  # fails if the file exists by now
            except FileExistsError:
                raise self._unusable(
                    f"{path} is there now, and was not before", "Name another file."
                ) from None
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                    raise
                draft.replace(path)  # a file system without hard links
            return
        if self.keep_mode:
            draft.chmod(there)
        draft.replace(path)

    def _real(self) -> Path:
        try:
            return self.path.resolve()
        except (OSError, RuntimeError) as error:  # a cycle of links
            raise self._unusable(
                f"{self.path} cannot be followed: "
                f"{getattr(error, 'strerror', None) or 'its links form a ring'}"
            ) from None

    def _mode_there(self, path: Path) -> int | None:
        """The permissions of pullkey's existing file; None if there is no file.

        Raises:
            UsageProblem: the existing file is not pullkey's.
        """
        try:
            # Non-blocking: opening a FIFO must not hang.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(f"{path} cannot be read: {error.strerror}") from None
        try:
            found = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(found):
                raise self._unusable(f"{path} is a folder", "Name a file in it.")
            if not stat.S_ISREG(found):
                raise self._unusable(f"{path} is not a regular file", "Name a file.")
            start = os.pread(descriptor, max(len(self.beginning), 1), 0)
        except OSError as error:
            raise self._unusable(f"{path} cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)
        if start and not (self.beginning and start == self.beginning):
            raise self._unusable(
                f"{path} already exists, and is not {self.kind} that pullkey wrote", "Name another file."
            )
        return stat.S_IMODE(found)

    def _unusable(self, what: str, fix: str = "") -> UsageProblem:
        return UsageProblem(f"{self.option}: {what}", fix=fix, code=Code.OUTPUT_FILE)


def open_to_append(
    path: Path, option: str, kind: str, beginning: bytes, *, mode: int = 0o600, reads: bool = False
) -> int:
    """Open a file of lines to append to, and create it if it does not exist. Return its descriptor.

    Args:
        path: the file. It must not be a link.
        option: the option's name, for errors.
        kind: what pullkey writes there: "an audit trail".
        beginning: the first bytes of each line, which identify a file of this kind.
        mode: the permissions of a new file.
        reads: whether the file is read too; else permission to write is enough.

    Raises:
        UsageProblem: it cannot be written, or is a file of another kind.
    """
    fix = "Name a file that is not a link, in a directory that you may write."
    flags = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | flags, mode)
        except PermissionError:
            if reads:
                raise
            descriptor = os.open(path, os.O_WRONLY | flags, mode)
    except OSError as error:
        raise UsageProblem(
            f"{option}: {path} cannot be {'read and ' * reads}written: {error.strerror}",
            fix=fix,
            code=Code.OUTPUT_FILE,
        ) from None
    why = ""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        why = "is not a regular file"
    elif not _begins_with(descriptor, beginning):
        why = f"already exists, and is not {kind} of pullkey's"
    if why:
        os.close(descriptor)
        raise UsageProblem(f"{option}: {path} {why}", fix=fix, code=Code.OUTPUT_FILE)
    return descriptor


def _begins_with(descriptor: int, beginning: bytes) -> bool:
    """Whether a file is of this kind, empty, or not readable (then its owner is trusted)."""
    try:
        start = os.pread(descriptor, len(beginning), 0).lstrip(b"\n")
    except OSError:
        return True
    return beginning.startswith(start.partition(b"\n")[0])
