"""Watches a Python process from within, for the leak scan; Python imports this at start-up, before the
product.

It is on `PYTHONPATH` of the processes that `World.run` starts, and writes what it sees to the folder
`PULLKEY_TESTS_WATCH`. Audit hooks are exact: nothing is sampled. It watches: child processes, with their
arguments and environment; files opened for writing, and their content when they are renamed or removed;
connections and name lookups; variables that are set; exceptions that end the process, with the locals of
their frames. All loggers are set to their lowest level and written to a file.

It also records what to search for: the value of every `Secret` that is created. With
`PULLKEY_TESTS_WATCH_DEEP` it inspects all objects and frames of the product, and of
`PULLKEY_TESTS_WATCH_PACKAGES`, at the moment at which Akka is given the key, for the key and for the logins
in the file that it names.
"""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import pickle
import sys
import time
import traceback
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OURS = ("bootstrap", "providers")
_PIECE = 12


def _absolute(path: str, directory: int) -> str:
    """A path, relative to an open directory if there is one (-1 for none)."""
    if directory >= 0 and not path.startswith("/"):
        path = f"{os.readlink(f'/proc/self/fd/{directory}')}/{path}"  # noqa: PTH115
    return os.path.abspath(path)  # noqa: PTH100


def _directory_of_the_caller() -> int:
    """The open directory in which the journal's files are opened by name, which Python's audit event lacks;
    -1 for none.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "bootstrap.files.private_directory":
            found = frame.f_locals.get("directory")
            return found if isinstance(found, int) else -1
        frame = frame.f_back
    return -1


class _Watch:
    def __init__(self, folder: str) -> None:
        path = os.path.join(folder, f"{os.getpid()}-{time.monotonic_ns()}")  # noqa: PTH118 - pathlib is slow to import
        self._records = os.open(f"{path}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._deep = os.environ.get("PULLKEY_TESTS_WATCH_DEEP", "")
        self._raise_at = os.environ.get("PULLKEY_TESTS_WATCH_RAISE", "")
        self._events = {
            "open": self.opened,
            "os.rename": self.moved,
            "os.remove": self.moved,
            "os.link": self.named,
            "os.symlink": self.named,
            "os.putenv": self.named,
            "os.exec": self.named,
            "os.posix_spawn": self.named,
            "os.spawn": self.named,
            "os.system": self.named,
            "subprocess.Popen": self.started,
            "socket.connect": self.connected,
            "socket.sendto": self.connected,
            "socket.getaddrinfo": self.looked_up,
            "sys.excepthook": self.ended,
            "sys.unraisablehook": self.unraisable,
        }
        self.log = logging.FileHandler(f"{path}.log", encoding="utf-8", delay=True)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        handle = self._events.get(event)
        if handle is not None:
            handle(event, arguments)

    def tell(self, event: str, **facts: Any) -> None:
        line = json.dumps({"event": event, "at": time.monotonic(), **facts}, default=_text)
        os.write(self._records, f"{line}\n".encode())

    def opened(self, event: str, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        if flags & _WRITES and not isinstance(path, int):
            self.tell(event, path=_absolute(_text(path), _directory_of_the_caller()))

    def moved(self, event: str, arguments: tuple[Any, ...]) -> None:
        path = _absolute(_text(arguments[0]), arguments[-1] if event == "os.remove" else arguments[2])
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                content = file.read(1_000_000).decode(errors="replace")
        except OSError:
            return
        if ".pyc" not in path:
            self.tell(event, path=path, content=content)

    def named(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.tell(event, arguments=[_text(one) for one in arguments])

    def started(self, event: str, arguments: tuple[Any, ...]) -> None:
        program, command, _, environment = arguments
        argv = [_text(one) for one in command] if isinstance(command, list | tuple) else [_text(command)]
        told = environment if environment is not None else os.environ
        variables = {_text(name): _text(value) for name, value in told.items()}
        with_key = [one for one in argv if one.startswith("--docker-password=")]
        if with_key and self._deep:
            with open(self._deep, encoding="utf-8") as file:  # noqa: PTH123
                logins = file.read().splitlines()
            looks = [_look(secret) for secret in (with_key[0].partition("=")[2], *logins)]
            self.tell(
                "looked", **looks[0] | {"hits": sorted({hit for look in looks for hit in look["hits"]})}
            )
        self.tell(event, program=_text(program), argv=argv, environment=variables)
        if with_key and self._raise_at == "handoff":
            raise RuntimeError(f"the exception of a failing subprocess, which carries {argv}")

    def connected(self, event: str, arguments: tuple[Any, ...]) -> None:
        address = arguments[-1]
        self.tell(event, to=address[0] if isinstance(address, tuple) else f"unix:{_text(address)}")

    def looked_up(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.tell(event, host=_text(arguments[0]))

    def ended(self, event: str, arguments: tuple[Any, ...]) -> None:
        _, kind, value, trace = arguments
        self.tell(
            event,
            text="".join(traceback.TracebackException(kind, value, trace, capture_locals=True).format()),
        )

    def unraisable(self, event: str, arguments: tuple[Any, ...]) -> None:
        one = arguments[1]
        told = traceback.TracebackException(
            one.exc_type, one.exc_value, one.exc_traceback, capture_locals=True
        )
        self.tell(event, text="".join(told.format()))

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As an import hook: wait for the module that defines `Secret`."""
        if name != "bootstrap.model.secret":
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def run_and_listen(module: ModuleType) -> None:
            run(module)
            self.listen(module)

        spec.loader.exec_module = run_and_listen  # type: ignore[method-assign]
        return spec

    def listen(self, module: ModuleType) -> None:
        """Record every secret that is created from now on."""
        make = module.Secret.__init__

        def heard(secret: Any, value: str) -> None:
            self.tell("secret", value=value)
            make(secret, value)

        module.Secret.__init__ = heard

    def limits(self) -> None:
        """The limits that the process has set for itself, at its end."""
        import resource

        with open("/proc/self/status", encoding="utf-8") as file:  # noqa: PTH123
            dumps = "CoreDumping" in file.read()
        self.tell(
            "end",
            core=resource.getrlimit(resource.RLIMIT_CORE),
            dumpable=_dumpable(),
            dumps=dumps,
            argv=sys.argv,
        )


def _dumpable() -> int:
    import ctypes

    return int(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))


def _look(key: str) -> dict[str, Any]:
    """List the objects of the product, and the locals of its frames, that contain the key: as text, or
    pickled.
    """
    private = key
    if "PRIVATE KEY" in key:
        # As in `leak_scan.secret_parts`: the first half of it is public.
        lines = str(json.loads(key)["private_key"]).strip().splitlines()[1:-1]
        private = "".join(line.ljust(_PIECE) for line in lines[len(lines) // 2 :])
    parts = [private[at : at + _PIECE] for at in range(0, len(private) - _PIECE + 1, _PIECE // 2)] or [
        private
    ]

    def shows(text: str) -> bool:
        return any(part in text for part in parts)

    ours = (*_OURS, *os.environ.get("PULLKEY_TESTS_WATCH_PACKAGES", "").split())
    hits, seen = [], 0
    for one in gc.get_objects():
        if str(getattr(type(one), "__module__", "")).partition(".")[0] not in ours:
            continue
        seen += 1
        for form in (
            repr,
            str,
            format,
            _pickled,
            lambda one: str(vars(one)) if hasattr(one, "__dict__") else "",
        ):
            try:
                text = form(one)
            except Exception as error:  # noqa: BLE001 - what cannot be shown shows nothing, but its error might
                text = str(error)
            if shows(text):
                hits.append(f"{type(one).__qualname__} as {getattr(form, '__name__', 'text')}")
    frame, frames = sys._getframe(1), 0
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in ours:
            frames += 1
            hits += [
                f"{frame.f_code.co_qualname}: {name}"
                for name, value in frame.f_locals.items()
                if shows(repr(value))
            ]
        frame = frame.f_back  # type: ignore[assignment]
    with open("/proc/self/environ", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        hits += ["environ"] if shows(file.read() + repr(os.environ)) else []
    with open("/proc/self/cmdline", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        hits += ["cmdline"] if shows(file.read()) else []
    return {"objects": seen, "frames": frames, "hits": sorted(set(hits))}


def _pickled(one: Any) -> str:
    return pickle.dumps(one, protocol=0).decode("latin-1")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def begin(folder: str) -> None:
    """Watch this process from now on, and write to that folder."""
    watch = _Watch(folder)
    secret = sys.modules.get("bootstrap.model.secret")
    if secret is not None:
        watch.listen(secret)
    sys.meta_path.insert(0, watch)
    sys.addaudithook(watch.hook)
    atexit.register(watch.limits)
    logging.getLogger().addHandler(watch.log)
    # Google's libraries detach themselves from the root logger unless theirs is already configured.
    for name in (
        "",
        "google",
        "azure",
        "msal",
        "httpx",
        "httpcore",
        "hpack",
        "kiota",
        "asyncio",
        "urllib3",
        "grpc",
    ):
        logging.getLogger(name or None).setLevel(logging.DEBUG)


if _folder := os.environ.get("PULLKEY_TESTS_WATCH", ""):
    begin(_folder)
