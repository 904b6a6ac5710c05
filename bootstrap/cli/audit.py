"""`--audit FILE` of the commands that change something."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.cli.options import command_as_typed
from bootstrap.cli.streams import note_lost_record
from bootstrap.model.text import sentence
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from bootstrap.engine.audit_log import Trail


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

    trail = Trail.open(Path(values["audit"]), command_as_typed())
    try:
        yield trail
    finally:
        trail.close()
        if trail.lost:
            note_lost_record()
            text = sentence(f"Not all changes could be written to {values['audit']}: {trail.lost}")
            say(f"pullkey: {text}", sys.stderr)
