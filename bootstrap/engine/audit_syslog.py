"""Audit lines as messages of syslog.

A message to another host is that of RFC 5424. The local daemon gets `pullkey[PID]: ` in front of the line, as
from syslog(3), which every daemon parses. The line itself is ASCII without control characters.

A daemon that hangs takes no messages, and once the queue of its socket is full, it blocks every sender. A run
that has created a key must go on, so `logging.handlers.SysLogHandler`, which blocks, is not used.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bootstrap.engine import messages
from bootstrap.engine.audit_chain import START, hash_of, line_of
from bootstrap.model.change import ChangeOutcome

PREFIX = "syslog:"
# RFC 5424, section 6.1: receivers should accept messages of up to 2048 octets.
_LONGEST_MESSAGE = 2_048
_LOCAL = ("/dev/log", "/var/run/syslog")  # of Linux, and of macOS
_REMOTE = re.compile(r"(?P<host>[^:/\[\]\s]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
_BAD = (ChangeOutcome.FAILED, ChangeOutcome.LEFT_OVER)
# RFC 5424, section 6.2.1: the priority is 8 times the facility plus the severity.
_AUTHPRIV, _WARNING, _NOTICE = 10, 4, 5
_PATIENCE_SECONDS = 2.0


class AuditSyslog:
    """The trail of one command as messages of syslog, with a chain of its own.

    Args:
        address: `syslog:`, `syslog:/PATH/TO/SOCKET` or `syslog:HOST:PORT`, which is UDP.
    """

    def __init__(self, address: str) -> None:
        """Find the daemon.

        Raises:
            UsageProblem: the address is not valid, or the daemon cannot be reached.
        """
        place = address.removeprefix(PREFIX)
        remote = _REMOTE.fullmatch(place)
        if (remote is None and place and not place.startswith("/")) or (
            remote is not None and not 0 < int(remote["port"]) < 65_536
        ):
            raise messages.syslog_address_invalid(address)
        self._remote = remote is not None
        self._prev = START
        try:
            self._daemon: _Server | _LocalDaemon = (
                _Server(remote["host"].strip("[]"), int(remote["port"])) if remote else _LocalDaemon(place)
            )
        except OSError as error:
            raise messages.syslog_unreachable(address, error.strerror or "unknown host") from None

    def append(self, fields: Mapping[str, Any]) -> None:
        severity = _WARNING if fields["outcome"] in _BAD else _NOTICE
        head = f"<{8 * _AUTHPRIV + severity}>{self._head(fields['time'])}"
        room = _LONGEST_MESSAGE - len(head)
        line = line_of(fields, self._prev, ascii_only=True)
        for name in ("command", "what"):
            if len(line) > room:
                fields = {**fields, name: _shortened(fields[name], len(line) - room)}
                line = line_of(fields, self._prev, ascii_only=True)
        self._daemon.send(head.encode() + line)
        self._prev = hash_of(line)

    def sync(self) -> None:
        pass

    def close(self) -> None:
        self._daemon.close()

    def _head(self, time: str) -> str:
        if not self._remote:
            return f"pullkey[{os.getpid()}]: "
        # RFC 5424, section 6: VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA.
        host = re.sub(r"[^!-~]", "", socket.gethostname())[:255] or "-"
        return f"1 {time} {host} pullkey {os.getpid()} audit - "


class _Server:
    """A server that takes messages over UDP. Its name is resolved once: the lookup blocks.

    Raises:
        OSError: its name has no address.
    """

    def __init__(self, host: str, port: int) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._address: Any = address
        self._socket = socket.socket(family, kind, protocol)
        self._socket.settimeout(_PATIENCE_SECONDS)

    def send(self, message: bytes) -> None:
        self._socket.sendto(message, self._address)

    def close(self) -> None:
        self._socket.close()


class _LocalDaemon:
    """The daemon at a socket of this host. It is waited for once; from then on, what it does not take at once
    is lost.

    Raises:
        OSError: it cannot be reached.
    """

    def __init__(self, path: str) -> None:
        self._path = path or next((one for one in _LOCAL if Path(one).exists()), _LOCAL[0])
        self._patience = _PATIENCE_SECONDS
        self._socket: socket.socket | None = None
        self._connected()

    def send(self, message: bytes) -> None:
        """Send a message.

        Raises:
            OSError: it was not taken.
        """
        old = self._socket is not None
        try:
            self._try(message)
        except (TimeoutError, BlockingIOError):
            raise
        except OSError:
            if not old:
                raise
            self._try(message)  # the daemon was restarted, and has a new socket at the path

    def _try(self, message: bytes) -> None:
        try:
            daemon = self._connected()
            if daemon.type == socket.SOCK_STREAM:
                daemon.sendall(message + b"\n")  # what ends a message in a stream (RFC 6587, section 3.4.2)
            else:
                daemon.send(message)
        except OSError as error:
            self.close()  # of a stream, a part may have been sent
            if isinstance(error, TimeoutError | BlockingIOError):
                self._patience = 0.0
                raise TimeoutError(errno.ETIMEDOUT, "the daemon takes no messages") from None
            raise

    def _connected(self) -> socket.socket:
        """The connection, made anew if there is none."""
        if self._socket is not None:
            return self._socket
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            found = socket.socket(socket.AF_UNIX, kind)
            found.settimeout(self._patience)
            try:
                found.connect(self._path)
            except OSError as error:
                found.close()
                if kind is socket.SOCK_STREAM or error.errno != errno.EPROTOTYPE:
                    raise
            else:
                self._socket = found
                return found
        raise AssertionError("the loop returns or raises")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _shortened(text: str, by: int) -> str:
    return text[: max(0, len(text) - by - 3)] + "..."
