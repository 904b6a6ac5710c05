"""Every call of every command, and everything that can go wrong with it: the cases.

`tests/test_every_call.py` runs a selection of them, `scripts/fault-suite` all; `stage` says what must hold
after each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bootstrap.testing.harness.credential_life import KINDS

FAULTS = {
    "429": "429",
    "429 with Retry-After": "429;retry-after=1",
    "500": "500",
    "502": "502",
    "503": "503",
    "504": "504",
    "reset": "reset",
    "lost": "lost",
    "hang": "hang",
    "hang-after": "hang-after",
    "cut": "cut",
    "malformed": "malformed",
    "401": "401",
    "403": "403",
    "404": "404",
    "409": "409",
    "412": "412",
    "empty": "empty",
    "html": "html",
    "types": "types",
    "unknown": "unknown",
    "huge": "huge",
    "charset": "charset",
    "loop": "loop",
    "stale": "stale",
}
"""Faults by the name that the report has for them, as the sandbox is asked for them."""
HANGS = ("hang", "hang-after")
ONCE_SECONDS, FOREVER_SECONDS = 20.0, 5.0
"""`--timeout`. What comes once should be waited out, also on a busy machine; what comes forever is given
up on.
"""


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong in one run. `call` is `API.METHOD#N`, the Nth of these calls of a clean
    run.
    """

    kind: str
    command: str
    call: str
    fault: str
    forever: bool = False

    @property
    def spec(self) -> str:
        return f"{self.call}={FAULTS[self.fault]}{'*forever' if self.forever else ''}"

    @property
    def timeout(self) -> float:
        return FOREVER_SECONDS if self.forever or self.fault in HANGS else ONCE_SECONDS

    def __str__(self) -> str:
        return f"{self.kind} {self.command} {self.spec}"


@dataclass
class Outcome:
    """What became of a case; `wrong` is empty if all that must hold holds."""

    case: Case
    code: int | None = None
    seconds: float = 0.0
    said: str = ""
    hit: bool = False
    wrong: list[str] = field(default_factory=list)
    scanned: dict[str, int] = field(default_factory=dict)
    """What the leak scan has looked through, where another process did."""

    @property
    def over(self) -> float:
        """Seconds beyond `--timeout`."""
        return max(0.0, self.seconds - self.case.timeout)


def all_cases(kind: str, command: str, calls: Iterable[str]) -> list[Case]:
    """Every fault on every call, once and forever."""
    return [
        Case(kind, command, call, fault, forever)
        for call in calls
        for fault in FAULTS
        for forever in (False, True)
    ]


def selection(kind: str, command: str, calls: Mapping[str, bool], known: set[str]) -> list[Case]:
    """For each call that is not `known` yet (which it is then) some faults: two if it changes something, else
    one.

    They go round, so that each fault comes to each provider; always the same for the same calls.

    Args:
        kind: a key of `KINDS`.
        command: one of `COMMANDS`.
        calls: of a clean run, as `calls_of` tells them.
        known: what was selected before.
    """
    provider, names = KINDS[kind].provider, list(FAULTS)
    cases: list[Case] = []
    # Side by side calls come in another order each time.
    for call in sorted(calls):
        method = call.partition("#")[0]
        # What every provider does in the same way is made to fail for one of them, except where something is
        # changed.
        of = "any" if method.startswith("akka.") and not calls[call] else provider
        if f"{of} {command} {method}" in known:
            continue
        known.add(f"{of} {command} {method}")
        for nth in range(2 if calls[call] else 1):
            turn = _turn(known, provider)
            cases.append(
                Case(
                    kind,
                    command,
                    f"{method}#1",
                    names[turn * 7 % len(names)],
                    turn // len(names) % 2 == nth % 2,
                )
            )
    return cases


def _turn(known: set[str], provider: str) -> int:
    """How many cases a provider has had. 7 and the number of faults have no common factor, so each has its
    turn.
    """
    turn = next(number for number in range(10_000) if f"{provider} {number}" not in known)
    known.add(f"{provider} {turn}")
    return turn
