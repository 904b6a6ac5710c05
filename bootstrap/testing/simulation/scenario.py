"""The scenario of a seed: a cloud with its habits, and the commands that run in it, concurrently and one
after another.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Verb = Literal["onboard", "rotate", "offboard"]


@dataclass(frozen=True)
class Command:
    """One command of pullkey.

    Args:
        verb: its name.
        machine: the number of the machine that it runs on.
        start: seconds after the start of its round.
        kill_at: the number of the point at which it is killed; 0 for none.
        interrupt_at: the number of the point at which Ctrl-C is pressed; 0 for none.
        timeout: its --timeout, in seconds.
        keep_old: the grace period of a replaced key, in seconds.
        file: whether it is the command for a file of all targets: `apply`, `rotate -f`, `offboard -f`.
        target: the number of its target, if it is for one.
    """

    verb: Verb
    machine: int = 0
    start: float = 0.0
    kill_at: int = 0
    interrupt_at: int = 0
    timeout: float = 600.0
    keep_old: float = 0.0
    file: bool = False
    target: int = 0

    def __str__(self) -> str:
        parts = [f"{self.verb}{' of a file' * self.file} on machine {self.machine}"]
        parts += [f"target {self.target}"] * bool(self.target)
        parts += [f"after {self.start:.1f} s"] * bool(self.start)
        parts += [f"killed at point {self.kill_at}"] * bool(self.kill_at)
        parts += [f"interrupted at point {self.interrupt_at}"] * bool(self.interrupt_at)
        parts += [f"--timeout {self.timeout:.0f}s"] * (self.timeout != 600)
        parts += [f"--keep-old {self.keep_old:.0f}s"] * bool(self.keep_old)
        return ", ".join(parts)


@dataclass(frozen=True)
class Scenario:
    """Everything that a simulation depends on.

    Args:
        seed: of the random decisions.
        rounds: commands that run concurrently; a round begins once the one before it has ended.
        without_faults: the numbers of the faults that are excluded.
        faults: the fraction of calls that fail.
        latency: the maximum duration of a request, in seconds.
        lag: the maximum lag of the cloud's replicas, in seconds.
        akka_lag: the same of Akka.
        glitches: the fraction of records that Akka lists wrongly.
        regions: of the Akka project.
        labels, disables, soft, tells_permissions, robots: habits of the cloud (`SimulatedCloud`).
        marks: whether a key's label says for which Akka secret it was created, and when its run has ended.
        key_limit: the maximum number of keys of an identity.
        denied: the calls that this login may not make, in the cloud and in Akka.
        identity_of_others: whether another user has created the identity.
        grant_of_others: whether another user has granted it its role.
        keys_of_others: the number of keys that another user has created for it.
        others_at: when another user creates the identity by hand, and grants its role, if either is missing;
            0 for never.
        key_added: whether another user creates a key for it after all rounds.
        targets: the number of targets: registries with one identity, each with a secret of its own in Akka.
        ends_offboarded: whether the last command, without faults, is `offboard` rather than `onboard`.
    """

    seed: int
    rounds: tuple[tuple[Command, ...], ...]
    without_faults: frozenset[int] = field(default_factory=frozenset)
    faults: float = 0.0
    latency: float = 0.3
    lag: float = 0.0
    akka_lag: float = 0.0
    glitches: float = 0.0
    regions: int = 1
    labels: bool = True
    disables: bool = True
    soft: bool = False
    tells_permissions: bool = True
    robots: bool = False
    marks: bool = False
    key_limit: int = 10
    denied: frozenset[str] = field(default_factory=frozenset)
    identity_of_others: bool = False
    grant_of_others: bool = False
    keys_of_others: int = 0
    others_at: float = 0.0
    key_added: bool = False
    targets: int = 1
    ends_offboarded: bool = False

    def __str__(self) -> str:
        habits = [
            f"{name} {getattr(self, name)}"
            for name, default in DEFAULTS.items()
            if getattr(self, name) != default
        ]
        rounds = [f"  {number}: {'; '.join(map(str, one))}" for number, one in enumerate(self.rounds, 1)]
        return "\n".join([f"seed {self.seed}: {', '.join(habits) or 'no habits'}", *rounds])


DEFAULTS: dict[str, Any] = {
    name: one.default if not name.startswith(("denied", "without")) else frozenset()
    for name, one in Scenario.__dataclass_fields__.items()
    if name not in ("seed", "rounds")
}


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed."""
    dice = random.Random(seed)  # noqa: S311  - repeatable on purpose
    others = dice.random() < 0.15
    first = ((Command("onboard"),),) if dice.random() < 0.5 else ()
    scenario = Scenario(
        seed,
        rounds=first + tuple(_round(dice, len(first) + one) for one in range(dice.choice((1, 1, 1, 2, 3)))),
        faults=dice.choice((0.0, 0.01, 0.03, 0.06, 0.15)),
        latency=dice.choice((0.1, 0.3, 1.5)),
        lag=dice.choice((0.0, 0.0, 1.0, 3.0, 6.0)),
        akka_lag=dice.choice((0.0, 0.0, 1.0, 3.0, 6.0)),
        glitches=dice.choice((0.0, 0.0, 0.03, 0.15)),
        regions=dice.choice((1, 1, 2)),
        labels=dice.random() < 0.5,
        disables=dice.random() < 0.6,
        soft=dice.random() < 0.3,
        tells_permissions=dice.random() < 0.5,
        key_limit=dice.choice((10, 10, 10, 2, 3)),
        denied=_denied(dice),
        identity_of_others=others,
        grant_of_others=others and dice.random() < 0.5,
        keys_of_others=dice.choice((0, 1, 2)) if others else 0,
        others_at=dice.choice((1.0, 4.0)) * dice.random() if dice.random() < 0.15 else 0.0,
        key_added=dice.random() < 0.15,
        ends_offboarded=dice.random() < 0.3,
        robots=dice.random() < 0.2,
    )
    return _distinguishable(scenario)


def with_offboard_beside(scenario: Scenario) -> Scenario:
    """The scenario with an `offboard` beside the other commands of some rounds.

    It is drawn apart from the rest, so that a seed's own scenario stays what it is.
    """
    dice = random.Random(f"{scenario.seed} offboard")  # noqa: S311  - repeatable on purpose
    rounds = tuple(
        (*commands, _command(dice, "offboard")) if dice.random() < 0.7 else commands
        for commands in scenario.rounds
    )
    return _distinguishable(replace(scenario, rounds=rounds))


def with_files(scenario: Scenario) -> Scenario:
    """The scenario with about half of its commands as those for a file.

    It is drawn apart from the rest, so that a seed's own scenario stays what it is.
    """
    dice = random.Random(f"{scenario.seed} file")  # noqa: S311  - repeatable on purpose
    rounds = tuple(
        tuple(replace(each, file=dice.random() < 0.5) for each in commands) for commands in scenario.rounds
    )
    return replace(scenario, rounds=rounds)


def with_targets(scenario: Scenario) -> Scenario:
    """The scenario with two or three targets, which the commands for a file change side by side.

    It is drawn apart from the rest, so that a seed's own scenario stays what it is.
    """
    dice = random.Random(f"{scenario.seed} targets")  # noqa: S311  - repeatable on purpose
    targets = dice.choice((2, 2, 3))
    rounds = tuple(
        tuple(each if each.file else replace(each, target=dice.randrange(targets)) for each in commands)
        for commands in scenario.rounds
    )
    return replace(scenario, rounds=rounds, targets=targets)


def with_marks(scenario: Scenario) -> Scenario:
    """The scenario in a cloud whose keys any machine recognises as those of a lost run."""
    return replace(scenario, labels=True, marks=True)


def _distinguishable(scenario: Scenario) -> Scenario:
    """The scenario on one machine, if nothing shows which keys are pullkey's: then runs on several machines
    cannot be distinguished.
    """
    if scenario.labels or not (scenario.identity_of_others or scenario.others_at):
        return scenario
    rounds = tuple(tuple(replace(each, machine=0) for each in commands) for commands in scenario.rounds)
    return replace(scenario, rounds=rounds)


def _round(dice: random.Random, number: int) -> tuple[Command, ...]:
    """Draw the commands of one round; an `offboard` runs alone."""
    if number and dice.random() < 0.25:
        return (_command(dice, "offboard"),)
    count = dice.choice((1, 1, 1, 2, 2, 3))
    return tuple(
        _command(dice, dice.choice(("onboard", "onboard", "rotate")) if number else "onboard")
        for _ in range(count)
    )


def _command(dice: random.Random, verb: Verb) -> Command:
    end = dice.random()
    return Command(
        verb,
        machine=dice.choice((0, 0, 1, 2)),
        start=dice.choice((0.0, 0.0, dice.random(), dice.random() * 10)),
        kill_at=1 + int(dice.random() ** 1.5 * 120) if end < 0.4 else 0,
        interrupt_at=1 + dice.randrange(60) if 0.4 <= end < 0.5 else 0,
        timeout=dice.choice((600.0, 600.0, 600.0, 60.0, 15.0)),
        keep_old=dice.choice((0.0, 3600.0)),
    )


def _denied(dice: random.Random) -> frozenset[str]:
    if dice.random() < 0.8:
        return frozenset()
    return frozenset(
        {
            dice.choice(
                (
                    "keys.delete",
                    "keys.disable",
                    "grants.delete",
                    "identities.delete",
                    "grants.put",
                    "keys.create",
                    "add-credentials",
                    "remove-credentials",
                )
            )
        }
    )
