"""The faults that the sandbox can inject, and their syntax.

A fault is written `PATTERN[#NUMBER]=ACTION[*TIMES]`:

* `PATTERN` is matched (shell style, ignoring case) against `API.METHOD`, as in the call log:
  `iam.CreateServiceAccountKey`, `graph.*`.
* `NUMBER` is the number of the first matching call to hit, counted from when the fault was set (default 1).
* `ACTION` is an HTTP status (`503`; `;retry-after=7` adds that header, `;code=NAME` the cloud's own error
  code, `;message=TEXT` its text, URL-quoted), or one of:

  - `reset`: the connection is closed and nothing is done
  - `lost`: the call is carried out, and the connection is closed before the answer
  - `hang`: there is no answer and nothing is done
  - `hang-after`: the call is carried out, and there is no answer
  - `cut`: the call is carried out, and half of the answer's body is sent
  - `malformed`: the call is carried out, and the body is invalid
  - `empty`: the call is carried out, and the body is empty
  - `types`: the call is carried out, and every value of the answer has another type than it should
  - `unknown`: the call is carried out, and the answer has undocumented fields
  - `huge`: the call is carried out, and the body is 10 MB long
  - `charset`: the call is carried out, and the body is in another character set than it should be
  - `html`: a web page with status 200, like a hotel's login page; nothing is done
  - `loop`: an endless redirect; nothing is done
  - `stale`: a read is answered as before the last change that it showed, like a lagging replica; other calls
    are answered normally
  - `slow=SECONDS`: the call is carried out, and the answer is late

  With `;chance=0.5` it hits half of the calls, the same ones in each run. With `;above=600/60` it hits a
  call that comes when 600 matching ones were let through in the 60 seconds before: a quota.

* `TIMES` is the number of calls to hit (default 1; `*forever` for all).
"""

from __future__ import annotations

import fnmatch
import random
import re
from collections import deque
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
    """A fault cannot be parsed. The text is one sentence for the user."""


@dataclass
class Fault:
    """One fault: which calls it hits, what it does, and how many calls are left to hit."""

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
    allowed: int = 0
    """How many calls are let through in any `window` of seconds; 0 if it is no quota."""
    window: float = 0.0
    taken: int = 0

    def __post_init__(self) -> None:
        self._let_through: deque[float] = deque()
        self._dice = random.Random(self.pattern)  # noqa: S311  - deterministic, for repeatable tests

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """Parse `PATTERN[#NUMBER]=ACTION[*TIMES]`.

        Raises:
            FaultSyntaxError: the text does not have that form.
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
            elif name == "above":
                fault.allowed, fault.window = _quota(value, spec)
            else:
                raise FaultSyntaxError(
                    f"{spec!r}: {name!r} is not an option of a fault; retry-after, code, message, "
                    "chance and above are"
                )
        return fault

    def matches(self, api: str, method: str) -> bool:
        return self.times > 0 and fnmatch.fnmatch(f"{api}.{method}".lower(), self.pattern.lower())

    def allows(self, now: float) -> bool:
        """Whether a matching call is within the quota; if so, count it. `now`: in seconds."""
        if not self.allowed:
            return False
        while self._let_through and self._let_through[0] <= now - self.window:
            self._let_through.popleft()
        if len(self._let_through) >= self.allowed:
            return False
        self._let_through.append(now)
        return True

    def hits(self) -> bool:
        """Whether it hits this matching call; if so, count it."""
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


def _quota(text: str, spec: str) -> tuple[int, float]:
    calls, slash, seconds = text.partition("/")
    if not (slash and calls.isdecimal() and int(calls) > 0 and _number(seconds, spec) > 0):
        raise FaultSyntaxError(f"{spec!r}: {text!r} is not of the form CALLS/SECONDS")
    return int(calls), float(seconds)


@dataclass
class FaultPlan:
    """The faults of one sandbox, in the order in which they were set."""

    faults: list[Fault] = field(default_factory=list)

    @classmethod
    def parse(cls, specs: Iterable[str]) -> FaultPlan:
        return cls([Fault.parse(spec) for spec in specs])

    def add(self, spec: str) -> None:
        self.faults.append(Fault.parse(spec))

    def take(self, api: str, method: str, now: float = 0.0) -> Fault | None:
        """The fault that hits this call at `now`, in seconds, if any; it is counted."""
        for fault in self.faults:
            if fault.matches(api, method) and not fault.allows(now) and fault.hits():
                return fault
        return None
