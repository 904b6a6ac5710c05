"""What can be made to go wrong in the sandbox, and the small language that asks for it.

A fault is written `PATTERN[#NUMBER]=ACTION[*TIMES]`:

* `PATTERN` is matched (shell style, case ignored) against `API.METHOD`, as the call log writes them:
  `iam.CreateServiceAccountKey`, `graph.*`.
* `NUMBER` is the first of the matching calls that it hits, counted from when it was asked for (1 unless
  told).
* `ACTION` is an HTTP status (`503`; with `;retry-after=7` it carries that header, with `;code=NAME` the
  cloud's own error code, with `;message=TEXT` its words, URL-quoted), or one of:

  - `reset`: the connection is closed before anything was done
  - `lost`: it is done, and the connection is closed before the answer
  - `hang`: it never answers, nothing is done
  - `hang-after`: it is done, and never answers
  - `cut`: it is done, half of the answer's body comes
  - `malformed`: it is done, the body is not what it should be
  - `empty`: it is done, the body is empty
  - `types`: it is done, and every value of the answer is of another type than it should be
  - `unknown`: it is done, and the answer holds fields that nobody documented
  - `huge`: it is done, the body is 10 MB long
  - `charset`: it is done, the body is of another character set than it should be
  - `html`: a web page comes with status 200, as behind a hotel's login; nothing is done
  - `loop`: an endless redirect; nothing is done
  - `stale`: a read is answered as it was before the last change that it showed, by a replica that lags; what
    is no read is answered as ever
  - `slow=SECONDS`: it is done, the answer comes late

  With `;chance=0.5` it hits half of the calls, always the same ones of a run.

* `TIMES` is how many calls it hits (default 1; `*forever` for all).
"""

from __future__ import annotations

import fnmatch
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import unquote

Kind = Literal[
    "status",
    "reset",
    "lost",
    "hang",
    "hang-after",
    "cut",
    "malformed",
    "empty",
    "types",
    "unknown",
    "huge",
    "charset",
    "html",
    "loop",
    "stale",
    "slow",
]
PLAIN_KINDS: tuple[Kind, ...] = (
    "reset",
    "lost",
    "hang",
    "hang-after",
    "cut",
    "malformed",
    "empty",
    "types",
    "unknown",
    "huge",
    "charset",
    "html",
    "loop",
    "stale",
)
"""The actions that are one word."""
_SPEC = re.compile(
    r"^(?P<pattern>[^=#\s]+)(?:#(?P<number>[1-9]\d*))?=(?P<action>[^*\s]+)(?:\*(?P<times>\d+|forever))?$"
)


class FaultSyntaxError(ValueError):
    """Raised for a fault that cannot be read; its text is one sentence for the user."""


@dataclass
class Fault:
    """One thing that goes wrong: where, how, and how many times more."""

    pattern: str
    kind: Kind
    status: int = 0
    code: str = ""
    message: str = "The sandbox was asked to fail this call."
    retry_after: float | None = None
    seconds: float = 0.0
    times: float = 1
    skips: int = 0
    chance: float = 1.0
    taken: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.pattern)  # noqa: S311  - the same in each run, so that a test is too

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """Read `PATTERN[#NUMBER]=ACTION[*TIMES]`.

        Raises:
            FaultSyntaxError: it is not of that form.
        """
        match = _SPEC.match(spec)
        if match is None:
            raise FaultSyntaxError(f"{spec!r} is not of the form API.METHOD[#NUMBER]=ACTION[*TIMES]")
        times = match["times"] or "1"
        fault = cls(match["pattern"], "status", times=float("inf") if times == "forever" else int(times))
        fault.skips = int(match["number"] or 1) - 1
        action, *options = match["action"].split(";")
        if action in PLAIN_KINDS:
            fault.kind = cast("Kind", action)
        elif action.startswith("slow="):
            fault.kind, fault.seconds = "slow", _number(action.removeprefix("slow="), spec)
        elif action.isdigit() and 400 <= int(action) <= 599:
            fault.status = int(action)
        else:
            known = ", ".join([*PLAIN_KINDS, "slow=SECONDS"])
            raise FaultSyntaxError(
                f"{spec!r}: {action!r} is neither a status from 400 to 599 nor one of {known}"
            )
        for option in options:
            name, _, value = option.partition("=")
            if name == "retry-after":
                fault.retry_after = _number(value, spec)
            elif name == "code":
                fault.code = value
            elif name == "message":
                fault.message = unquote(value)
            elif name == "chance":
                fault.chance = _number(value, spec)
            else:
                raise FaultSyntaxError(
                    f"{spec!r}: {name!r} is not an option of a fault; retry-after, code, message "
                    "and chance are"
                )
        return fault

    def matches(self, api: str, method: str) -> bool:
        return self.times > 0 and fnmatch.fnmatch(f"{api}.{method}".lower(), self.pattern.lower())

    def hits(self) -> bool:
        """Whether it hits this matching call; it is used up by one if it does."""
        if self.skips:
            self.skips -= 1
            return False
        if self.chance < 1 and self._dice.random() >= self.chance:
            return False
        self.times -= 1
        self.taken += 1
        return True


def _number(text: str, spec: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FaultSyntaxError(f"{spec!r}: {text!r} is not a number") from None


@dataclass
class FaultPlan:
    """The faults of one sandbox, in the order they were asked for."""

    faults: list[Fault] = field(default_factory=list)

    @classmethod
    def parse(cls, specs: Iterable[str]) -> FaultPlan:
        return cls([Fault.parse(spec) for spec in specs])

    def add(self, spec: str) -> None:
        self.faults.append(Fault.parse(spec))

    def take(self, api: str, method: str) -> Fault | None:
        """The fault that hits this call, if any; it is used up by one."""
        for fault in self.faults:
            if fault.matches(api, method) and fault.hits():
                return fault
        return None
