"""The simulated `akka` command: what Akka holds, and what the command shows of it.

`add-credentials` has two effects, one after the other: it writes a secret, then the project's reference to
it. The list lags, omits a record, shows an older one, or shows one without its e-mail or with half of it. A
command whose pullkey process is killed continues, and holds the inherited lock until it ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.akka.process import ProcessResult, TookTooLong
from bootstrap.model.secret import Secret
from bootstrap.testing.simulation.chance import Chance, Fault
from bootstrap.testing.simulation.disk import Disk
from bootstrap.testing.simulation.process import current
from bootstrap.testing.simulation.replicas import Replicated

PROJECT, OWNER, USER = "shop", "acme", "jo@acme.example"
_AT_ONCE_SECONDS = 10.0
"""The time in seconds in which a command ends, whatever the latency."""
_CHANGES = ("add-credentials", "remove-credentials", "delete")


@dataclass(frozen=True)
class Record:
    """A secret of Akka's."""

    name: str
    server: str
    username: str
    email: str
    password: str

    def row(self, **shown: str) -> dict[str, str]:
        """The record as a list shows it."""
        whole = {"server": self.server, "username": self.username, "email": self.email}
        return {"name": self.name, "status": "OK", **whole, **shown}


class SimulatedAkka:
    """One Akka project, behind its command line.

    Args:
        loop: the virtual time.
        chance: the random decisions.
        log: takes one line for each event.
        lag: of its lists, in seconds.
        glitches: the fraction of listed records that are shown wrongly.
        regions: the number of the project's regions; each shows what has reached it.
        denied: the commands that this login may not run.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chance: Chance,
        log: Callable[[str], None],
        *,
        lag: float,
        glitches: float,
        regions: int,
        denied: Collection[str],
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._log = log
        self._regions = regions
        self.glitches = glitches
        self.denied = frozenset(denied)
        self.secrets: Replicated[Record] = Replicated(loop.time, chance.random, lag)
        self.references: Replicated[str] = Replicated(loop.time, chance.random, lag)
        self.changed_at = 0.0
        """The time of the latest change."""
        self._earlier: dict[str, list[Record]] = {}
        self.on_change: Callable[[], None] = lambda: None

    # -- the truth -------------------------------------------------------------------------------------------

    def held(self, name: str) -> Record | None:
        """The credential with which Akka pulls: a secret that the project refers to."""
        return self.secrets.truth(name) if self.references.truth(name) else None

    def _write_secret(self, record: Record) -> None:
        if (before := self.secrets.truth(record.name)) is not None:
            self._earlier.setdefault(record.name, []).append(before)
        self.secrets.write(record.name, record)
        self._log(f"akka: secret {record.name} is {record.email}")
        self._changed()

    def _refer(self, name: str) -> None:
        self.references.write(name, name)
        self._log(f"akka: the project refers to {name}")
        self._changed()

    def _changed(self) -> None:
        self.changed_at = self._loop.time()
        self.on_change()

    def _remove(self, kind: str, what: Replicated[Any], name: str) -> bool:
        there = what.truth(name) is not None
        if there:
            what.write(name, None)
            self._log(f"akka: {kind} {name} removed")
        return there

    # -- the command -----------------------------------------------------------------------------------------

    async def run_group(
        self,
        argv: Sequence[str],
        *,
        password: tuple[str, Secret] | None = None,
        env: Mapping[str, str],
        seconds: float,
        lock: int | None,
    ) -> ProcessResult:
        """Replaces `bootstrap.akka.process.run_group`.

        Raises:
            TookTooLong: it did not end in time, and was killed.
        """
        del env
        process = current()
        command = [word for word in argv[1:] if not word.startswith("--")]
        flags = dict(word[2:].partition("=")[::2] for word in argv[1:] if word.startswith("--"))
        name = " ".join(command[:2])
        changes = any(verb in command for verb in _CHANGES)
        process.point(f"akka {name}")
        fault = self._chance.fault(changes=changes).fault
        process.note(f"akka {' '.join(command)}{'' if fault is Fault.NONE else f' ({fault})'}")
        child = _Child(self._loop, self._chance, process.machine.disk, lock)
        effects = self._effects(command, flags, password)
        try:
            ended = await child.run(effects, fault, seconds)
        except TimeoutError:
            process.point(f"akka {name} was stopped")
            raise TookTooLong from None
        process.point(f"akka {name} ended")
        return ended

    def _effects(
        self, command: Sequence[str], flags: Mapping[str, str], password: tuple[str, Secret] | None
    ) -> list[Callable[[], ProcessResult]]:
        """The effects of the command, in order; the last result is its output."""
        match list(command):
            case ["version"]:
                return [lambda: _prints("3.0.24")]
            case ["auth", "current-login"]:
                return [lambda: _prints(USER)]
            case ["projects", "get", *_]:
                return [lambda: _prints(json.dumps(_PROJECT))]
            case ["projects", "list", *_]:
                return [lambda: _prints(json.dumps([_PROJECT]))]
            case ["docker", "list-credentials", *_]:
                return [lambda: _prints(json.dumps(self._listed()))]
            case ["secrets", "list"]:
                return [
                    lambda: _prints(
                        "\n".join(one.name for one in self.secrets.read_all(self.secrets.replica()))
                    )
                ]
            case [_, "add-credentials" | "remove-credentials" | "delete" as verb, *_] if verb in self.denied:
                return [lambda: _fails("PermissionDenied", "not allowed")]
            case ["docker", "add-credentials"]:
                record = Record(
                    flags["secret-name"],
                    flags["docker-server"],
                    flags["docker-username"],
                    flags["docker-email"],
                    password[1].reveal() if password else "",
                )
                return [lambda: self._added(record), lambda: self._referred(record.name)]
            case ["docker", "remove-credentials", name]:
                return [lambda: self._removed("the reference to", self.references, name)]
            case ["secrets", "delete", name]:
                return [lambda: self._removed("secret", self.secrets, name)]
        return [lambda: _fails("Unimplemented", f"unknown command {command}")]

    def _added(self, record: Record) -> ProcessResult:
        self._write_secret(record)
        return _prints("")

    def _referred(self, name: str) -> ProcessResult:
        self._refer(name)
        return _prints("")

    def _removed(self, kind: str, what: Replicated[Any], name: str) -> ProcessResult:
        there = self._remove(kind, what, name)
        self._changed()
        return _prints("") if there else _fails("NotFound", f"'{name}' not found")

    def _listed(self) -> list[dict[str, str]]:
        replica = self.references.replica()
        shown = []
        for name in self.references.read_all(replica):
            for region in range(self._regions):
                row = self._row(name, (replica + region) % 3)
                if row is not None:
                    shown.append(row | ({"region": f"region-{region}"} if self._regions > 1 else {}))
        return shown

    def _row(self, name: str, replica: int) -> dict[str, str] | None:
        record = self.secrets.read(name, replica)
        if record is None:
            return {"name": name, "status": "MISSING", "server": "", "username": "", "email": ""}
        if not self._chance.happens(self.glitches):
            return record.row()
        glitch = self._chance.random.choice(("passed over", "older", "blank", "cut"))
        self._log(f"akka: lists {name} wrongly: {glitch}")
        if glitch == "passed over":
            return None
        if glitch == "older" and (earlier := self._earlier.get(name)):
            return earlier[-1].row()
        return record.row(email="" if glitch == "blank" else record.email[: len(record.email) // 2])


_PROJECT = {"friendly_name": PROJECT, "owner": {"friendly_name": OWNER}}


def _prints(text: str) -> ProcessResult:
    return ProcessResult(0, text.encode(), b"")


def _fails(code: str, text: str) -> ProcessResult:
    return ProcessResult(1, b"", f"Error: rpc error: code = {code} desc = {text}".encode())


class _Child:
    """One call of the command: a separate process, which continues if pullkey is killed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Chance, disk: Disk, lock: int | None) -> None:
        self._loop = loop
        self._chance = chance
        self._disk = disk
        self._lock = lock
        self._stopped = False

    async def run(
        self, effects: Sequence[Callable[[], ProcessResult]], fault: Fault, seconds: float
    ) -> ProcessResult:
        """Wait for its output.

        Raises:
            TimeoutError: there was none in time, and it was killed.
        """
        answer: asyncio.Future[ProcessResult] = self._loop.create_future()
        silent = fault in (Fault.DROPPED, Fault.LOST)
        if self._lock is not None:
            self._disk.inherit(self._lock)
        undone = list(effects) if fault is Fault.NONE else []
        if fault in (Fault.LOST, Fault.FAILED_LATE):
            # Only the first of its effects may have happened.
            undone = list(effects[: 1 + self._chance.random.randrange(len(effects))])

        def go_on(last: ProcessResult) -> None:
            if self._stopped:
                return
            if undone and last.code == 0:
                done = undone.pop(0)()
                self._loop.call_later(self._chance.latency(), go_on, done)
                return
            if silent:
                # It hangs; unless it is killed, it ends at its own --timeout.
                self._loop.call_later(60.0, self._end)
                return
            self._end()
            if not answer.done():
                answer.set_result(_of_fault(fault, last))

        self._loop.call_later(self._chance.latency(), go_on, _prints(""))
        try:
            return await (
                asyncio.wait_for(answer, seconds) if silent or seconds < _AT_ONCE_SECONDS else answer
            )
        except TimeoutError:
            self._stopped = True
            self._end()
            raise

    def _end(self) -> None:
        if self._lock is not None:
            self._disk.ended(self._lock)
            self._lock = None


def _of_fault(fault: Fault, last: ProcessResult) -> ProcessResult:
    match fault:
        case Fault.FAILED:
            return _fails("Unavailable", "connection refused")
        case Fault.FAILED_LATE:
            return _fails("Internal", "stream terminated")
        case Fault.BUSY:
            return _fails("ResourceExhausted", "too many requests")
    return last
