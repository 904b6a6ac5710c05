"""`--audit FILE`, of every command that changes something."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.cli.options import retyped
from bootstrap.cli.streams import note_lost_record
from bootstrap.model.text import sentence
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from bootstrap.akka.cli import AkkaCli
    from bootstrap.engine.audit_log import Trail


@asynccontextmanager
async def audited(values: Mapping[str, Any], akka: AkkaCli | None) -> AsyncIterator[Trail | None]:
    """The trail that was asked for, or None; where lines of it were lost, that is told in the end.

    Raises:
        UsageProblem: it cannot be written.
    """
    if not values.get("audit"):
        yield None
        return
    from bootstrap.engine.audit_log import Trail

    trail = Trail.open(Path(values["audit"]), retyped())
    try:
        if akka is not None:
            trail.akka_login = await akka.login()
        yield trail
    finally:
        trail.close()
        if trail.lost:
            note_lost_record()
            told = sentence(f"Not all changes could be written to {values['audit']}: {trail.lost}")
            say(f"pullkey: {told}", sys.stderr)
