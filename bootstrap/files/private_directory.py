"""A directory that only its owner and root can have written, since its files decide what is deleted.

Each directory on the path is opened relative to its parent and checked once it is open, so that none can be
exchanged in between. A link is followed only if no other user could have created it. OpenSSH has the same
rules for the path to `authorized_keys` (misc.c, `safe_path`; a user's own group is allowed, as in Debian's
`user-group-modes.patch`).
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import secrets
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem

Stamp = tuple[int, int, int]
"""Of a file: its inode, the time of its last change, and its size."""
_MOST_LINKS = 40
_MOST_BYTES = 10_000_000
_ANOTHER = "Name another place with PULLKEY_STATE_DIR"
# Enough to open entries of a directory that the user may not list.
_PASS = getattr(os, "O_PATH", os.O_RDONLY)


class UnsafePlace(UsageProblem):
    """Another user may have written the directory or file."""

    code = Code.STATE_DIR_UNTRUSTED


class PrivateDirectory:
    """A directory in the state directory, created when it is first written.

    Args:
        state: the state directory.
        name: the name of the directory in it. Only its owner has access.
    """

    def __init__(self, state: Path, name: str) -> None:
        self._state = state
        self._name = name

    @property
    def path(self) -> Path:
        return self._state / self._name

    @contextlib.contextmanager
    def opened(self, *, make: bool = False) -> Iterator[int]:
        """Open the directory. Yield its descriptor.

        Raises:
            UnsafePlace: another user could have written it.
            OSError: it does not exist, or cannot be opened or created.
        """
        state = _walk(Path(os.path.abspath(self._state)), make=make)  # noqa: PTH100  - `resolve` would follow links
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self._name, 0o700, dir_fd=state)
            descriptor = os.open(
                self._name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=state
            )
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise UnsafePlace(
                    f"{self.path} is a link or a file, where there should be a directory",
                    fix=f"Look at it, and remove it. {_ANOTHER}.",
                ) from None
            raise
        finally:
            os.close(state)
        try:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid():
                raise _unsafe(self.path, found)
            _check(self.path, found)
            yield descriptor
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """The names of its files, sorted; none if it does not exist."""
        try:
            with self.opened() as directory:
                return sorted(os.listdir(directory))  # noqa: PTH208  - of a descriptor
        except (FileNotFoundError, NotADirectoryError):
            return []

    def stamps(self) -> dict[str, Stamp]:
        """What differs once a file was written again, by the names of its files, sorted; none if it does not
        exist.
        """
        found = {}
        try:
            with self.opened() as directory:
                for name in sorted(os.listdir(directory)):  # noqa: PTH208  - of a descriptor
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
                        found[name] = seen.st_ino, seen.st_mtime_ns, seen.st_size
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return found

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it does not exist.

        Raises:
            UnsafePlace: it is not a file of this user's.
            OSError: it cannot be read.
        """
        try:
            with (
                self.opened() as directory,
                self._file(os.open(name, _READ, dir_fd=directory), name) as descriptor,
                open(descriptor, "rb", closefd=False) as file,
            ):
                # `read` allocates what it is asked for.
                return file.read(min(os.fstat(descriptor).st_size + 1, _MOST_BYTES))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._not_a_file(error, name) from None

    def write(self, name: str, data: bytes) -> None:
        """Replace or create a file, atomically and synced to the disk.

        Raises:
            UnsafePlace: another user could have written the directory.
            OSError: it cannot be written.
        """
        draft = f".{name}.{secrets.token_hex(8)}"
        with self.opened(make=True) as directory:
            try:
                descriptor = os.open(
                    draft,
                    os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                    0o600,
                    dir_fd=directory,
                )
                with open(descriptor, "wb") as file:  # noqa: PTH123  - of a descriptor
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(draft, dir_fd=directory)
                raise
            _sync_directory(directory)

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            UnsafePlace: another user could have written the directory.
            OSError: it does not exist, or cannot be removed.
        """
        with self.opened() as directory:
            os.unlink(name, dir_fd=directory)

    def prepare(self, name: str) -> None:
        """Create the directory, and remove temporary files that killed writers of a file have left. Call it
        only while no one writes the file.

        Raises:
            UnsafePlace: another user could have written the directory.
            OSError: it cannot be created.
        """
        with self.opened(make=True) as directory:
            for draft in os.listdir(directory):  # noqa: PTH208  - of a descriptor
                if draft.startswith(f".{name}."):
                    with contextlib.suppress(OSError):
                        os.unlink(draft, dir_fd=directory)

    @contextlib.contextmanager
    def open_lock(self, name: str, *, make: bool) -> Iterator[int]:
        """Open an empty file for locking. Yield its descriptor.

        Raises:
            UnsafePlace: it is not a file of this user's.
            OSError: it cannot be opened or created.
        """
        flags = os.O_RDWR | os.O_CREAT if make else os.O_RDONLY
        try:
            with self.opened(make=make) as directory:
                found = os.open(name, flags | _SAFELY, 0o600, dir_fd=directory)
        except OSError as error:
            raise self._not_a_file(error, name) from None
        with self._file(found, name) as descriptor:
            yield descriptor

    @contextlib.contextmanager
    def _file(self, descriptor: int, name: str) -> Iterator[int]:
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise self._not_a_file(None, name)
            if found.st_uid != os.geteuid():
                raise _unsafe(self.path / name, found)
            _check(self.path / name, found)
            yield descriptor
        finally:
            os.close(descriptor)

    def _not_a_file(self, error: OSError | None, name: str) -> OSError | UnsafePlace:
        if error is None or error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            return UnsafePlace(
                f"{self.path / name} is a link or a special file, where there should be a file of pullkey's",
                fix="Look at it, and remove it.",
            )
        return error


def _sync_directory(directory: int) -> None:
    """Sync a directory, where its file system can: CIFS before Linux 4.17, for example, cannot."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOTTY):
            raise


# Opening a FIFO or a device must neither hang nor have an effect.
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_READ = os.O_RDONLY | _SAFELY


def _walk(path: Path, *, make: bool) -> int:
    """Open a directory and check every directory on the path to it. Return its descriptor.

    Raises:
        UnsafePlace: another user could have replaced one of them.
        OSError: it does not exist, or cannot be opened or created.
    """
    here, descriptor = Path("/"), os.open("/", _PASS | os.O_DIRECTORY | os.O_CLOEXEC)
    ahead, links = list(path.parts[1:]), 0
    try:
        _check(here, os.fstat(descriptor))
        while ahead:
            name = ahead.pop(0)
            there = here / name
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                if not make:
                    raise
                # Private whatever the umask, and so are the directories on the path that are created.
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=descriptor)
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                _check_owner(there, found)
                target = Path(os.readlink(name, dir_fd=descriptor))
                ahead = [*target.parts, *ahead]
                if target.is_absolute():
                    ahead.pop(0)
                    os.close(descriptor)
                    descriptor = -1
                    here, descriptor = Path("/"), os.open("/", _PASS | os.O_DIRECTORY | os.O_CLOEXEC)
                continue
            child = os.open(name, _PASS | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            here, descriptor = there, child
            _check(here, os.fstat(descriptor))
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
        raise
    return descriptor


def _check(path: Path, found: os.stat_result) -> None:
    """Check that only the owner, who must be root or this user, can write there.

    Raises:
        UnsafePlace: another user can.
    """
    _check_owner(path, found)
    mode = found.st_mode
    if not mode & (stat.S_IWGRP | stat.S_IWOTH):
        return
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX and found.st_uid == 0:
        return  # sticky, like /tmp: entries belong to their owners
    if mode & stat.S_IWOTH or not _is_ours_alone(found.st_gid):
        raise _unsafe(path, found)


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise _unsafe(path, found)


def _is_ours_alone(group: int) -> bool:
    """Whether a group has no other members: the user's own group of the same name, or a group without a name
    in a container that runs with a numeric user.
    """
    if group != os.getegid():
        return False
    try:
        found = grp.getgrgid(group)
    except KeyError:
        return True
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return found.gr_name == name and set(found.gr_mem) <= {name}


def _unsafe(path: Path, found: os.stat_result) -> UnsafePlace:
    owner, ours = _user(found.st_uid), found.st_uid == os.geteuid()
    what = (
        f"{path} (owner {owner}, mode {stat.S_IMODE(found.st_mode):04o}) could have been written by a "
        f"user other than {_user(os.geteuid())}"
    )
    fix = (
        f"Look at what is in it, then: chmod go-w {shlex.quote(str(path))}. Or name another place "
        "with PULLKEY_STATE_DIR"
        if ours or found.st_uid == 0
        else f"{_ANOTHER}, that is yours"
    )
    return UnsafePlace(f"{what}, so what is there is not used; nothing was changed", fix=fix)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
