"""What the process of one part of a file reports to the first process, and how a part ended that did not."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bootstrap.cli import messages
from bootstrap.cli.file_report import end_of
from bootstrap.fleet.planner import Action, Planned
from bootstrap.fleet.registries import Registries
from bootstrap.fleet.target_end import TargetEnd
from bootstrap.fleet.target_result import TargetResult
from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, PullkeyError, advice, first_line
from bootstrap.output.terminal import say


@dataclass
class Part:
    """What one process works on, and what it has sent.

    Attributes:
        label: what progress calls it.
        pid: of its process; 0 before it has begun.
        data: what it has sent so far.
        status: how its process ended, as `os.waitpid` says.
        error: why no process could be started for it.
    """

    registries: Registries
    label: str
    pid: int = 0
    data: bytearray = field(default_factory=bytearray)
    status: int = 0
    error: PullkeyError | None = None

    @property
    def ending(self) -> str:
        """How its process ended, as the end of a sentence."""
        code = os.waitstatus_to_exitcode(self.status)
        if code >= 0:
            return f"ended with exit code {code} and no report"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was killed ({name})"


@dataclass
class PartReport:
    """What the process of a part reports.

    Attributes:
        ends: of all its targets; none if it ended before they did.
        trail_is_complete: whether all of its changes are in the audit trail.
        changed: whether anything may have been changed.
        error: why there are no ends.
    """

    ends: list[TargetEnd] = field(default_factory=list)
    trail_is_complete: bool = True
    changed: bool = False
    error: PullkeyError | None = None

    def encoded(self) -> bytes:
        error = self.error
        document = {
            "ends": [dataclasses.asdict(one) for one in self.ends],
            "trail_is_complete": self.trail_is_complete,
            "changed": self.changed,
            "error": None
            if error is None
            else {
                "what": error.what,
                "fix": error.fix,
                "code": error.code,
                "exit_code": int(error.exit_code),
            },
        }
        return json.dumps(document).encode()

    @classmethod
    def decoded(cls, data: bytes | bytearray) -> PartReport | None:
        """The report; None if it is not all there, as of a process that was killed while it wrote."""
        try:
            found = json.loads(data)
        except ValueError:
            return None
        error: PullkeyError | None = None
        if (sent := found["error"]) is not None:
            error = PullkeyError(sent["what"], fix=sent["fix"], code=Code(sent["code"]))
            error.exit_code = ExitCode(sent["exit_code"])
        ends = [TargetEnd(**one) for one in found["ends"]]
        return cls(ends, found["trail_is_complete"], found["changed"], error)


def ends_of(part: Part, values: Mapping[str, Any]) -> tuple[list[TargetEnd], bool]:
    """The ends of a part's targets, and whether its lines of the audit trail are complete."""
    report = PartReport.decoded(part.data)
    if report is not None and report.ends:
        return report.ends, report.trail_is_complete
    error = _why_not_reported(part, report)
    if error is None:
        result, code = "not begun", ExitCode.INTERRUPTED
    else:
        result = "refused" if error.exit_code is ExitCode.REFUSED else "failed"
        code = error.exit_code
        where = "" if part.label in error.what else f"{part.label}: "
        say(f"{where}{first_line(error)} {advice(error)}".rstrip(), sys.stderr)
    return [
        end_of(
            TargetResult(planned=Planned(entry, Action.BLOCKED), result=result, exit_code=code, error=error),
            file=part.registries.name,
            scope=lambda one: one.scope,
            as_json=values["output"] == "json",
        )
        for entry in part.registries.entries
    ], True


def _why_not_reported(part: Part, report: PartReport | None) -> PullkeyError | None:
    """Why a part has no ends; None if it was certainly not begun: no process was started for it, or its
    process was interrupted before it changed anything.
    """
    if not part.pid:
        return part.error
    if report is None or report.error is None:
        return messages.part_unfinished(part.label, part.ending)
    if report.changed:
        return messages.part_unfinished(part.label, f"ended early ({report.error.what})")
    return None if report.error.exit_code is ExitCode.INTERRUPTED else report.error
