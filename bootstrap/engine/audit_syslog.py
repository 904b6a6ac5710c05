"""Audit lines as messages of syslog, by `logging.handlers.SysLogHandler`.

A message to another host is that of RFC 5424. The local daemon gets `pullkey[PID]: ` in front of the line, as
from syslog(3), which every daemon parses. The line itself is ASCII without control characters.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Mapping
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Any

from bootstrap.engine import messages
from bootstrap.engine.audit_chain import START, hash_of, line_of

PREFIX = "syslog:"
# RFC 5424, section 6.1: receivers should accept messages of up to 2048 octets.
_LONGEST_MESSAGE = 2_048
_LOCAL = ("/dev/log", "/var/run/syslog")  # of Linux, and of macOS
_REMOTE = re.compile(r"(?P<host>[^:/\[\]\s]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
_BAD = ("failed", "left over")


class _Handler(SysLogHandler):
    """Raises what fails, instead of printing it."""

    append_nul = False
    priority_map = {"INFO": "notice", "WARNING": "warning"}  # noqa: RUF012  - as its base class

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  - the name of the base class
        error = sys.exc_info()[1]
        if error is not None:
            raise error


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
            self._handler = _Handler(
                (remote["host"].strip("[]"), int(remote["port"])) if remote else _socket_of(place),
                facility=SysLogHandler.LOG_AUTHPRIV,
            )
        except OSError as error:
            raise messages.syslog_unreachable(address, error.strerror or "unknown host") from None

    def append(self, fields: Mapping[str, Any]) -> None:
        head = self._head(fields["time"])
        room = _LONGEST_MESSAGE - len(f"<{8 * SysLogHandler.LOG_AUTHPRIV}>{head}")
        line = line_of(fields, self._prev, ascii_only=True)
        for name in ("command", "what"):
            if len(line) > room:
                fields = {**fields, name: _shortened(fields[name], len(line) - room)}
                line = line_of(fields, self._prev, ascii_only=True)
        level = logging.WARNING if fields["outcome"] in _BAD else logging.INFO
        self._handler.emit(
            logging.makeLogRecord({"msg": head + line.decode(), "levelname": logging.getLevelName(level)})
        )
        self._prev = hash_of(line)

    def close(self) -> None:
        self._handler.close()

    def _head(self, time: str) -> str:
        if not self._remote:
            return f"pullkey[{os.getpid()}]: "
        # RFC 5424, section 6: VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA.
        host = re.sub(r"[^!-~]", "", socket.gethostname())[:255] or "-"
        return f"1 {time} {host} pullkey {os.getpid()} audit - "


def _socket_of(path: str) -> str:
    """The path of the daemon's socket, which accepts connections.

    Raises:
        OSError: there is none.
    """
    path = path or next((one for one in _LOCAL if Path(one).exists()), _LOCAL[0])
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as probe:
            try:
                probe.connect(path)
            except OSError:
                if kind is socket.SOCK_STREAM:
                    raise
            else:
                break
    return path


def _shortened(text: str, by: int) -> str:
    return text[: max(0, len(text) - by - 3)] + "..."
