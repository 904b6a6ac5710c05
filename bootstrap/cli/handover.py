"""`--handover`: the steps that need permissions which are missing, as a script for an administrator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootstrap.engine.result import Result
    from bootstrap.engine.target_operation import TargetOperation
    from bootstrap.files.output_file import OutputFile


def write_handover(run: TargetOperation, outcome: Result, values: Mapping[str, Any]) -> Path | None:
    """Where permissions are missing: write the steps that need them as a script for an administrator."""
    from bootstrap.model.errors import ProblemKind
    from bootstrap.output.runbook import as_bash
    from bootstrap.plugin.step import StepRole

    lacking = {problem.step for problem in outcome.problems if problem.kind is ProblemKind.RIGHT}
    if not lacking or not values["handover"]:
        return None
    # The steps that a step depends on are included; the key is created by the user who registers it.
    by_name = {step.name: step for step in run.session.steps}
    wanted = lacking - {StepRole.KEY}
    while more := {name for step in wanted for name in by_name[step].after if name in by_name} - wanted:
        wanted |= more
    pending = {name for name, result in outcome.steps.items() if result.result != "kept"}
    steps = [step for step in run.session.steps if step.name in wanted & pending]
    if not steps:
        return None
    then = f"Now the user who asked for this runs again: {run.options.command}"
    script = as_bash(
        run.session, steps, label=run.target.label, then=then, extra=run.session.handover_extra()
    )
    file = handover_file(values["handover"])
    file.write(script)
    return file.path


def handover_file(path: str) -> OutputFile:
    from bootstrap.files.output_file import OutputFile
    from bootstrap.output.runbook import BEGINNING

    # An administrator reads it, so its mode is that of the umask.
    return OutputFile(Path(path), "--handover", "a script", BEGINNING, mode=0o666, keep_mode=True)
