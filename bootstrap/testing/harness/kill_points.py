"""The points at which the product can be killed, and a world in which it is.

The points are not listed here; a run that is not killed shows them. Each of its calls that changes something
is a point before (the cloud never received it) and a point after (the cloud carried it out, and the answer
was lost). Each write of its journal is a point before and a point after. So new steps are covered
automatically.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.calls import Call
from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.credential_life import KINDS, Life, living
from bootstrap.testing.harness.fork_server import ForkServer
from bootstrap.testing.harness.inventory import is_key, key_id
from bootstrap.testing.harness.journal_crash import COUNTED
from bootstrap.testing.harness.world import Result

JOURNAL = "journal"
COMMANDS = ("onboard", "rotate", "rotate --keep-old 0", "offboard")
MACHINES = ("same", "another", "later")
"""Where the command is given again: where it was killed, or on a machine without its journal, at once or only
after `ConformanceCase.lost_keys_deleted_after`.
"""
CRASHING = "bootstrap.testing.harness.journal_crash:main"
When = Literal["before", "after"]
_SECONDS = 60.0


@dataclass(frozen=True)
class Point:
    """One moment of a run: before or after its NUMBER-th call of that name, or write of its journal."""

    where: str
    number: int
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.where} {self.number}"


class Done(Fault):
    """A call that the cloud carries out and never answers; `reached` is set once it is carried out."""

    reached = False

    @property
    def seconds(self) -> float:
        """Read only when the answer is ready."""
        self.reached = True
        return 3600.0

    @seconds.setter
    def seconds(self, _: float) -> None:
        """Not used: the seconds of the request do not matter."""


class Victim:
    """The product in one world, as a process that can be killed."""

    def __init__(self, life: Life, command: str, server: ForkServer, name: str = "") -> None:
        self.life = life
        self.command = command
        self.server = server
        self.name = name or (life.name if command != "onboard" else "")
        self.more: Sequence[str] = ()
        """Further options of an onboarding."""

    @property
    def arguments(self) -> list[str]:
        kind = self.life.kind
        if self.command == "onboard":
            return ["onboard", kind.provider, "--yes", "--timeout", "30s", *kind.options, *self.more]
        verb, *more = self.command.split()
        secret = ["--secret-stdin"] if kind.later_stdin else []
        return [verb, self.name, *more, *secret, "--yes", "--timeout", "30s"]

    @property
    def stdin(self) -> str | None:
        return self.life.kind.stdin if self.command == "onboard" else self.life.kind.later_stdin

    @property
    def environment(self) -> dict[str, str]:
        return {"PULLKEY_OVERLAP": "0", **self.life.kind.environment}

    def run(self, program: str = "pullkey", **env: str) -> Result:
        """Run the command to its end. The code of a killed one is negative."""
        return run(
            self.server,
            self.life,
            *self.arguments,
            stdin=self.stdin,
            env=self.environment | env,
            program=program,
        )

    @contextlib.contextmanager
    def running(self, **env: str) -> Iterator[Future[Result]]:
        """Start the command."""
        with ThreadPoolExecutor(1) as beside:
            yield beside.submit(self.run, **env)

    def signal(self, number: int) -> None:
        """Send a signal to the running command, and wait until it was delivered: of two pending ones, one is
        lost.
        """
        sent_to = descendants(self.server._server.pid)[:1]
        for pid in sent_to:
            os.kill(pid, number)
        wait_until(lambda: not any(_waits(pid, number) for pid in sent_to))

    def killed(self, point: Point, *, children: bool = True) -> bool:
        """Start the command and kill it at that point. Return whether it got there."""
        if point.where == JOURNAL:
            return self.run(CRASHING, PULLKEY_TEST_DIES=f"{point.when} {point.number}").code < 0
        gate = self.life.world.running.sandbox.gate
        before = gate.underway
        with self.held_at(f"{point.where}#{point.number}=hang", done=point.when == "after") as (fault, _):
            there = descendants(self.server._server.pid)
            for pid in there if children else there[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if children:
            # Its last calls must not pass for the next run's. The held one stays.
            wait_until(lambda: gate.underway <= before + 1)
        return fault.times == 0

    @contextlib.contextmanager
    def held_at(self, spec: str, *, done: bool = False, **env: str) -> Iterator[tuple[Fault, Future[Result]]]:
        """Start the command and stop it at that fault, or return it when it has ended.

        Args:
            spec: of the fault.
            done: the call is carried out and not answered, instead.
            env: for the command.
        """
        plan = self.life.world.running.sandbox.faults
        fault = Fault.parse(spec)
        if done:
            fault = Done(fault.pattern, "slow", skips=fault.skips)
        plan.faults.append(fault)
        with self.running(**env) as ending:
            wait_until(lambda: getattr(fault, "reached", fault.times == 0) or ending.done())
            yield fault, ending
        plan.faults.remove(fault)


def run(
    server: ForkServer,
    life: Life,
    *arguments: str,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    program: str = "pullkey",
) -> Result:
    """The same as `World.run`, without importing everything each time."""
    world = life.world
    ended = server.run(
        arguments,
        {**world.running.process_environment(), "NO_COLOR": "1", **(env or {})},
        stdin=stdin,
        program=program,
    )
    world.said += [ended.out, ended.err]
    world._remember_passwords()
    assert "Traceback" not in ended.err, ended.err
    return Result(-9 if ended.code is None else ended.code, ended.out, ended.err)


def wait_until(true: Callable[[], bool], seconds: float = _SECONDS) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.01)


def _waits(pid: int, number: int) -> bool:
    """Whether a process that still exists has a pending signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return "State:\tZ" not in status and any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def descendants(pid: int) -> list[int]:
    """The child processes of a process, and theirs."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found[1:]


@contextlib.contextmanager
def scene(server: ForkServer, kind: str, command: str) -> Iterator[Victim]:
    """A world that is ready for that command."""
    with living(kind) as life:
        life.world.run = partial(run, server, life)  # type: ignore[method-assign]
        if command != "onboard":
            first = life.onboard()
            assert first.code == 0, first.text
        yield Victim(life, command, server)


def points(server: ForkServer, kind: str, command: str, *after: Point) -> list[Point]:
    """List all the points at which a run of that command can be killed, as an undisturbed run shows them.

    With `after`, the run is the one that cleans up after a run that was killed there.
    """
    with scene(server, kind, command) as victim:
        for point in after:
            victim.killed(point)
        return points_of(victim)


def points_of(victim: Victim) -> list[Point]:
    """The same in a world that is ready for that command."""
    log = victim.life.world.running.sandbox.log.calls
    begin = len(log)
    alone = victim.run(CRASHING)
    assert alone.code in (0, 6), alone.text
    return _points(log[begin:], alone)


def _points(calls: Sequence[Call], alone: Result) -> list[Point]:
    counts: dict[str, int] = {}
    found = []
    for call in calls:
        if call.changes:
            name = f"{call.api}.{call.method}"
            counts[name] = counts.get(name, 0) + 1
            found += [Point(name, counts[name], when) for when in _BOTH]
    writings = int(alone.err.rpartition(COUNTED)[2].split()[0])
    return found + [Point(JOURNAL, number, when) for number in range(1, writings + 1) for when in _BOTH]


def machines_of(kind: str) -> list[str]:
    """Those of `MACHINES` that differ for a kind."""
    marked = KINDS[kind].lost_keys_deleted_after is not None
    return [one for one in MACHINES if one != "later" or marked]


_BOTH: tuple[When, When] = ("before", "after")


def verifies(victim: Victim, name: str) -> bool:
    """Whether `verify` reports that the credential of that name pulls."""
    world = victim.life.world
    return (
        "Pull verified"
        in world.run("verify", name, "--credential-stdin", stdin=world.held(name).password).err
    )


REGISTERED = Point("akka.docker.add-credentials", 1, "after")


def keys_of(victim: Victim) -> dict[str, InventoryItem]:
    """The keys that were created since: their lines of the inventory, by id."""
    return {key_id(line): line for line in victim.life.there() - victim.life.before if is_key(line)}
