"""Reduces a failing scenario for as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from bootstrap.testing.simulation.invariants import Failure
from bootstrap.testing.simulation.scenario import DEFAULTS, Command, Scenario
from bootstrap.testing.simulation.world import Played, simulate

_MOST_PLAYS = 400


def shrink(played: Played, play: Callable[[Scenario], Played] = simulate) -> Played:
    """Find the smallest failing scenario: fewer commands, no kill, fewer faults, shorter lag.

    Args:
        played: a scenario that fails.
        play: plays one.
    """
    rules = {one.rule for one in played.failures}
    left = _MOST_PLAYS
    again = True
    while again:
        again = False
        for smaller in _smaller(played):
            left -= 1
            if left < 0:
                return played
            tried = play(smaller)
            if _fails_alike(tried.failures, rules):
                played, again = tried, True
                break
    return played


def _fails_alike(failures: Any, rules: set[str]) -> bool:
    found: list[Failure] = list(failures)
    return any(one.rule in rules for one in found)


def _smaller(played: Played) -> Iterator[Scenario]:
    """Scenarios that are reduced in one way, the largest reduction first."""
    scenario = played.scenario
    rounds = scenario.rounds
    for number in range(len(rounds)):
        yield replace(scenario, rounds=rounds[:number] + rounds[number + 1 :])
    for number, commands in enumerate(rounds):
        for at in range(len(commands) if len(commands) > 1 else 0):
            yield _with(scenario, number, commands[:at] + commands[at + 1 :])
    for name, default in DEFAULTS.items():
        if name not in ("without_faults", "faults") and getattr(scenario, name) != default:
            yield replace(scenario, **{name: default})
    if scenario.faults:
        yield replace(scenario, faults=0.0)
    for number, commands in enumerate(rounds):
        for at, one in enumerate(commands):
            for simpler in _simpler(one):
                yield _with(scenario, number, (*commands[:at], simpler, *commands[at + 1 :]))
    faults = [one for one in range(1, played.faults + 1) if one not in scenario.without_faults]
    if len(faults) > 3:
        for half in (faults[: len(faults) // 2], faults[len(faults) // 2 :]):
            yield replace(scenario, without_faults=scenario.without_faults | set(half))
    for fault in faults:
        yield replace(scenario, without_faults=scenario.without_faults | {fault})
    for name in ("lag", "akka_lag", "glitches", "latency"):
        if (value := getattr(scenario, name)) > 0.1:
            yield replace(scenario, **{name: round(value / 2, 2)})


def _simpler(command: Command) -> Iterator[Command]:
    plain = Command(command.verb)
    for name in ("file", "target", "kill_at", "interrupt_at", "start", "machine", "keep_old", "timeout"):
        if getattr(command, name) != getattr(plain, name):
            yield replace(command, **{name: getattr(plain, name)})


def _with(scenario: Scenario, number: int, commands: tuple[Command, ...]) -> Scenario:
    rounds = scenario.rounds
    return replace(scenario, rounds=(*rounds[:number], commands, *rounds[number + 1 :]))
