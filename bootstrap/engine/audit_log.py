"""The audit trail: one JSON line for each change made in a cloud or in Akka. It holds no secret.

The file is only appended to, one write per line, and readable by its owner only. Several processes may share
it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.files.output_file import open_to_append
from bootstrap.model import clock
from bootstrap.model.text import one_line

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope
from bootstrap.model.change import Audit, Change

_LONGEST = 1_000
_BEGINNING = b'{"time": "'  # of each line
_LOCK_TRIES, _LOCK_PAUSE = 50, 0.01


# The steps of a run or an offboarding that change Akka, as the user who is logged in there.
_IN_AKKA = frozenset({"handoff", "reference", "secret"})


def about(provider: str, registry: str, scope: AkkaScope, secret_name: str) -> dict[str, Any]:
    """The fields that identify a target: the provider's name, the registry's label, and the Akka secret."""
    return {
        "provider": provider,
        "registry": registry,
        "akka": {**scope.document(), "secret_name": secret_name},
    }


@dataclass(frozen=True)
class Audited:
    """The target that changes are recorded for.

    Args:
        scope: returns its Akka project with the names that have been read by then, at each change.
    """

    provider: str
    registry: str
    scope: Callable[[], AkkaScope]
    secret_name: str


@dataclass
class Trail:
    """An open audit log.

    Args:
        command: what is being run.

    Attributes:
        lost: the first reason why a line could not be written; "" if all were written.
    """

    descriptor: int
    command: str
    lost: str = field(default="", init=False)

    @classmethod
    def open(cls, path: Path, command: str) -> Trail:
        """Open the file to append to, and create it if it does not exist.

        Raises:
            UsageProblem: it cannot be written.
        """
        return cls(open_to_append(path, "--audit", "an audit trail", _BEGINNING), command)

    def of(self, run_id: str, target: Audited) -> Audit:
        """Return the function that records the changes of one run for one target."""

        def record(change: Change) -> None:
            scope = target.scope()
            by = scope.user if change.step in _IN_AKKA else change.who
            self._write(
                {
                    "time": clock.now().isoformat(timespec="milliseconds"),
                    "run_id": run_id,
                    "command": self.command,
                    "as": by or _local_user(),
                    **_about(target, scope),
                    "step": change.step,
                    "what": one_line(change.what, _LONGEST),
                    "key_id": change.key_id or None,
                    "outcome": change.outcome,
                }
            )

        return record

    def _write(self, line: Mapping[str, Any]) -> None:
        text = (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
        locked = self._lock()
        try:
            # End a line that a full disk has torn, so that this one is whole.
            _write_all(self.descriptor, text if _ends_a_line(self.descriptor) else b"\n" + text)
        except OSError as error:
            # The change itself is done; the missing line is reported at the end.
            self.lost = self.lost or error.strerror or "it could not be written"
        finally:
            if locked:
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        """Lock the file, so that no one writes between the check of the last byte and the new line."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE)
            except OSError:
                return False  # a file system without locks
            else:
                return True
        return False

    def close(self) -> None:
        os.close(self.descriptor)


def _about(target: Audited, scope: AkkaScope) -> dict[str, Any]:
    fields = about(target.provider, target.registry, scope, target.secret_name)
    # Where the CLI names no project, its current one is meant, whatever that is called.
    return {**fields, "akka": {**fields["akka"], "project": scope.project_name or "(current)"}}


def _local_user() -> str:
    """The local account that pullkey runs as, for a line whose login cannot be read."""
    import pwd

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container
        name = str(os.getuid())
    return f"local user {name}"


def _ends_a_line(descriptor: int) -> bool:
    try:
        size = os.fstat(descriptor).st_size
        return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
    except OSError:
        return True  # it cannot be read


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
