"""Checks of `pullkey doctor` that are the same for every provider."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootstrap.model import clock
from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, PullkeyError

if TYPE_CHECKING:
    from bootstrap.plugin.context import RunContext

_MOST_SECONDS = 60.0
"""Clouds refuse a login if the clock is minutes off; `doctor` reports it at one minute."""


def clock_check(ahead: float | None, whose: str, *, needed: bool = True) -> Check:
    """Check this machine's clock against a cloud's.

    Args:
        ahead: the seconds by which this machine's clock is ahead; None if the cloud did not give its time.
        whose: the cloud's name.
        needed: whether the cloud refuses a login if the clock is off.
    """
    if ahead is None:
        return Check("clock", None, f"{whose} gave no time to compare with")
    if abs(ahead) <= _MOST_SECONDS:
        return Check("clock", True, f"agrees with {whose}'s within a minute")
    side = "ahead of" if ahead > 0 else "behind"
    return Check(
        "clock",
        False if needed else None,
        f"{abs(ahead):.0f} s {side} {whose}'s",
        "Set the clock of this machine (as root: timedatectl set-ntp true)",
    )


def server_clock_checks(headers: Mapping[str, str], whose: str) -> list[Check]:
    """Check this machine's clock against a server's, by the `Date` of its answer, if it has a valid one."""
    from bootstrap.model.api_times import time_in_header  # late: for `doctor` only

    theirs = time_in_header(headers.get("Date", ""))
    if theirs is None:
        return []
    return [clock_check((clock.now() - theirs).total_seconds(), whose, needed=False)]


async def registry_check(context: RunContext, host: str) -> Check:
    """Check that a registry answers a puller, and asks for a token."""
    from bootstrap.plugin.registry import SECONDS, Challenge, fetch_challenge  # late: for `doctor` only

    answered = await fetch_challenge(host, trace=context.trace, seconds=context.deadline.clip(SECONDS))
    if isinstance(answered, Challenge):
        return Check("registry", True, f"{host} answers, and asks for a token")
    return Check("registry", False, str(answered), "Check the network and its proxies")


def tool_check(name: str, needed_for: str) -> Check:
    """Report whether a cloud's own command-line tool is installed. pullkey does not need it."""
    path = shutil.which(name)
    return Check(
        name, None, f"installed at {path}" if path else f"not installed; needed only to {needed_for}"
    )


@dataclass(frozen=True)
class Check:
    """One line of `pullkey doctor`: what was checked, the result, and the fix.

    Args:
        good: whether the check passed; None for information only.
        code: the code of the problem, if other commands report it too.
    """

    what: str
    good: bool | None
    detail: str
    fix: str = ""
    code: Code | None = None


def failed_check(what: str, problem: PullkeyError | Problem) -> Check:
    """The check that failed with a problem or an error."""
    return Check(what, False, problem.what, problem.fix, problem.code)
