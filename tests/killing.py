"""Kills the product at every point at which it can matter, runs it again, and counts what has become of it.

Where it can matter is not written down here: a run that is left alone shows it. Every call of it that changes something
is a point before (the cloud never got it) and a point after (the cloud has done it, the answer never came); every write
of its journal is a point before and a point after. So a step that is added later is covered by itself.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bootstrap.errors import ExitCode
from bootstrap.link import KeyLink
from bootstrap.sandbox.calls import Call
from bootstrap.sandbox.faults import Fault
from tests.conftest import Result
from tests.dying import COUNTED
from tests.fork_server import ForkServer
from tests.test_life import KINDS, Life, living

JOURNAL = "journal"
COMMANDS = ("onboard", "rotate", "rotate --keep-old 0", "offboard")
MACHINES = ("same", "another")
When = Literal["before", "after"]
_SECONDS = 60.0


@dataclass(frozen=True)
class Point:
    """One moment of a run: before or after its NUMBER-th call of that name, or writing of its journal."""

    where: str
    number: int
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.where} {self.number}"


class Done(Fault):
    """A call that the cloud has done, and whose answer never comes; `reached` once it is done."""

    reached = False

    @property
    def seconds(self) -> float:
        """Asked for only when the answer is ready."""
        self.reached = True
        return 3600.0

    @seconds.setter
    def seconds(self, _: float) -> None:
        """As it was asked for it is of no use."""


@dataclass
class Verdict:
    """What has become of one world in which the product was killed.

    Attributes:
        findings: what is not as it was promised; empty is good.
        named: what is still there, and was named with the command that removes it.
        deadlocks: how many runs did not end, and had to be killed for that.
        asked: the run after it changed nothing, and asked what to do with what it had named.
    """

    kind: str
    command: str
    points: tuple[str, ...]
    machine: str
    findings: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    deadlocks: int = 0
    asked: bool = False
    reached: bool = True
    codes: list[int] = field(default_factory=list)
    said: str = ""

    @property
    def good(self) -> bool:
        return not (self.findings or self.orphans or self.duplicates or self.foreign)

    def __str__(self) -> str:
        where = f"{self.kind}: {self.command}, killed {' and '.join(self.points)}, {self.machine} machine"
        wrong = [
            *self.findings,
            *(f"orphan: {one}" for one in self.orphans),
            *(f"duplicate: {one}" for one in self.duplicates),
            *(f"of others: {one}" for one in self.foreign),
        ]
        return f"{where}: {'; '.join(wrong) or 'good'} {self.codes}"


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
            return ["onboard", kind.provider, "--yes", "--timeout", "30s", *kind.onboarding, *self.more]
        verb, *more = self.command.split()
        secret = ["--secret-stdin"] if kind.later else []
        return [verb, self.name, *more, *secret, "--yes", "--timeout", "30s"]

    @property
    def stdin(self) -> str | None:
        return self.life.kind.stdin if self.command == "onboard" else self.life.kind.later

    @property
    def environment(self) -> dict[str, str]:
        env = {"PULLKEY_OVERLAP": "0"}
        if "acmeowner" in self.life.kind.onboarding and self.command != "onboard":
            env["PULLKEY_DOCKER_HUB_HUB_USER"] = "acmeowner"
        return env

    def run(self, program: str = "pullkey", **env: str) -> Result:
        """Run the command to its end; the code of one that was killed is below 0."""
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
        """The command on its way."""
        with ThreadPoolExecutor(1) as beside:
            yield beside.submit(self.run, **env)

    def signal(self, number: int) -> None:
        """Send a signal to the command that is on its way, and wait until it has it: of two that wait one is lost."""
        sent_to = descendants(self.server._server.pid)[:1]
        for pid in sent_to:
            os.kill(pid, number)
        wait_until(lambda: not any(_waits(pid, number) for pid in sent_to))

    def killed(self, point: Point, *, children: bool = True) -> bool:
        """Start it and kill it there; whether it came so far."""
        if point.where == JOURNAL:
            return self.run("tests.dying:main", PULLKEY_TEST_DIES=f"{point.when} {point.number}").code < 0
        with self.held_at(f"{point.where}#{point.number}=hang", done=point.when == "after") as (fault, _):
            there = descendants(self.server._server.pid)
            for pid in there if children else there[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return fault.times == 0

    @contextlib.contextmanager
    def held_at(self, spec: str, *, done: bool = False, **env: str) -> Iterator[tuple[Fault, Future[Result]]]:
        """The command on its way, and come as far as that fault; or else already at its end.

        Args:
            spec: of the fault.
            done: the call is done and not answered, instead.
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


def run(server: ForkServer, life: Life, *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None, program: str = "pullkey") -> Result:  # fmt: skip
    """As `World.run`, without importing everything each time."""
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
    """Whether a signal was sent to a process that lives, and has not come there yet."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return "State:\tZ" not in status and any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
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
    """A world in which that command is about to be given."""
    with living(kind) as life:
        life.world.run = partial(run, server, life)  # type: ignore[method-assign]
        if command != "onboard":
            first = life.onboard()
            assert first.code == 0, first.text
        yield Victim(life, command, server)


def points(server: ForkServer, kind: str, command: str, *after: Point) -> list[Point]:
    """All the moments at which a run of that command can be killed, as a run shows that is left alone.

    With `after` it is the run that clears up after one that was killed there.
    """
    with scene(server, kind, command) as victim:
        for point in after:
            victim.killed(point)
        log = victim.life.world.running.sandbox.log.calls
        begin = len(log)
        alone = victim.run("tests.dying:main")
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


_BOTH: tuple[When, When] = ("before", "after")


# -- what is to be seen afterwards -------------------------------------------------------------------------------------


def is_key(line: str) -> bool:
    return line.startswith(("google key ", "azure secret ", "azure password ", "hub token "))


def key_id(line: str) -> str:
    """The id of a key by which pullkey names it."""
    words = line.split()
    if line.startswith("azure password "):
        created = dt.datetime.fromisoformat(" ".join(words[4:]))
        return f"{words[3]}-{int(created.timestamp())}"
    return words[3]


def is_named(line: str, text: str) -> bool:
    """Whether something that is still there was told, with the command that removes it."""
    words = line.split()
    text = re.sub(r"\n\s+(?:to remove it|remove it with):\s*", " delete: ", text)
    if is_key(line):
        if line.startswith("azure password "):
            return f"--{words[3]}" in text
        return any(key_id(line) in one and ("delete" in one or "settings" in one) for one in text.splitlines())  # fmt: skip
    kind = " ".join(words[:2])
    if kind == "google's own":
        return is_named("google account " + words[3], text)  # it goes with its account
    if kind in ("google account", "google binding"):
        email = next(word for word in words if "@" in word).removeprefix("serviceAccount:")
        return email in text and "gcloud " in text
    if kind == "azure application":
        return "az ad app delete" in text
    if kind == "azure principal":
        return "az ad app delete" in text  # it goes with its application
    if kind == "azure role":
        return "az role assignment delete" in text
    if kind in ("azure scope", "azure token"):
        return "az acr token delete" in text or "az acr scope-map delete" in text
    return False


def judge(
    victim: Victim, point: Sequence[Point], machine: str, before: set[str], *, reached: bool
) -> Verdict:
    """Run the command again, once, and see what has become of everything."""
    life = victim.life
    verdict = Verdict(_name_of(life), victim.command, tuple(map(str, point)), machine, reached=reached)
    again = victim.run()
    verdict.codes.append(again.code)
    verdict.said = again.text
    if again.code == 3 and machine == "another":
        # It asks, since it cannot know: what Akka holds must be good, and all the rest be named.
        verdict.asked = True
    elif again.code not in (0, 6) and not (victim.command == "offboard" and _has_gone(again)):
        verdict.findings.append(f"the run after it ended with {again.code}")
        return verdict
    if victim.command == "offboard":
        _judge_end(victim, verdict, again.text, before)
        return verdict
    _judge_held(victim, verdict, again.text)
    return verdict


def _has_gone(ended: Result) -> bool:
    """Whether an offboarding found that Akka has nothing of the name any more."""
    return ended.code == 2 and "There is no credential named" in ended.text


def _judge_held(victim: Victim, verdict: Verdict, text: str) -> None:
    """Akka holds one key, which pulls; every other is named. Then it is offboarded."""
    life, before = victim.life, victim.life.before
    names = life.world.names()
    if len(names) != 1 + len([name for name in _names(before) if name]):
        verdict.findings.append(f"Akka shows {names}")
    name = next(iter(set(names) - set(_names(before))), "")
    if not name:
        verdict.findings.append("Akka has no credential of ours")
        return
    held = life.world.held(name)
    _judge_pull(victim, verdict, name, held.password)
    link = KeyLink.parse(held.email)
    assert link is not None
    expected = {link.key_id, link.replaces if victim.command == "rotate" else ""}
    keys = {line for line in life.there() - before if is_key(line)}
    if life.kind.minted and not any(key_id(line) == link.key_id for line in keys):
        verdict.findings.append("the key that Akka holds is gone")
    for line in sorted(keys):
        if key_id(line) not in expected:
            (verdict.named if is_named(line, text) else verdict.duplicates).append(line)
    verdict.foreign += sorted(before - life.there())
    if verdict.asked:
        return
    victim.name = name
    _offboard(victim, verdict, name, text, before)


def _name_of(life: Life) -> str:
    return next(name for name, kind in KINDS.items() if kind is life.kind)


def _names(lines: set[str]) -> set[str]:
    return {
        line.rsplit(" ", 1)[-1] for line in lines if line.startswith("akka shop") and " reference " in line
    }


def _judge_pull(victim: Victim, verdict: Verdict, name: str, password: str) -> None:
    owner = victim.environment | (
        {"PULLKEY_DOCKER_HUB_HUB_USER": "acmeowner"} if "acmeowner" in victim.life.kind.onboarding else {}
    )
    pulled = victim.life.world.run("verify", name, "--credential-stdin", stdin=password, env=owner)
    # Akka's record of these names no repository: that the registry knows the credential is all that can be seen of it.
    enough = ("Pull verified", *(("Pull not verified",) if victim.life.kind.provider in ("docker-hub", "private") else ()))  # fmt: skip
    if not any(words in pulled.err for words in enough):
        verdict.findings.append(f"what Akka holds does not pull: {pulled.err.strip()[-200:]}")


def _judge_end(victim: Victim, verdict: Verdict, text: str, before: set[str]) -> None:
    there = victim.life.there()
    left = sorted(there - before)
    unnamed = [line for line in left if not is_named(line, text)]
    if unnamed and verdict.machine == "another" and "onboard the registry again" in text:
        # What it says to do where the journal of an offboarding is gone.
        made = victim.life.onboard()
        text += made.text
        gone = victim.life.command("offboard", victim.name)
        verdict.codes += [made.code, gone.code]
        text += gone.text
        verdict.said = text
        there = victim.life.there()
        left = sorted(there - before)
        unnamed = [line for line in left if not is_named(line, text)]
    verdict.orphans += unnamed
    verdict.named += [line for line in left if line not in unnamed]
    verdict.foreign += sorted(before - there)


def _offboard(victim: Victim, verdict: Verdict, name: str, text: str, before: set[str]) -> None:
    gone = victim.life.command("offboard", name)
    verdict.codes.append(gone.code)
    verdict.said += gone.text
    if gone.code not in (0, 6):
        verdict.findings.append(f"the offboarding ended with {gone.code}")
    _judge_end(victim, verdict, text + gone.text, before)


def tried(
    server: ForkServer,
    kind: str,
    command: str,
    *points_of: Point,
    machine: str = "same",
    children: bool = True,
) -> Verdict:
    """A fresh world in which the command is killed at one point, and its recovery at the further ones; then judged."""
    with scene(server, kind, command) as victim:
        before = victim.life.before
        reached = True
        for point in points_of:
            reached = victim.killed(point, children=children) and reached
            if machine == "another":
                forget(victim)
        return judge(victim, points_of, machine, before, reached=reached)


def forget(victim: Victim) -> None:
    """As on another machine: there is no journal."""
    shutil.rmtree(victim.life.world.running.environment["PULLKEY_STATE_DIR"], ignore_errors=True)


def figures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What is printed of many."""
    return {
        "tried": len(verdicts),
        "converged": sum(one.good for one in verdicts),
        "asked": sum(one.asked for one in verdicts),
        "named": sum(bool(one.named) for one in verdicts),
        "orphans": sum(len(one.orphans) for one in verdicts),
        "duplicates": sum(len(one.duplicates) for one in verdicts),
        "foreign": sum(len(one.foreign) for one in verdicts),
        "deadlocks": sum(one.deadlocks for one in verdicts),
        "not_reached": sum(not one.reached for one in verdicts),
    }


# -- several at once ---------------------------------------------------------------------------------------------------

_IDENTITY = {
    "gcr": "--service-account", "gcr-upload": "--service-account", "acr": "--app-name", "acr-token": "--app-name"
}  # fmt: skip
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
        verdict = Verdict(_name_of(victim.life), command, ("a race",), f"{machines} machines")
        _at_once([victim] * machines, late, verdict)
        if command == "offboard":
            _judge_end(victim, verdict, verdict.said, victim.life.before)
        else:
            _judge_held(victim, verdict, verdict.said)
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
        verdict = Verdict(_name_of(life), command, ("a race",), f"{machines} targets")
        _at_once(victims, late, verdict)
        if set(verdict.codes) != {0}:
            verdict.findings.append("a run stood in the way of another one's target")
        if command != "offboard":
            _judge_apart(victims, verdict, names)
        _judge_end(first, verdict, verdict.said, before)
        return verdict


def _of_its_own(life: Life, command: str, server: ForkServer, name: str) -> Victim:
    victim = Victim(life, command, server, name)
    victim.more = (_IDENTITY[_name_of(life)], f"akka-{name}", "--secret-name", name)
    return victim


def _at_once(victims: Sequence[Victim], late: float, verdict: Verdict) -> None:
    """Run each on a machine of its own. One that may have left something over is run again there, as it says."""
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
    """Akka holds a key for each target, which pulls; no grant is lost. Then they are offboarded, one after another."""
    life, before = victims[0].life, victims[0].life.before
    there = life.there() - before
    expected = set()
    for name in names:
        held = life.world.held(name)
        _judge_pull(victims[0], verdict, name, held.password)
        link = KeyLink.parse(held.email)
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
