"""The cases of the fault suite: every call of every command, with every fault.

`tests/test_every_call.py` runs a selection, `scripts/fault-suite` all of them; `stage` says what must hold
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
"""Faults by their name in the report, each as the sandbox's `--fault` takes it."""
BODIES = ("empty", "types", "malformed", "lost")
"""The faults that show how a provider reads an answer, and what it does without one."""
HANGS = ("hang", "hang-after")
ONCE_SECONDS, FOREVER_SECONDS = 20.0, 5.0
"""`--timeout`. Long enough to wait out a fault that occurs once, also on a busy machine; a fault that occurs
forever is given up on.
"""


@dataclass(frozen=True)
class Case:
    """One fault in one run. `call` is `API.METHOD#N`, the Nth such call of a run without faults."""

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
    """The outcome of a case; `wrong` is empty if everything that must hold holds."""

    case: Case
    code: int | None = None
    seconds: float = 0.0
    said: str = ""
    hit: bool = False
    wrong: list[str] = field(default_factory=list)
    scanned: dict[str, int] = field(default_factory=dict)
    """What the leak scan has searched, if another process did it."""

    @property
    def over(self) -> float:
        """Seconds beyond `--timeout`."""
        return max(0.0, self.seconds - self.case.timeout)


def all_cases(kind: str, command: str, calls: Iterable[str]) -> list[Case]:
    """List every fault on every call, once and forever."""
    return [
        Case(kind, command, call, fault, forever)
        for call in calls
        for fault in FAULTS
        for forever in (False, True)
    ]


def selection(
    kind: str, command: str, calls: Mapping[str, bool], known: set[str], *, bodies: bool = False
) -> list[Case]:
    """Select faults for each call that is not yet in `known`, and add it: two if it changes something, else
    one.

    They rotate, so that each fault is tried with each provider; the selection is the same for the same calls.

    Args:
        kind: a key of `KINDS`.
        command: one of `COMMANDS`.
        calls: of a run without faults, as `calls_of` returns them.
        known: what was selected before.
        bodies: whether to add each of `BODIES` for each call that the provider itself makes.
    """
    provider, names = KINDS[kind].provider, list(FAULTS)
    cases: list[Case] = []
    # Concurrent calls arrive in a different order each time.
    for call in sorted(calls):
        method = call.partition("#")[0]
        # Calls that all providers make in the same way are tried with one provider, except calls that change
        # something.
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
        if bodies and not method.startswith("akka.") and method.rpartition(".")[2] not in _OF_REGISTRY:
            always = [Case(kind, command, f"{method}#1", fault) for fault in BODIES]
            cases += [one for one in always if one not in cases]
    return cases


_OF_REGISTRY = ("GetBlob", "GetManifest", "GetToken", "ListRepositories", "ListTags", "Ping")
"""What pullkey itself asks a registry (`bootstrap.sandbox.registry.server`): the same for all providers."""


def _turn(known: set[str], provider: str) -> int:
    """The number of cases that a provider has had. 7 and the number of faults have no common factor, so each
    fault is tried.
    """
    turn = next(number for number in range(10_000) if f"{provider} {number}" not in known)
    known.add(f"{provider} {turn}")
    return turn
