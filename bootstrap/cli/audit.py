"""`--audit` of the commands that change something: a file, stdout or syslog."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.cli import messages
from bootstrap.cli.options import command_as_typed
from bootstrap.cli.streams import note_lost_record, stdout_error
from bootstrap.model.text import sentence
from bootstrap.output.terminal import put, say

if TYPE_CHECKING:
    from bootstrap.engine.audit_log import Trail
    from bootstrap.engine.audit_sinks import Sink

_STDOUT = "-"
_shared: list[Sink] = []
"""The sink of a command that runs several others, each with its own trail; empty otherwise."""


@contextmanager
def one_sink(values: Mapping[str, Any]) -> Iterator[None]:
    """Within this context, all trails go to one sink: on stdout and in syslog their lines are one chain.

    Raises:
        UsageProblem: it cannot be written.
    """
    if not values.get("audit"):
        yield
        return
    with closing(_sink(values)) as sink:
        _shared[:] = [sink]
        try:
            yield
        finally:
            _shared.clear()


@asynccontextmanager
async def audited(values: Mapping[str, Any]) -> AsyncIterator[Trail | None]:
    """The requested audit trail, or None; lost lines are reported at the end.

    Raises:
        UsageProblem: it cannot be written.
    """
    if not values.get("audit"):
        yield None
        return
    from bootstrap.engine.audit_log import Trail

    trail = Trail(_shared[0] if _shared else _sink(values), command_as_typed())
    try:
        yield trail
    finally:
        if _shared:
            trail.sync()
        else:
            trail.close()
        if trail.lost:
            note_lost_record()
            place = "stdout" if values["audit"] == _STDOUT else values["audit"]
            say(
                f"pullkey: {sentence(f'Not all changes could be written to {place}: {trail.lost}')}",
                sys.stderr,
            )


def goes_to_stream(audit: str | None) -> bool:
    """Whether a value of `--audit` is stdout or syslog, where each trail is a chain of its own."""
    from bootstrap.engine.audit_syslog import PREFIX

    return audit is not None and (audit == _STDOUT or audit.startswith(PREFIX))


def _sink(values: Mapping[str, Any]) -> Sink:
    """Open what `--audit` names.

    Raises:
        UsageProblem: it cannot be written, or stdout is for the JSON document.
    """
    from bootstrap.engine.audit_sinks import AuditFile, AuditStream
    from bootstrap.engine.audit_syslog import PREFIX, AuditSyslog

    if values["audit"] == _STDOUT:
        if values["output"] == "json":
            raise messages.audit_and_json_on_stdout()
        return AuditStream(_to_stdout)
    if values["audit"].startswith(PREFIX):
        return AuditSyslog(values["audit"])
    return AuditFile(Path(values["audit"]))


def _to_stdout(line: bytes) -> None:
    """Write one line.

    Raises:
        OSError: some output was lost by now.
    """
    put(line.decode(), sys.stdout)
    if error := stdout_error():
        raise error
