"""What the emulated Harbor holds, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.plugin.conformance import InventoryItem
from providers.harbor.emulator.state import HarborState


def inventory(state: HarborState) -> Iterator[InventoryItem]:
    """The robot accounts of all projects, each of which is a key."""
    for robot in state.robots.values():
        marked = "pullkey-" in robot.stored
        run_id = robot.stored.rpartition("pullkey-")[2] if marked else "others"
        key_id = f"robot-{robot.number}-{run_id}"
        text = f"harbor robot {robot.stored} {key_id} disabled={robot.disabled}"
        yield InventoryItem(text, "key", key_id, active=not robot.disabled, marked=marked)
