"""What must hold after each event, when a command ends, and once all is at rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bootstrap.model.change import ChangeOutcome
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.simulation.akka import SimulatedAkka
from bootstrap.testing.simulation.cloud import Grant, Identity, SimulatedCloud
from bootstrap.testing.simulation.commands import CommandRun
from bootstrap.testing.simulation.ended import CommandResult
from bootstrap.testing.simulation.loop import VirtualLoop
from bootstrap.testing.simulation.process import Process
from bootstrap.testing.simulation.scenario import Scenario
from bootstrap.testing.simulation.target import SimulatedTarget

_AFTER_TIMEOUT_SECONDS = 200.0
"""How long a command may take beyond its --timeout, in seconds: one minute to undo, and two until Akka's list
shows its change.
"""

_TURNS_OF_A_FILE = 3
"""How often a command for a file gives a target its --timeout: to plan, to apply, and to look for keys of
other runs.
"""


@dataclass(frozen=True)
class Failure:
    """An invariant that does not hold.

    Args:
        rule: which, in a few words; the same for all failures of one kind.
        what: the object, as far as it is known.
    """

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


class World(Protocol):
    """The world that is checked."""

    loop: VirtualLoop
    cloud: SimulatedCloud
    akka: SimulatedAkka
    scenario: Scenario
    keys_of_others: set[str]
    clean: int

    @property
    def targets(self) -> Sequence[SimulatedTarget]: ...

    @property
    def created(self) -> set[str]: ...

    def log(self, what: str) -> None: ...

    def is_in_a_journal(self, text: str) -> bool: ...


class Invariants:
    """Checks one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._others = _of_others(world)
        self._dead: set[str] = set()
        self._at_rest: set[str] = set()
        """The uids of the identities that existed before the last offboarding."""
        self.failures: list[Failure] = []

    def _fail(self, rule: str, what: str) -> None:
        self.failures.append(Failure(rule, what))
        self._world.log(f"FAILED: {rule}: {what}")

    # -- after each event ------------------------------------------------------------------------------------

    def after_event(self) -> None:
        """Akka never holds a key that pullkey has deleted or disabled."""
        for link in self._links():
            if link.key_id in self._dead or link.key_id not in self._world.created:
                continue
            if not self._world.cloud.is_alive(link.key_id):
                self._dead.add(link.key_id)
                self._fail("Akka holds a dead key", link.key_id)

    # -- when a command ends ---------------------------------------------------------------------------------

    def command_ended(self, run: CommandRun) -> None:
        """Check that a command's report is true, and that it ended in time.

        Args:
            run: it has ended, and was not killed.
        """
        ended, command = run.ended, run.command
        if isinstance(ended.error, PullkeyError) and ended.error.code is Code.UNEXPECTED:
            self._fail("something unexpected went wrong", repr(ended.error.__cause__))
        turns = _TURNS_OF_A_FILE if command.file else 1
        if ended.seconds > turns * command.timeout + _AFTER_TIMEOUT_SECONDS:
            self._fail("it took too long", f"{command}: {ended.seconds:.0f} s")
        if ended.succeeded and run.process.alone:
            self._is_as_said(run)
        for change in ended.says:
            gone = change.outcome in (ChangeOutcome.UNDONE, ChangeOutcome.REMOVED) and "delete" in change.what
            if gone and change.key_id and self._world.cloud.keys.truth(change.key_id) is not None:
                self._fail("a key lives that is said to be deleted", f"{change.key_id}: {change.what}")

        # What it has registered it reports as its result, left-overs or not.
        for key_id in sorted(run.process.created - ended.key_ids if not ended.succeeded else ()):
            if (
                self._world.cloud.is_alive(key_id)
                and key_id not in self._in_use()
                and not self._is_named(key_id, [ended])
            ):
                self._fail(
                    "a command that failed leaves a key that it does not name",
                    f"{key_id} of {run.process.name}",
                )

    def _is_as_said(self, run: CommandRun) -> None:
        akka, begun = self._world.akka, self._world.loop.time() - run.ended.seconds
        for target in run.targets:
            if run.ended.targets[target.secret_name] == "unchanged" and (
                akka.changed_at + akka.references.lag > begun
            ):
                continue  # it reported correctly what Akka's list showed
            link = self._held(target)
            if run.command.verb == "offboard":
                if link is not None:
                    self._fail("Akka holds a credential that is said to be removed", str(link))
            elif link is None or not self._pulls(target, link.key_id):
                self._fail("a command succeeded, and Akka does not pull", f"{run.command}: Akka holds {link}")

    def round_ended(self, ended: Sequence[CommandResult], verbs: Iterable[str]) -> None:
        """After concurrent commands: if one has registered a key, Akka pulls, whatever the others did."""
        if "offboard" in verbs:
            return
        for target in self._world.targets:
            link = self._held(target)
            if link is not None and self._pulls(target, link.key_id):
                continue
            if any(one.succeeded and target.secret_name in one.registered for one in ended):
                self._fail(
                    "a command registered a key, and after others Akka does not pull", f"Akka holds {link}"
                )

    # -- at rest ---------------------------------------------------------------------------------------------

    def at_rest(
        self, last: Sequence[CommandResult], processes: Iterable[Process], ended: Iterable[CommandResult]
    ) -> None:
        """After a last run of `onboard` for each target, without faults.

        Args:
            last: their outcomes.
            processes: all of them.
            ended: the outcome of all commands; those without faults at the end come last.
        """
        full = any(one.names("all the keys that it may have") for one in last)
        for target, one in zip(self._world.targets, last, strict=True):
            link = self._held(target)
            if one.exit_code not in (0, 6) and not full:
                self._fail("a clean run failed", f"exit {one.exit_code}: {one.error or one.notices}")
            elif not full and (link is None or not self._pulls(target, link.key_id)):
                self._fail("Akka does not pull at rest", f"Akka holds {link}")
        self._at_rest = {one.uid for one in self._world.cloud.identities.truths() if not one.deleted}
        self._every_key_is_named(list(processes), list(ended), full=full)
        if self._world.scenario.marks and not full:
            self._no_marked_key_is_left()
        self._others_are_unchanged()

    def offboarded(self, last: Sequence[CommandResult]) -> None:
        """After a last run of `offboard` for each target that Akka held, without faults: pullkey's resources
        are deleted, or named.
        """
        for one in last:
            if one.exit_code not in (0, 6):
                self._fail("a clean offboarding failed", f"exit {one.exit_code}: {one.error}")
                return
        for link in self._links():
            self._fail("Akka holds a credential at rest", str(link))
        for key_id in () if self._owner_is_unknowable() or not last else sorted(self._world.created):
            if self._world.cloud.is_alive(key_id) and not self._is_named(key_id, last):
                self._fail("an unnamed key lives after the offboarding", key_id)
        for what in self._left_of_pullkey(last):
            self._fail("something of pullkey's lives unnamed after the offboarding", what)
        self._others_are_unchanged()

    def _left_of_pullkey(self, last: Sequence[CommandResult]) -> list[str]:
        """The identities and grants that pullkey has created, and the last offboarding neither removed nor
        named as kept or left over. A grant of an identity that did not exist any more gives no one anything.
        """
        cloud = self._world.cloud
        ours: list[tuple[Identity | Grant, str]] = [
            *((one, f"identity {one.name}") for one in cloud.identities.truths() if not one.deleted),
            *((one, f"role {one.role}") for one in cloud.grants.truths() if one.identity in self._at_rest),
        ]
        return [
            str(one)
            for one, name in ours
            if last and "pullkey" in one.description and not self._is_named(name, last)
        ]

    def _every_key_is_named(
        self, processes: list[Process], ended: list[CommandResult], *, full: bool
    ) -> None:
        """One key of pullkey's is alive for each target, and the one that it replaced in its grace period;
        each other one is named.
        """
        clean = ended[-self._world.clean :]
        held = self._in_use()
        if self._owner_is_unknowable():
            return
        for process, its in zip(processes, ended, strict=True):
            for key_id in sorted(process.created - held):
                # A command for a file goes on once one of its targets is done, over whose key another run may
                # have registered its own.
                in_journal = f'"key_id":"{key_id}"' in process.journals
                at_work = process.killed and (key_id not in its.key_ids or in_journal)
                if not self._world.cloud.is_alive(key_id):
                    continue
                if not self._is_named(key_id, ended if full else clean):
                    self._fail("an unnamed key lives", f"{key_id} of {process.name}")
                elif at_work and not full and not self._is_on_record(key_id, clean):
                    self._fail(
                        "a key of a killed run is not accounted for on its machine",
                        f"{key_id} of {process.name}",
                    )

    def names_a_marked_key(self, ended: list[CommandResult]) -> bool:
        """Whether a key that is not in use is alive, and these commands name it and keep it."""
        return any(self._is_named(key_id, ended) for key_id in self._marked_keys_left())

    def _no_marked_key_is_left(self) -> None:
        """Whichever run created a key, and on whatever machine: Akka holds it, or its record names it as the
        replaced one.
        """
        for key_id in self._marked_keys_left():
            self._fail("a marked key is left", key_id)

    def _marked_keys_left(self) -> list[str]:
        unused = sorted(self._world.created - self._in_use())
        return [key_id for key_id in unused if self._world.cloud.is_alive(key_id)]

    def _owner_is_unknowable(self) -> bool:
        """Whether neither keys nor their identity have pullkey's mark.

        Then nothing shows who created a key that Akka's records do not name.
        """
        identity = self._world.cloud.identities.truth(self._world.targets[0].identity_name)
        of_others = identity is not None and "pullkey" not in identity.description
        return of_others and not self._world.scenario.labels

    def _is_named(self, key_id: str, ended: Iterable[CommandResult]) -> bool:
        return any(one.names(key_id) for one in ended) or self._world.is_in_a_journal(key_id)

    def _is_on_record(self, key_id: str, ended: Iterable[CommandResult]) -> bool:
        left = (f"{one.what} {one.command}" for run in ended for one in run.left_over)
        return any(key_id in text for text in left) or self._world.is_in_a_journal(key_id)

    def _others_are_unchanged(self) -> None:
        now = _of_others(self._world)
        for what in sorted(self._others - now):
            self._fail("something of others was changed", what)

    # -- the truth -------------------------------------------------------------------------------------------

    def _held(self, target: SimulatedTarget) -> KeyRef | None:
        record = self._world.akka.held(target.secret_name)
        return KeyRef.parse(record.email) if record is not None else None

    def _links(self) -> list[KeyRef]:
        return [link for one in self._world.targets if (link := self._held(one)) is not None]

    def _in_use(self) -> set[str]:
        """The keys that Akka's records name, replaced ones included."""
        return {key_id for link in self._links() for key_id in (link.key_id, link.replaces)}

    def _pulls(self, target: SimulatedTarget, key_id: str) -> bool:
        return self._world.cloud.pulls(key_id, target.role)

    def others_changed_by_themselves(self) -> None:
        """Accept the current resources of other users as they are."""
        self._others = _of_others(self._world)


def _of_others(world: World) -> set[str]:
    """The resources that pullkey has not created, as text."""
    cloud = world.cloud
    found = {
        f"key {one}"
        for one in cloud.keys.truths()
        if one.key_id in world.keys_of_others and cloud.is_alive(one.key_id)
    }
    found |= {f"identity {one}" for one in cloud.identities.truths() if "pullkey" not in one.description}
    return found | {f"grant {one}" for one in cloud.grants.truths() if "pullkey" not in one.description}
