"""One command with one fault: where it runs, and what must hold after it.

The command is the real one, in a forked child (see `fork_server`), against a sandbox in which a call fails.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.conformance import ConformanceCase, InventoryItem
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.fork_server import Ended, ForkServer
from bootstrap.testing.harness.inventory import inventory, is_key, is_named
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import World, make_world

COMMANDS = ("onboard", "rotate", "offboard")
GRACE_SECONDS = 45.0
"""How much longer than `--timeout` a run may take: what it created is undone after that."""
_UNEXPECTED = re.compile(
    rf"{Code.UNEXPECTED}|Something that pullkey does not expect|The provider '[^']*' of \S+ \S+ failed \("
)
"""The code, and the wording of `bootstrap.plugin.messages`."""


@dataclass
class Stage:
    """A world in which the commands of one kind are run."""

    world: World
    kind: ConformanceCase
    server: ForkServer
    outlived: bool = False
    """Whether a run had to be killed: the `akka` process that it started may still be running."""

    def there(self) -> set[InventoryItem]:
        return inventory(self.world.cloud, self.world.akka)

    def run(self, command: str, timeout: float, *more: str) -> Ended:
        arguments = [*self._arguments(command), "--timeout", f"{timeout:g}s", "--output", "json", *more]
        ended = self.server.run(
            arguments,
            self.world.environment({"PULLKEY_OVERLAP": "0", **self.kind.environment}),
            stdin=self.kind.stdin if command == "onboard" else self.kind.later_stdin,
            limit=timeout + GRACE_SECONDS + 30,
        )
        self.outlived |= ended.code is None
        self.world.said += [ended.out, ended.err]
        self.world._remember_passwords()
        return ended

    def pulls(self) -> bool:
        """Whether the credential that Akka holds pulls."""
        name = self.held()
        return name is not None and pulls(
            self.world.running.environment, self.world.held(name), self.kind.image
        )

    def held(self) -> str | None:
        """The name of pullkey's credential in Akka's project."""
        project = self.world.akka.projects["shop"]
        return next((name for name, _, _ in project.registries.seen_from(project.primary)), None)

    def _arguments(self, command: str) -> list[str]:
        if command == "onboard":
            return [command, self.kind.provider, "--yes", *self.kind.options]
        secret = ["--secret-stdin"] if self.kind.later_stdin else []
        old = ["--keep-old", "0"] if command == "rotate" else []
        return [command, self.held() or "", "--yes", *secret, *old]


@contextlib.contextmanager
def stage(server: ForkServer, kind: str, settings: SandboxSettings | None = None) -> Iterator[Stage]:
    """A world of its own; leaks are searched for when it ends."""
    worlds = make_world(KINDS[kind].provider, settings)
    try:
        yield Stage(next(worlds), KINDS[kind], server)
        for _ in worlds:
            pass
    finally:
        if isinstance(worlds, Generator):
            worlds.close()


def calls_of(server: ForkServer, kind: str, command: str) -> dict[str, bool]:
    """List the calls of a run without faults, as `API.METHOD#N`, and whether each can change something.

    Raises:
        RuntimeError: it fails although no fault was set.
    """
    with stage(server, kind) as on:
        prepare(on, command)
        begin = len(on.world.running.sandbox.log.calls)
        ended = on.run(command, 60)
        if ended.code != 0:
            raise RuntimeError(f"a clean {command} of {kind} ends with {ended.code}: {ended.err}")
        seen: dict[str, int] = {}
        found = {}
        for call in on.world.running.sandbox.log.calls[begin:]:
            name = f"{call.api}.{call.method}"
            seen[name] = seen.get(name, 0) + 1
            found[f"{name}#{seen[name]}"] = call.changes
        return found


def warm(server: ForkServer, *kinds: str) -> ForkServer:
    """The same server, once its children import nothing more: otherwise imports would count as time of the
    first case.
    """
    for kind in kinds:
        if kind not in server.warm:
            calls_of(server, kind, "onboard")
            server.warm.add(kind)
    return server


def prepare(on: Stage, command: str) -> None:
    """Prepare the world for the command: create what it rotates or removes."""
    if command != "onboard":
        ended = on.run("onboard", 60)
        if ended.code != 0:
            raise RuntimeError(f"a clean onboarding of {on.kind} ends with {ended.code}: {ended.err}")


@dataclass(frozen=True)
class Faulted:
    """A run with a fault.

    Attributes:
        ended: the outcome of the run.
        taken: how often the fault occurred.
        wrong: what `judge` found after the fault was removed.
    """

    ended: Ended
    taken: int
    wrong: list[str]


def run_faulted(on: Stage, command: str, fault: str, timeout: float) -> Faulted:
    """Prepare the command, run it with that fault, remove the fault, and judge what is left."""
    untouched = on.there()
    prepare(on, command)
    return run_prepared(on, command, fault, timeout, untouched)


def run_prepared(
    on: Stage, command: str, fault: str, timeout: float, untouched: set[InventoryItem]
) -> Faulted:
    """The same in a prepared world; `untouched` is the inventory before any resource of pullkey's existed."""
    before = on.there()
    on.world.fault(fault)
    ended = on.run(command, timeout)
    faults = on.world.running.sandbox.faults.faults
    taken = sum(one.taken for one in faults)
    faults.clear()
    return Faulted(ended, taken, judge(on, command, timeout, ended, untouched, before))


def judge(
    on: Stage,
    command: str,
    timeout: float,
    ended: Ended,
    untouched: set[InventoryItem],
    before: set[InventoryItem],
) -> list[str]:
    """List what is wrong with the outcome of a run and with what it left.

    Args:
        on: where it ran; the fault was removed.
        command: one of `COMMANDS`.
        timeout: the value of `--timeout`.
        ended: the outcome of the run.
        untouched: the inventory before any resource of pullkey's existed.
        before: the inventory before the run.
    """
    return [
        *_about_the_end(timeout, ended),
        *_about_what_is_left(on, command, ended, untouched, before),
    ]


def is_unexpected(text: str) -> bool:
    """Whether a command reports an error that no one has foreseen: pullkey's own, or a provider's.

    Such an error has its code, unless it stands within a sentence about something else, as of a left-over.
    """
    return _UNEXPECTED.search(" ".join(text.split())) is not None


def _about_the_end(timeout: float, ended: Ended) -> Iterator[str]:
    if ended.code is None:
        yield f"over time: it did not end within {ended.seconds:.0f} s"
        return
    if ended.code not in set(ExitCode):
        yield f"exit code {ended.code} is not documented"
    if "Traceback" in ended.err + ended.out:
        yield "traceback"
    if is_unexpected(ended.err) or is_unexpected(ended.out):
        yield "an unexpected error"
    if ended.code != 0 and not (
        "pullkey: " in ended.err or "Fix the following" in ended.err or "left over" in ended.err
    ):
        yield "no sentence says what failed"
    if ended.seconds > timeout + GRACE_SECONDS:
        yield f"over time: {ended.seconds:.0f} s with --timeout {timeout:g}s"


def _about_what_is_left(
    on: Stage, command: str, ended: Ended, untouched: set[InventoryItem], before: set[InventoryItem]
) -> Iterator[str]:
    after = on.there()
    if gone := untouched - after:
        yield f"taken from others: {sorted(gone)}"
    name = on.held()
    link = KeyRef.parse(on.world.held(name).email) if name else None
    live = [line for line in after - untouched if is_key(line)]
    ours = [line for line in live if link is not None and line.known_as == link.key_id and line.active]
    if name and on.kind.creates_key and not ours:
        yield f"Akka holds a key that is not there: {link}"
    if name and ended.code != 0 and not on.pulls():
        yield "Akka holds a credential that does not pull"
    told = _told(ended)
    if ended.code == ExitCode.LEFT_OVER:
        if not told.strip():
            yield "exit code 6, and nothing is reported as left over"
        for line in live:
            named = line.known_as.lower() in told.lower() or is_named(line, told)
            if line not in ours and line not in before and not named:
                yield f"orphan that is not named: {line}"
        return
    if ended.code in (None, ExitCode.DONE) and command == "offboard":
        wanted = untouched if ended.code == 0 else after
        if after != wanted:
            yield f"orphans: {sorted(after - wanted)}"
        return
    if ended.code == ExitCode.DONE:
        if on.kind.creates_key and len(live) != 1:
            yield f"orphans: keys of ours are {sorted(live)}"
        if name is None:
            yield "it says it is done, and Akka has nothing"
        return
    if after != before:
        yield f"orphans: more {sorted(after - before)}, less {sorted(before - after)}"


def _told(ended: Ended) -> str:
    """What the report lists as left over or kept."""
    try:
        report = json.loads(ended.out)
    except ValueError:
        return ""
    return "\n".join(_left(report))


def _left(report: Any) -> Iterator[str]:
    if isinstance(report, dict):
        for name, value in report.items():
            if name == "left_over":
                yield from (json.dumps(one) for one in value)
            else:
                yield from _left(value)
    elif isinstance(report, list):
        for one in report:
            yield from _left(one)
