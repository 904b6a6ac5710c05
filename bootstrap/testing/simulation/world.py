"""Plays a scenario: one cloud, one Akka, some machines, and the commands that run on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from bootstrap.testing.simulation import seams
from bootstrap.testing.simulation.akka import SimulatedAkka
from bootstrap.testing.simulation.chance import Chance
from bootstrap.testing.simulation.cloud import SimulatedCloud
from bootstrap.testing.simulation.commands import CommandRun
from bootstrap.testing.simulation.ended import CommandResult
from bootstrap.testing.simulation.invariants import Failure, Invariants
from bootstrap.testing.simulation.loop import Stuck, VirtualLoop
from bootstrap.testing.simulation.process import Machine, Process, task_factory
from bootstrap.testing.simulation.scenario import Command, Scenario, Verb
from bootstrap.testing.simulation.target import SimulatedTarget

_MACHINES = 3
_NAMES = ("one", "two", "three")
_SETTLE_SECONDS = 900.0
_RUNS_ENDED_SECONDS = 1800.0
"""Seconds until all replicas know of all changes, and everything a killed process had started has ended."""


@dataclass(frozen=True)
class Played:
    """The outcome of a simulation."""

    scenario: Scenario
    failures: Sequence[Failure]
    log: Sequence[str] = field(repr=False)
    faults: int = 0
    """The number of faults drawn."""
    ended: Sequence[CommandResult] = field(default=(), repr=False)
    """The outcome of each command, those without faults at the end included."""


class World:
    """The world of one simulation."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.loop = VirtualLoop()
        self.loop.set_task_factory(task_factory)
        self.events: list[str] = []
        self.chance = Chance(
            scenario.seed,
            rate=scenario.faults,
            without=scenario.without_faults,
            latency=scenario.latency,
        )
        self.cloud = SimulatedCloud(
            self.loop,
            self.chance,
            self.log,
            lag=scenario.lag,
            labels=scenario.labels,
            disables=scenario.disables,
            soft=scenario.soft,
            key_limit=scenario.key_limit,
            denied=scenario.denied,
            tells_permissions=scenario.tells_permissions,
            robots=scenario.robots,
            marks=scenario.marks,
        )
        self.akka = SimulatedAkka(
            self.loop,
            self.chance,
            self.log,
            lag=scenario.akka_lag,
            glitches=scenario.glitches,
            regions=scenario.regions,
            denied=scenario.denied,
        )
        self.targets: Sequence[SimulatedTarget] = [
            SimulatedTarget(f"{name}.registry.example", most_keys=scenario.key_limit)
            for name in _NAMES[: scenario.targets]
        ]
        self.machines = [Machine(f"machine {number}") for number in range(_MACHINES)]
        self.processes: list[Process] = []
        self.keys_of_others: set[str] = set()
        self.clean = 0
        """The number of commands at the end that have run without faults."""
        self._ended: list[CommandResult] = []
        self._populate()
        self.invariants = Invariants(self)
        self.cloud.on_change = self.akka.on_change = self.invariants.after_event

    def log(self, what: str) -> None:
        """Write one line into the event log."""
        self.events.append(f"{self.loop.time():9.3f} {what}")

    @property
    def created(self) -> set[str]:
        """All keys that pullkey has created."""
        return set().union(*(one.created for one in self.processes))

    def is_in_a_journal(self, text: str) -> bool:
        """Whether a journal names it, on any machine."""
        return any(text in data.decode() for machine in self.machines for data in machine.disk.journals())

    def play(self) -> Played:
        """Play it to its end."""
        with seams.inside(self):
            try:
                self.loop.run_until_complete(self._play())
            except Stuck:
                self.invariants.failures.append(Failure("it hangs", "nothing is ready, and nothing is due"))
            finally:
                self.loop.close()
        return Played(self.scenario, self.invariants.failures, self.events, self.chance.faults, self._ended)

    async def _play(self) -> None:
        if self.scenario.others_at:
            self.loop.call_later(self.scenario.others_at, self._others_do_the_same)
        for commands in self.scenario.rounds:
            ended = await asyncio.gather(*(self._command(one) for one in commands))
            self.invariants.round_ended(ended, [one.verb for one in commands])
            if self.invariants.failures:
                return
        await self._settle()
        if self.scenario.key_added:
            self._add_key_of_others()
        if self.scenario.marks:
            await self._lose_machines()
        for machine in range(_MACHINES):
            for verb, target in self._lost(machine):
                await self._clean(verb, machine, target)
        last = [await self._clean("onboard", 0, target) for target in range(len(self.targets))]
        if self.scenario.marks and self.invariants.names_a_marked_key(last):
            # Akka had a reference without its secret, which does not tell which key it was.
            last = [await self._clean("onboard", 0, target) for target in range(len(self.targets))]
        self.invariants.at_rest(last, self.processes, self._ended)
        if self.scenario.ends_offboarded and not self.invariants.failures:
            held = [target for target in range(len(self.targets)) if self._holds(target)]
            self.invariants.offboarded([await self._clean("offboard", 0, target) for target in held])

    async def _settle(self) -> None:
        """Stop all faults, and let all changes become visible everywhere."""
        self.chance.rate = self.akka.glitches = 0.0
        self.cloud.denied = self.akka.denied = frozenset()
        await asyncio.sleep(_SETTLE_SECONDS)
        for one in (
            self.cloud.identities,
            self.cloud.grants,
            self.cloud.keys,
            self.akka.secrets,
            self.akka.references,
        ):
            one.lag = 0.0
        self.log("all is at rest")

    async def _lose_machines(self) -> None:
        """Lose the journals of half of the machines, and wait until the marks of all runs count."""
        for machine in self.machines[self.scenario.seed % 2 :: 2]:
            machine.disk.files.clear()
        await asyncio.sleep(_RUNS_ENDED_SECONDS)

    async def _clean(self, verb: Verb, machine: int, target: int) -> CommandResult:
        """Run a command without faults."""
        self.clean += 1
        return await self._command(Command(verb, machine, target=target))

    async def _command(self, command: Command) -> CommandResult:
        await asyncio.sleep(command.start)
        number = len(self.processes) + 1
        process = Process(
            f"{command.verb} {number}",
            self.machines[command.machine],
            self.log,
            kill_at=command.kill_at,
            interrupt_at=command.interrupt_at,
        )
        for other in self.processes:
            if other.alive:
                other.alone = process.alone = False
        self.processes.append(process)
        self.log(f"{process.name}: {command}")
        run = CommandRun(command, self.targets, process)
        self._ended.append(run.ended)
        if await process.run(run):
            ended = run.ended
            self.log(f"{process.name}: {ended.result}, exit {ended.exit_code}, {ended.error or ''}")
            for left in ended.left_over:
                self.log(f"{process.name}: left over: {left.what}: {left.command}")
            for notice in ended.notices:
                self.log(f"{process.name}: notice: {notice}")
            self.invariants.command_ended(run)
        return run.ended

    def _lost(self, machine: int) -> list[tuple[Verb, int]]:
        """The commands that continue with the journals of a machine, and the number of their target."""
        found: list[tuple[Verb, int]] = []
        for data in self.machines[machine].disk.journals():
            record = json.loads(data)
            word = str(record["command"]).split()[1]
            (target,) = (
                number
                for number, one in enumerate(self.targets)
                if one.secret_name in str(record["place"]).split()
            )
            verb: Verb = "offboard" if word == "offboard" else "rotate" if word == "rotate" else "onboard"
            # What Akka does not hold cannot be rotated.
            found.append(("onboard" if verb == "rotate" and not self._holds(target) else verb, target))
        return found

    def _holds(self, target: int) -> bool:
        return self.akka.held(self.targets[target].secret_name) is not None

    # -- other users -----------------------------------------------------------------------------------------

    def _populate(self) -> None:
        if not self.scenario.identity_of_others:
            return
        with seams.inside(self):
            name, role = self.targets[0].identity_name, self.targets[0].role
            uid = self.cloud.add_identity(name, "of others", everywhere=True)
            if self.scenario.grant_of_others:
                self.cloud.add_grant(uid, role, "of others", everywhere=True)
            for _ in range(self.scenario.keys_of_others):
                self.keys_of_others.add(self.cloud.add_key(uid))

    def _others_do_the_same(self) -> None:
        name, role = self.targets[0].identity_name, self.targets[0].role
        identity = self.cloud.identities.truth(name)
        uid = identity.uid if identity is not None else self.cloud.add_identity(name, "of others")
        if self.cloud.grants.truth(f"{uid}/{role}") is None:
            self.cloud.add_grant(uid, role, "of others")
        self.invariants.others_changed_by_themselves()

    def _add_key_of_others(self) -> None:
        identity = self.cloud.identities.truth(self.targets[0].identity_name)
        if identity is not None and not identity.deleted:
            self.keys_of_others.add(self.cloud.add_key(identity.uid))
            self.invariants.others_changed_by_themselves()


def simulate(scenario: Scenario) -> Played:
    """Play a scenario. The seams must be replaced (`seams.simulated`)."""
    return World(scenario).play()
