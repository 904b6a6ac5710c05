"""What can be made to go wrong in the sandbox, and the small language that asks for it.

A fault is written `PATTERN=ACTION[*TIMES]`:

* `PATTERN` is matched (shell style, case ignored) against `API.METHOD`, as the call log writes them:
  `iam.CreateServiceAccountKey`, `graph.*`.
* `ACTION` is an HTTP status (`503`; with `;retry-after=7` it carries that header, with `;code=NAME` the cloud's own
  error code), or one of:

  - `reset`: the connection is closed before anything was done
  - `lost`: it is done, and the connection is closed before the answer
  - `hang`: it never answers, nothing is done
  - `hang-after`: it is done, and never answers
  - `cut`: it is done, half of the answer's body comes
  - `malformed`: it is done, the body is not what it should be
  - `slow=SECONDS`: it is done, the answer comes late

* `TIMES` is how many calls it hits (1 unless told; `*forever` for all).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, cast

Kind = Literal["status", "reset", "lost", "hang", "hang-after", "cut", "malformed", "slow"]
_PLAIN_KINDS = ("reset", "lost", "hang", "hang-after", "cut", "malformed")
_SPEC = re.compile(r"^(?P<pattern>[^=\s]+)=(?P<action>[^*\s]+)(?:\*(?P<times>\d+|forever))?$")


class FaultSyntaxError(ValueError):
    """Raised for a fault that cannot be read; its text is one sentence for the person who typed it."""


@dataclass
class Fault:
    """One thing that goes wrong: where, how, and how many times more."""

    pattern: str
    kind: Kind
    status: int = 0
    code: str = ""
    retry_after: float | None = None
    seconds: float = 0.0
    times: float = 1

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """Read `PATTERN=ACTION[*TIMES]`.

        Raises:
            FaultSyntaxError: it is not of that form.
        """
        match = _SPEC.match(spec)
        if match is None:
            raise FaultSyntaxError(f"{spec!r} is not of the form API.METHOD=ACTION[*TIMES]")
        times = match["times"] or "1"
        fault = cls(match["pattern"], "status", times=float("inf") if times == "forever" else int(times))
        action, *options = match["action"].split(";")
        if action in _PLAIN_KINDS:
            fault.kind = cast("Kind", action)
        elif action.startswith("slow="):
            fault.kind, fault.seconds = "slow", _number(action.removeprefix("slow="), spec)
        elif action.isdigit() and 400 <= int(action) <= 599:
            fault.status = int(action)
        else:
            known = ", ".join([*_PLAIN_KINDS, "slow=SECONDS"])
            raise FaultSyntaxError(
                f"{spec!r}: {action!r} is neither a status from 400 to 599 nor one of {known}"
            )
        for option in options:
            name, _, value = option.partition("=")
            if name == "retry-after":
                fault.retry_after = _number(value, spec)
            elif name == "code":
                fault.code = value
            else:
                raise FaultSyntaxError(
                    f"{spec!r}: {name!r} is not an option of a fault; retry-after and code are"
                )
        return fault

    def hits(self, api: str, method: str) -> bool:
        return self.times > 0 and fnmatch.fnmatch(f"{api}.{method}".lower(), self.pattern.lower())


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
            if fault.hits(api, method):
                fault.times -= 1
                return fault
        return None
