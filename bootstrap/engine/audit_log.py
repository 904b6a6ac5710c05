"""The audit trail: one JSON line for each change made in a cloud or in Akka. It holds no secret.

`audit_sinks` says where lines go, `audit_chain` how each of them is tied to the one before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.engine.audit_sinks import AuditFile, Sink
from bootstrap.model import clock
from bootstrap.model.change import Audit, Change
from bootstrap.model.text import one_line
from bootstrap.plugin.step import EngineStep

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope

_LONGEST = 1_000
# The steps of a run or an offboarding that change Akka, as the user who is logged in there.
_IN_AKKA = frozenset({EngineStep.HANDOFF, "reference", "secret"})


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
    """The trail of one command.

    Args:
        sink: takes its lines.
        command: what is being run.

    Attributes:
        lost: the first reason why a line could not be written; "" if all were written.
    """

    sink: Sink
    command: str
    lost: str = field(default="", init=False)

    @classmethod
    def open(cls, path: Path, command: str) -> Trail:
        """Open a file to append to, and create it if it does not exist.

        Raises:
            UsageProblem: it cannot be written.
        """
        return cls(AuditFile(path), command)

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

    def _write(self, fields: Mapping[str, Any]) -> None:
        try:
            self.sink.append(fields)
        except OSError as error:
            # The change itself is done; the missing line is reported at the end.
            self.lost = self.lost or error.strerror or "it could not be written"

    def sync(self) -> None:
        """Have the lines so far outlast a crash of the machine."""
        try:
            self.sink.sync()
        except OSError as error:
            self.lost = self.lost or error.strerror or "it could not be synced"

    def close(self) -> None:
        self.sync()
        self.sink.close()


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
