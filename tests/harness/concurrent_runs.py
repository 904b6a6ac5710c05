"""The same command on several machines at once; then judged as if the last of them had been killed."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bootstrap.model.errors import ExitCode
from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.credential_life import Life
from bootstrap.testing.harness.fork_server import ForkServer
from bootstrap.testing.harness.inventory import is_key, is_named, key_id
from bootstrap.testing.harness.kill_points import (
    Victim,
    scene,
)
from bootstrap.testing.harness.kill_verdict import (
    Verdict,
    judge_held,
    judge_offboarded,
    judge_pull,
    kind_name,
)
from bootstrap.testing.harness.world import Result

_IDENTITY = {
    "gcr": "--service-account",
    "gcr-upload": "--service-account",
    "gcr-auto": "--service-account",
    "acr": "--app-name",
    "acr-token": "--app-name",
}
APART = tuple(_IDENTITY)
"""The kinds of registry that have grants, of which one could be lost where several are given at once."""
_GRANTS = ("google binding", "azure role", "azure scope map")


def raced(server: ForkServer, kind: str, command: str, *, machines: int = 2, late: float = 0.0) -> Verdict:
    """The same command on several machines at once; then it is judged as if the last of them had been killed.

    Args:
        server: that runs them.
        kind: of registry.
        command: that is given.
        machines: how many.
        late: how many seconds each begins after the one before.
    """
    with scene(server, kind, command) as victim:
        verdict = Verdict(kind_name(victim.life), command, ("a race",), f"{machines} machines")
        _at_once([victim] * machines, late, verdict)
        if command == "offboard":
            judge_offboarded(victim, verdict, verdict.said, victim.life.before)
        else:
            judge_held(victim, verdict, verdict.said)
        return verdict


def raced_apart(
    server: ForkServer, kind: str, command: str, *, machines: int = 2, late: float = 0.0
) -> Verdict:
    """The same command on several machines at once, on each for a target of its own; all are of one registry.

    Each has an identity of its own, so what they share is what they are granted on: one policy, one registry.

    Args:
        server: that runs them.
        kind: of registry, one of `APART`.
        command: that is given.
        machines: how many, and so how many targets.
        late: how many seconds each begins after the one before.
    """
    with scene(server, kind, "onboard") as first:
        life, before = first.life, first.life.before
        names = [f"registry-{number}" for number in range(machines)]
        victims = [_of_its_own(life, command, server, name) for name in names]
        if command != "onboard":
            for name in names:
                made = _of_its_own(life, "onboard", server, name).run()
                assert made.code == 0, made.text
        verdict = Verdict(kind_name(life), command, ("a race",), f"{machines} targets")
        _at_once(victims, late, verdict)
        if set(verdict.codes) != {0}:
            verdict.findings.append("a run stood in the way of another one's target")
        if command != "offboard":
            _judge_apart(victims, verdict, names)
        judge_offboarded(first, verdict, verdict.said, before)
        return verdict


def _of_its_own(life: Life, command: str, server: ForkServer, name: str) -> Victim:
    victim = Victim(life, command, server, name)
    victim.more = (_IDENTITY[kind_name(life)], f"akka-{name}", "--secret-name", name)
    return victim


def _at_once(victims: Sequence[Victim], late: float, verdict: Verdict) -> None:
    """Run each on a machine of its own. One that may have left something over is run again there, as it
    says.
    """
    state = Path(victims[0].life.world.running.environment["PULLKEY_STATE_DIR"])

    def one(number: int, begin: float) -> Result:
        time.sleep(begin)
        return victims[number].run(PULLKEY_STATE_DIR=str(state / str(number)))

    with ThreadPoolExecutor(len(victims)) as beside:
        numbers = range(len(victims))
        ended = list(beside.map(one, numbers, [number * late for number in numbers]))
    again = [one(number, 0.0) for number, result in enumerate(ended) if result.code == ExitCode.LEFT_OVER]
    verdict.codes = [result.code for result in ended]
    verdict.said = "".join(result.text for result in [*ended, *again])
    verdict.deadlocks = verdict.codes.count(-signal.SIGKILL)
    if not set(verdict.codes) <= set(ExitCode):
        verdict.findings.append("an exit code that is not documented")


def _judge_apart(victims: Sequence[Victim], verdict: Verdict, names: Sequence[str]) -> None:
    """Akka holds a key for each target, which pulls; no grant is lost. Then they are offboarded, one after
    another.
    """
    life, before = victims[0].life, victims[0].life.before
    there = life.there() - before
    expected = set()
    for name in names:
        held = life.world.held(name)
        judge_pull(victims[0], verdict, name, held.password)
        link = KeyRef.parse(held.email)
        assert link is not None
        expected |= {link.key_id, link.replaces}
    for line in sorted(there):
        if is_key(line) and key_id(line) not in expected:
            (verdict.named if is_named(line, verdict.said) else verdict.duplicates).append(line)
    lost = len(names) - len([line for line in there if line.startswith(_GRANTS)])
    verdict.foreign += [f"{lost} of {len(names)} grants are gone"] * (lost > 0)
    for name in names:
        gone = life.command("offboard", name)
        verdict.codes.append(gone.code)
        verdict.said += gone.text
