"""What `pullkey rotate -f` does of a plan."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.fleet.planner import RECOVERY, Action, Planned
from bootstrap.model.errors import ExitCode
from bootstrap.plugin.step import StepRole


def keep_only_rotations(plan: Sequence[Planned]) -> int:
    """Keep the targets that need something else than a new key as they are, with exit code 5.

    A rotation also completes an earlier one that was interrupted or left something over.

    Returns:
        How many need something else.
    """
    others = 0
    for one in plan:
        if one.attention:
            one.exit_code = one.exit_code or ExitCode.DRIFT
        fixes_key = one.action is Action.REPAIR and {StepRole.KEY, RECOVERY} & one.steps.keys()
        if one.action.changes and one.action is not Action.ROTATE and not fixes_key:
            others += 1
            one.reasons = [f"it needs {one.action}, not a rotation", *one.reasons]
            one.action, one.steps = Action.KEEP, {}
            one.exit_code = ExitCode.DRIFT
    return others
