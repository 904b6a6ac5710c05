"""A program that runs `pullkey` as a fork of the server (`fork_server`), for scripts that a test runs.

It takes 20 ms where starting Python and importing the clouds' SDKs takes half a second. The fork has this
program's streams, arguments, environment and folder, and gets the signals that this program gets. It is not
its child, though: what is about processes (groups, jobs of a shell) is tested with the real program.

Run as `python -I -S forked_program.py SOCKET [ARGUMENTS]`, so it imports only what takes no time.
"""

from __future__ import annotations

import _socket
import json
import os
import signal
import struct
import sys

STREAMS = "streams"
"""In place of a folder for the streams: they are sent."""


def _main(address: str, arguments: list[str]) -> int:
    if os.environ.get("PYTHONPATH"):  # the server would not find what is there
        os.execv(sys.executable, [sys.executable, "-m", "bootstrap", *arguments])
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(address)
    asked = {
        "program": "pullkey",
        "argv": arguments,
        "env": dict(os.environ),
        "base": f"{address}-{os.getpid()}",
        "folder": os.getcwd(),  # noqa: PTH109
        "change": "",
        "terminal": "",
        STREAMS: True,
    }
    connection.sendall(json.dumps(asked).encode() + b"\n")
    _line(connection)
    streams = struct.pack("3i", 0, 1, 2)
    connection.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    pid = int(_line(connection))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: os.kill(pid, received))
    code = int(_line(connection))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _line(connection: _socket.socket) -> bytes:
    read = b""
    while not read.endswith(b"\n"):
        part = connection.recv(1)
        if not part:
            raise SystemExit("pullkey: the fork server has ended")
        read += part
    return read


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2:]))
