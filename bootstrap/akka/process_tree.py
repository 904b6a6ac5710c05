"""Find and kill the processes that a program has started, including those that left its process group.

A daemon leaves the group with `setsid`, so each call has a mark in its environment, which its children
inherit. A process that has cleared its environment is recognised by its parent, or by the key in its
arguments.

Not found: a process that has cleared its environment, lost its parent and shows no key; and on a system
without `/proc`, one whose environment `ps` does not show and whose parent has ended (on macOS: a program of
the system itself).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.model.secret import Secret

_PROC = Path("/proc")
_MARK = "PULLKEY_CALL"
_LOOK_SECONDS = 2.0  # keep killing for this long: processes may restart themselves
_PAUSE_SECONDS = 0.02
_PS_SECONDS = 5.0
_INIT = 1


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    mark: str | None
    """The mark of its call; "" if it has none, None if its environment cannot be read."""
    shows_key: bool


@dataclass(frozen=True)
class Call:
    """One call of a program, with all processes that it starts.

    Args:
        password: the argument with the password, as flag and value.
    """

    password: tuple[str, Secret] | None = None
    _mark: str = field(default_factory=lambda: secrets.token_hex(16))

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """The environment for the program, with the mark of this call."""
        return {**env, _MARK: self._mark}

    def kill(self, pid: int, *, all_of_it: bool = True) -> None:
        """Kill the process group and the processes that left it, until none is found.

        Args:
            pid: the program, which leads the group.
            all_of_it: kill all processes that left the group; if not, only those that show the key in their
                arguments.
        """
        until = time.monotonic() + _LOOK_SECONDS
        while True:
            found = self._found(pid, all_of_it=all_of_it)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            for one in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(one, signal.SIGKILL)
            if not found or time.monotonic() > until:
                return
            time.sleep(_PAUSE_SECONDS)

    def _found(self, pid: int, *, all_of_it: bool) -> set[int]:
        seen = list(self._processes())
        found = {pid}
        grown = 0
        while grown != len(found):  # until no further process has a parent among those found
            grown = len(found)
            found |= {one.pid for one in seen if self._is_of_it(one, found, all_of_it=all_of_it)}
        return found - {pid, os.getpid()}

    def _is_of_it(self, one: _Process, found: set[int], *, all_of_it: bool) -> bool:
        if one.mark == self._mark:
            return all_of_it or one.shows_key
        if one.mark:
            return False  # of another call, perhaps with the same password
        # Without its environment, it counts only if it has lost its parent: it may be another run's.
        shows = one.shows_key and (one.mark is not None or one.parent == _INIT)
        return shows or (all_of_it and one.parent in found)

    def _processes(self) -> Iterator[_Process]:
        """The processes of this user."""
        if not (_PROC / "self/environ").exists():
            yield from self._from_ps()
            return
        for folder in _PROC.glob("[0-9]*"):
            # It may have ended meanwhile, or belong to another user.
            with contextlib.suppress(OSError, ValueError, IndexError):
                if folder.stat().st_uid != os.getuid():
                    continue
                state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    yield _Process(int(folder.name), int(parent), _mark_in(folder), self._shows(folder))

    def _shows(self, folder: Path) -> bool:
        # Keep the arguments out of local variables.
        return self.password is not None and _argument(self.password) in (folder / "cmdline").read_bytes()

    def _from_ps(self) -> Iterator[_Process]:
        command = [
            "ps",
            "-A",
            "-ww",
            *(["-E"] if sys.platform == "darwin" else []),
            "-o",
            "pid=,ppid=,stat=,command=",
        ]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PS_SECONDS, check=False
            )
            for line in done.stdout.splitlines():
                pid, parent, state, command_line = [*line.split(maxsplit=3), b""][:4]
                if not state.startswith(b"Z"):
                    _, marked, rest = command_line.partition(f"{_MARK}=".encode())
                    shows = self.password is not None and _argument(self.password) in command_line
                    yield _Process(
                        int(pid), int(parent), rest[:32].decode(errors="replace") if marked else None, shows
                    )


def _argument(password: tuple[str, Secret]) -> bytes:
    """The flag with its value: a short password alone could occur in any program's arguments."""
    return f"{password[0]}{password[1].reveal()}".encode(errors="surrogateescape")


def _mark_in(folder: Path) -> str | None:
    try:
        variables = (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    name = f"{_MARK}=".encode()
    return next((one[len(name) :].decode(errors="replace") for one in variables if one.startswith(name)), "")
