"""Runs `pullkey` many times without importing the clouds' SDKs each time.

A separate process with one thread imports the command and forks a child for each run. What a child had to
import, the server imports too before the next run, and compiles the regular expressions that it had to
compile. The child behaves like a newly started process: arguments, environment, standard streams and exit
code.

Run as a program it is the server: `python -m bootstrap.testing.harness.fork_server SOCKET`. Tests use
`ForkServer`, most of them the shared one of `fork_server()`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NoReturn, Self

from bootstrap.testing.harness import clock, forked_program
from bootstrap.testing.harness.forked_program import STREAMS

CHANGE = "PULLKEY_TESTS_CHANGE"
"""The variable that names a function which changes the product in each child before it runs:
`MODULE:FUNCTION`, and an argument after a space.
"""


@dataclass(frozen=True)
class Ended:
    """The outcome of a run, with its duration in seconds of its own clock. `code` is None if it had to be
    killed.
    """

    code: int | None
    out: str
    err: str
    seconds: float


class ForkServer:
    """Starts the server on entry, ends it on exit. Thread-safe; can be pickled for other processes.

    Attributes:
        warm: the commands that it has run before, so that it imports nothing more for them (see
            `stage.warm`).
    """

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="pullkey-fork-")
        self._address = Path(self._directory.name, "socket")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "bootstrap.testing.harness.fork_server", str(self._address)],
            stdin=subprocess.PIPE,
            # The server can import what this process can: a provider author's modules, and those of tests.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(one).resolve()) for one in sys.path)},
        )
        end = time.monotonic() + 120
        while not self._address.exists():
            if self._server.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the fork server did not start")
            time.sleep(0.02)
        self._number = 0
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self.warm: set[str] = set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() != self._owner:
            return  # of a fork; the parent continues with it
        self._server.terminate()
        self._server.communicate(timeout=10)
        self._directory.cleanup()

    def __getstate__(self) -> dict[str, Any]:
        return {"_address": self._address, "_owner": self._owner}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, _number=0, _lock=threading.Lock(), warm=set())

    def run(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        *,
        stdin: str | None = None,
        limit: float = 120.0,
        program: str = "pullkey",
        terminal: str = "",
    ) -> Ended:
        """Run `pullkey ARGUMENTS`, or the function `program`, given as `module:function`, instead.

        Args:
            arguments: after the name of the program.
            env: the whole environment.
            stdin: its input; empty by default.
            limit: seconds after which it is killed.
            program: the function that is run.
            terminal: the device of a terminal, which becomes all three streams.
        """
        with self._lock:
            self._number += 1
            number = self._number
        base = str(self._address.with_name(f"{os.getpid()}-{number}"))
        Path(f"{base}.in").write_text(stdin or "", encoding="utf-8")
        shared = clock.SharedClock(path) if (path := env.get(clock.VARIABLE)) else None
        now = shared.monotonic if shared else time.monotonic
        begin = now()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._address))
            asked = {
                "program": program,
                "argv": list(arguments),
                "env": dict(env),
                "base": base,
                "folder": str(Path.cwd()),
                "change": os.environ.get(CHANGE, ""),
                "terminal": terminal,
            }
            connection.sendall(json.dumps(asked).encode() + b"\n")
            answers = connection.makefile()
            pid = int(answers.readline())
            connection.settimeout(limit)
            try:
                code: int | None = int(answers.readline())
            except TimeoutError:
                code = None
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        seconds = now() - begin
        out, err = (
            Path(f"{base}.{name}").read_text(encoding="utf-8", errors="replace") for name in ("out", "err")
        )
        for name in ("in", "out", "err", "learnt"):
            Path(f"{base}.{name}").unlink(missing_ok=True)
        return Ended(code, out, err, seconds)

    def program(self, folder: Path) -> Path:
        """Write a program `pullkey` for scripts into a folder; see `forked_program`."""
        program = folder / "pullkey"
        command = [sys.executable, "-I", "-S", forked_program.__file__, str(self._address)]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        return program


def restore_signals() -> None:
    """Restore SIGINT and SIGHUP: shells start background jobs with them ignored; pullkey respects that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


_STARTING = threading.Lock()


def fork_server() -> ForkServer:
    """The shared server of this process, started at first use by any thread."""
    with _STARTING:
        return _shared()


def close_fork_server() -> None:
    """End the shared server of this process, if it was started."""
    if _shared.cache_info().currsize:
        _shared().__exit__(None, None, None)
        _shared.cache_clear()


@functools.cache
def _shared() -> ForkServer:
    return ForkServer().__enter__()


# -- the server ----------------------------------------------------------------------------------------------


def _serve(address: str) -> None:
    warnings.simplefilter("ignore")
    restore_signals()
    entry = importlib.import_module("bootstrap.__main__")
    gc.set_threshold(entry.GC_THRESHOLD)
    importlib.import_module(
        "bootstrap.plugin.entry_points"
    ).installed()  # the installed providers stay the same
    watch = _load_watch()
    children: dict[int, tuple[socket.socket, str]] = {}
    listener = socket.socket(socket.AF_UNIX)
    # The address appears only once it listens, since a client connects as soon as it sees it.
    listener.bind(f"{address}.new")
    listener.listen(64)
    Path(f"{address}.new").rename(address)
    listener.settimeout(0.02)
    parent = os.getppid()
    while os.getppid() == parent:  # it must not outlive the process that started it
        with contextlib.suppress(TimeoutError):
            connection, _ = listener.accept()
            connection.settimeout(10)
            asked = json.loads(connection.makefile().readline())
            streams = _received(connection) if asked.get(STREAMS) else []
            gc.freeze()
            pid = os.fork()
            if pid == 0:
                inherited = [listener, connection, *(one for one, _ in children.values())]
                _child(asked, watch, inherited, streams)
            for stream in streams:
                os.close(stream)
            connection.sendall(f"{pid}\n".encode())
            children[pid] = (connection, asked["base"])
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            connection, base = children.pop(pid)
            _learn(base)
            with contextlib.suppress(OSError):
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            connection.close()


def _learn(base: str) -> None:
    """Do what a child had to do that is the same in each process."""
    try:
        learnt = json.loads(Path(f"{base}.learnt").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it was killed
        return
    for name in learnt["modules"]:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    for pattern, flags in learnt["patterns"]:
        # One that is in a single run only may be made of what was in that run.
        if (pattern, flags) in _patterns:
            re.compile(pattern, flags)
        _patterns.add((pattern, flags))


_patterns: set[tuple[str, int]] = set()


def _known_patterns() -> set[tuple[str, int]]:
    """The regular expressions of text that `re` keeps compiled."""
    return {(pattern, flags) for _, pattern, flags in getattr(re, "_cache", ()) if isinstance(pattern, str)}


def _load_watch() -> ModuleType:
    """Load the leak watcher, which a newly started process imports by itself."""
    spec = importlib.util.spec_from_file_location(
        "watch", Path(__file__).with_name("watch") / "sitecustomize.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _received(connection: socket.socket) -> list[int]:
    """The standard streams of a client that sends its own."""
    connection.sendall(b"\n")
    return socket.recv_fds(connection, 1, 3)[1]


def _child(
    asked: Mapping[str, Any], watch: ModuleType, inherited: Sequence[socket.socket], streams: list[int]
) -> NoReturn:
    code = 1
    try:
        known, patterns = set(sys.modules), _known_patterns()
        for one in inherited:
            one.close()
        base = asked["base"]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        files = streams or [
            os.open(f"{base}.in", os.O_RDONLY),
            os.open(f"{base}.out", flags, 0o600),
            os.open(f"{base}.err", flags, 0o600),
        ]
        if asked["terminal"]:
            os.setsid()  # so that the terminal is this process's own
            files = [os.open(asked["terminal"], os.O_RDWR) for _ in files]
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
        # Before the watcher starts: it belongs to the test.
        learnt = os.open(f"{base}.learnt", flags, 0o600)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["env"])
        sys.argv = ["pullkey", *asked["argv"]]
        _read_environment_again()
        if asked["change"]:
            name, _, argument = asked["change"].partition(" ")
            _named(name)(*[argument] if argument else [])
        if path := os.environ.get(clock.VARIABLE):
            clock.follow(path)
        if folder := os.environ.get("PULLKEY_TESTS_WATCH"):
            watch.begin(folder)
        code = _run(asked["program"])
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        # In the order in which their import began: a package before its modules.
        new = {
            "modules": [name for name in sys.modules if name not in known],
            "patterns": sorted(_known_patterns() - patterns),
        }
        os.write(learnt, json.dumps(new).encode())
    finally:
        os._exit(code)


def _read_environment_again() -> None:
    """Reset what a module read from the environment at import: aiohttp's trusted certificates. It is read
    again when needed.
    """
    connector = sys.modules.get("aiohttp.connector")
    if connector is None:
        return
    make = connector.TCPConnector.__init__

    def make_anew(self: Any, *arguments: Any, **options: Any) -> None:
        connector.TCPConnector.__init__ = make  # it is read once
        connector._SSL_CONTEXT_VERIFIED = connector._make_ssl_context(True)  # type: ignore[attr-defined]
        make(self, *arguments, **options)

    connector.TCPConnector.__init__ = make_anew


def _named(name: str) -> Callable[..., object]:
    """Import the function that `MODULE:FUNCTION` names."""
    module, _, function = name.partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), function)
    return found


def _run(program: str) -> int:
    try:
        if program == "pullkey":
            from bootstrap.cli import main
            from bootstrap.model import early_signals

            early_signals.interrupt_from_here()  # as `bootstrap.__main__.run` does
            main()
        _named(program)()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException as error:  # noqa: BLE001  - as the interpreter does it
        sys.audit("sys.excepthook", sys.excepthook, type(error), error, error.__traceback__)
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
