"""The files that an option names to be written: one rule for all of them.

A file is written if it is new, is empty, or was written by pullkey for the same purpose before, which its
first bytes say. Anything else is somebody's and stays: a registries file, a key, a device. It is written
whole or not at all, under another name in the same folder first, so that a full disk takes nothing away.
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
    """A file to be written.

    Args:
        path: as it was typed; a link stays one, and the file that it names is written.
        option: that names it, for errors.
        kind: what pullkey writes there: "a plan".
        beginning: by which one that pullkey wrote is known; none is replaced without it.
        mode: of a new file.
        keep_mode: whether one that is replaced keeps the permissions that it has.
    """

    path: Path
    option: str
    kind: str
    beginning: bytes = b""
    mode: int = 0o600
    keep_mode: bool = False

    def check(self) -> None:
        """Look at it before anything else is done: it can be written, and nothing of anybody's is replaced.

        Raises:
            UsageProblem: it cannot.
        """
        path = self._real()
        folder = path.parent
        if not folder.is_dir():
            raise self._unfit(f"{folder} is not a folder", "Create it, or name another.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._unfit(f"{path} cannot be written: no permission to write in {folder}")
        self._mode_there(path)

    def write(self, text: str) -> None:
        """Write it.

        Raises:
            UsageProblem: it cannot be written; what was there is there still.
        """
        path = self._real()
        draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(
                draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, self.mode
            )
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                self._take_place(draft, path)
            finally:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
        except OSError as error:
            raise self._unfit(f"{path} cannot be written: {error.strerror}") from None

    def _take_place(self, draft: Path, path: Path) -> None:
        there = self._mode_there(path)
        if there is None:
            try:
                os.link(draft, path)  # which replaces nothing, whoever was faster
            except FileExistsError:
                raise self._unfit(f"{path} is there now, and was not before", "Name another file.") from None
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
        except (OSError, RuntimeError) as error:  # a ring of links
            raise self._unfit(
                f"{self.path} cannot be followed: "
                f"{getattr(error, 'strerror', None) or 'its links form a ring'}"
            ) from None

    def _mode_there(self, path: Path) -> int | None:
        """The permissions of the file of ours that is to be replaced; None where there is none.

        Raises:
            UsageProblem: what is there is not pullkey's.
        """
        try:
            # A FIFO must not hang.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unfit(f"{path} cannot be read: {error.strerror}") from None
        try:
            found = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(found):
                raise self._unfit(f"{path} is a folder", "Name a file in it.")
            if not stat.S_ISREG(found):
                raise self._unfit(f"{path} is not a regular file", "Name a file.")
            start = os.pread(descriptor, max(len(self.beginning), 1), 0)
        except OSError as error:
            raise self._unfit(f"{path} cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)
        if start and not (self.beginning and start == self.beginning):
            raise self._unfit(
                f"{path} is there already, and is not {self.kind} that pullkey wrote", "Name another file."
            )
        return stat.S_IMODE(found)

    def _unfit(self, what: str, fix: str = "") -> UsageProblem:
        return UsageProblem(f"{self.option}: {what}", fix=fix, code=Code.OUTPUT_FILE)


def open_to_append(path: Path, option: str, kind: str, beginning: bytes, *, mode: int = 0o600) -> int:
    """Open a file of lines to be appended to, made if it is not there; returns its descriptor.

    Args:
        path: the file; no link.
        option: that names it, for errors.
        kind: what pullkey writes there: "an audit trail".
        beginning: of each line, by which a file of this kind is known; nothing is appended to another.
        mode: of a new file.

    Raises:
        UsageProblem: it cannot be written, or is another file.
    """
    fix = "Name a file that is not a link, in a directory that you may write."
    flags = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | flags, mode)
        except PermissionError:
            descriptor = os.open(path, os.O_WRONLY | flags, mode)  # one that may be written and not read
    except OSError as error:
        raise UsageProblem(
            f"{option}: {path} cannot be written: {error.strerror}", fix=fix, code=Code.OUTPUT_FILE
        ) from None
    why = ""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        why = "is not a regular file"
    elif not _begins_with(descriptor, beginning):
        why = f"is there already, and is not {kind} of pullkey's"
    if why:
        os.close(descriptor)
        raise UsageProblem(f"{option}: {path} {why}", fix=fix, code=Code.OUTPUT_FILE)
    return descriptor


def _begins_with(descriptor: int, beginning: bytes) -> bool:
    """Whether a file is of this kind, or empty; one that cannot be read is its owner's business."""
    try:
        start = os.pread(descriptor, len(beginning), 0).lstrip(b"\n")
    except OSError:
        return True
    return beginning.startswith(start.partition(b"\n")[0])
