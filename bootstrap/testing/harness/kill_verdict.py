"""Runs the product again in a world in which it was killed, and checks everything."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.model.errors import ExitCode
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.conformance import InventoryItem
from bootstrap.testing.harness.credential_life import Life
from bootstrap.testing.harness.fork_server import ForkServer
from bootstrap.testing.harness.inventory import is_key, is_named, key_id
from bootstrap.testing.harness.kill_points import (
    Point,
    Victim,
    scene,
)
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import Result


@dataclass
class Verdict:
    """The outcome of one world in which the product was killed.

    Attributes:
        findings: what differs from what is documented; empty if nothing does.
        named: what still exists and was reported with the command that removes it.
        deadlocks: the number of runs that did not end and had to be killed.
        asked: the next run changed nothing, and asked what to do with what it had reported.
    """

    kind: str
    command: str
    points: tuple[str, ...]
    machine: str
    findings: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    named: list[InventoryItem] = field(default_factory=list)
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


def judge(
    victim: Victim, point: Sequence[Point], machine: str, before: set[InventoryItem], *, reached: bool
) -> Verdict:
    """Run the command again, once, and check everything."""
    life = victim.life
    if machine == "later":
        _wait_for_marks(life)
    verdict = Verdict(kind_name(life), victim.command, tuple(map(str, point)), machine, reached=reached)
    again = victim.run()
    verdict.codes.append(again.code)
    verdict.said = again.text
    if again.code == 3 and machine != "same":
        # It asks, since it cannot know: the key that Akka holds must be valid, and all the rest be reported.
        verdict.asked = True
    elif again.code not in (0, 6) and not (victim.command == "offboard" and _has_gone(again)):
        verdict.findings.append(f"the run after it ended with {again.code}")
        return verdict
    if victim.command == "offboard":
        judge_offboarded(victim, verdict, again.text, before)
        return verdict
    judge_held(victim, verdict, again.text)
    return verdict


def _has_gone(ended: Result) -> bool:
    """Whether an offboarding found that Akka no longer has the name."""
    return ended.code == 2 and "There is no credential named" in ended.text


def judge_held(victim: Victim, verdict: Verdict, text: str) -> None:
    """Check that Akka holds one key, which pulls, and that every other is reported. Then offboard it."""
    life, before = victim.life, victim.life.before
    names = life.world.names()
    if len(names) != 1 + len([name for name in _names(before) if name]):
        verdict.findings.append(f"Akka shows {names}")
    name = next(iter(set(names) - set(_names(before))), "")
    if not name:
        verdict.findings.append("Akka has no credential of ours")
        return
    held = life.world.held(name)
    judge_pull(victim, verdict, name, held.password)
    link = KeyRef.parse(held.email)
    assert link is not None
    expected = {link.key_id, link.replaces if victim.command == "rotate" else ""}
    keys = {line for line in life.there() - before if is_key(line)}
    if life.kind.creates_key and not any(key_id(line) == link.key_id for line in keys):
        verdict.findings.append("the key that Akka holds no longer exists")
    for line in sorted(keys):
        if key_id(line) not in expected:
            (verdict.named if is_named(line, text) else verdict.duplicates).append(line)
    verdict.foreign += sorted(before - life.there())
    if verdict.asked:
        return
    if any(map(is_key, verdict.named)) and life.kind.lost_keys_deleted_after is not None:
        _judge_marked(victim, verdict, name)
    victim.name = name
    _offboard(victim, verdict, name, text, before)


def _wait_for_marks(life: Life) -> None:
    after = life.kind.lost_keys_deleted_after
    assert after is not None
    life.world.running.clock.advance(after.total_seconds())


def _judge_marked(victim: Victim, verdict: Verdict, name: str) -> None:
    """Check that a later run on yet another machine deletes the keys that were reported: they are marked."""
    life = victim.life
    left = [line for line in verdict.named if is_key(line)]
    if verdict.machine != "later":
        forget(victim)
        _wait_for_marks(life)
        rotated = life.command("rotate", name, "--keep-old", "0")
        verdict.codes.append(rotated.code)
        verdict.said += rotated.text
        left = [line for line in left if line in life.there()]
    verdict.findings += [f"a later run has left {line}" for line in left]


def kind_name(life: Life) -> str:
    return life.kind.name


def _names(lines: set[InventoryItem]) -> set[str]:
    return {
        line.rsplit(" ", 1)[-1] for line in lines if line.startswith("akka shop") and " reference " in line
    }


def judge_pull(victim: Victim, verdict: Verdict, name: str, password: str) -> None:
    world = victim.life.world
    verified = world.run("verify", name, "--credential-stdin", stdin=password, env=victim.environment)
    # Akka's record may name no repository: only a pull shows whether its key is valid. Leftovers of another
    # key are reported here too.
    if verified.code not in (ExitCode.DONE, ExitCode.LEFT_OVER) or not pulls(
        world.running.environment, world.held(name), victim.life.kind.image
    ):
        verdict.findings.append(f"what Akka holds does not pull: {verified.err.strip()[-200:]}")


def judge_offboarded(victim: Victim, verdict: Verdict, text: str, before: set[InventoryItem]) -> None:
    there = victim.life.there()
    left = sorted(there - before)
    unnamed = [line for line in left if not is_named(line, text)]
    if unnamed and verdict.machine != "same" and "onboard the registry again" in text:
        # What the message says to do if the journal of an offboarding is lost.
        # Long enough for the lists of Akka that tell a key of a lost run, and for reads that lag.
        made = victim.life.onboard("--timeout", "60s")
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


def _offboard(victim: Victim, verdict: Verdict, name: str, text: str, before: set[InventoryItem]) -> None:
    gone = victim.life.command("offboard", name)
    verdict.codes.append(gone.code)
    verdict.said += gone.text
    if gone.code not in (0, 6):
        verdict.findings.append(f"the offboarding ended with {gone.code}")
    judge_offboarded(victim, verdict, text + gone.text, before)


def tried(
    server: ForkServer,
    kind: str,
    command: str,
    *points_of: Point,
    machine: str = "same",
    children: bool = True,
) -> Verdict:
    """Create a world, kill the command at one point and its recovery at the further ones, and judge the
    outcome.
    """
    with scene(server, kind, command) as victim:
        before = victim.life.before
        reached = True
        for point in points_of:
            reached = victim.killed(point, children=children) and reached
            if machine != "same":
                forget(victim)
        return judge(victim, points_of, machine, before, reached=reached)


def forget(victim: Victim) -> None:
    """Delete the journal, as on another machine."""
    shutil.rmtree(victim.life.world.running.environment["PULLKEY_STATE_DIR"], ignore_errors=True)


def figures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The figures printed for many verdicts."""
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
