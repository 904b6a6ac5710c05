"""Checks of `pullkey doctor` that every provider makes, each in one wording."""

from __future__ import annotations

import shutil

from bootstrap.provider import Check

_MOST_SECONDS = 60.0
"""Clouds refuse a login whose times are minutes off; this is found before that."""


def clock_check(ahead: float | None, whose: str, *, needed: bool = True) -> Check:
    """Whether the clock of this machine agrees with a cloud's.

    Args:
        ahead: by how many seconds this machine's clock is ahead; None if the cloud did not give its time.
        whose: the cloud.
        needed: whether the cloud refuses a login whose times are off.
    """
    if ahead is None:
        return Check("clock", None, f"{whose} gave no time to compare with")
    if abs(ahead) <= _MOST_SECONDS:
        return Check("clock", True, f"agrees with {whose}'s within a minute")
    side = "ahead of" if ahead > 0 else "behind"
    return Check("clock", False if needed else None, f"{abs(ahead):.0f} s {side} {whose}'s", "Set the clock of this machine (as root: timedatectl set-ntp true)")  # fmt: skip


def tool_check(name: str, needed_for: str) -> Check:
    """Whether a cloud's own command is installed, which pullkey itself does not need."""
    path = shutil.which(name)
    return Check(
        name, None, f"installed at {path}" if path else f"not installed; needed only to {needed_for}"
    )
