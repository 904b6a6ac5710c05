"""The audit trail: one JSON line for each change made in a cloud or in Akka. No secret is in what it is told.

The file is only ever appended to, readable by its owner, one write a line, so several processes may share it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
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


# What of a run's or an offboarding's steps is done in Akka, as whoever is logged in there.
_IN_AKKA = frozenset({"handoff", "reference", "secret"})


def about(provider: str, registry: str, scope: AkkaScope, secret_name: str) -> dict[str, Any]:
    """Which target it is: the provider's name, the registry's label, and the Akka secret."""
    return {
        "provider": provider,
        "registry": registry,
        "akka": {**scope.document(), "secret_name": secret_name},
    }


@dataclass
class Trail:
    """A file of changes.

    Args:
        command: what is being run.
        akka_login: who is logged in to Akka, once that is known.

    Attributes:
        lost: why lines could not be written, the first reason of all; "" while none is missing.
    """

    descriptor: int
    command: str
    akka_login: str = ""
    lost: str = field(default="", init=False)

    @classmethod
    def open(cls, path: Path, command: str) -> Trail:
        """Open it to be appended to, made if it is not there.

        Raises:
            UsageProblem: it cannot be written; that is told before anything is changed.
        """
        return cls(open_to_append(path, "--audit", "an audit trail", _BEGINNING), command)

    def of(self, run_id: str, about: Mapping[str, Any], who: str = "") -> Audit:
        """What takes the changes of one run for one target.

        Args:
            run_id: of that run.
            about: its provider, registry and Akka secret.
            who: who is logged in to its cloud, where the changes do not say.
        """

        def record(change: Change) -> None:
            by = self.akka_login if change.step in _IN_AKKA else change.who or who
            self._write(
                {
                    "time": clock.now().isoformat(timespec="milliseconds"),
                    "run_id": run_id,
                    "command": self.command,
                    "as": by or None,
                    **about,
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
            # A line that a full disk has torn ends here; this one is to be whole.
            _write_all(self.descriptor, text if _ends_a_line(self.descriptor) else b"\n" + text)
        except OSError as error:
            # What was changed stays changed; that it is not in the trail is told in the end.
            self.lost = self.lost or error.strerror or "it could not be written"
        finally:
            if locked:
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        """Keep others from writing between a look at the last byte and the line; nobody holds it for long."""
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


def _ends_a_line(descriptor: int) -> bool:
    try:
        size = os.fstat(descriptor).st_size
        return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
    except OSError:
        return True  # it cannot be read


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
