"""The sandbox in which a provider is tested, with its emulator, reset before each test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import pytest

from bootstrap.model.errors import PullkeyError
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.conformance import ConformanceCase, InventoryItem
from bootstrap.testing.harness.credential_life import KINDS, Life
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.inventory import is_key
from bootstrap.testing.harness.kill_points import Victim
from bootstrap.testing.harness.rehearsals import Leaked, NotOnboarded, NotReset, Rehearsal
from bootstrap.testing.harness.world import Result

LEAK = (
    "A piece of a secret was found outside of Akka, or a host outside of the sandbox was asked: wrap each "
    "secret "
    "in Secret, and put none into messages, files, arguments or URLs."
)
_LEAST_ID = 6
"""What is shorter is found in any text; so short an id is of no key of pullkey's."""


def fail(sentence: str, *details: object) -> NoReturn:
    """Fail the test with a sentence for the provider's author, and what was observed."""
    pytest.fail("\n".join([sentence, *(f"    {line}" for line in _lines(details))]), pytrace=False)


def require(condition: object, sentence: str, *details: object) -> None:
    """Fail with that sentence unless the condition holds."""
    if not condition:
        fail(sentence, *details)


def _lines(details: Sequence[object]) -> Iterator[str]:
    for one in details:
        if isinstance(one, Result):
            yield f"exit code {one.code}"
            yield from one.text.strip().splitlines()[-25:]
        elif isinstance(one, set | frozenset | list | tuple):
            yield from sorted(str(line) for line in one)
        else:
            yield from str(one).splitlines()


def providers_of(cases: Sequence[str]) -> list[str]:
    """The providers of cases, each once."""
    return list(dict.fromkeys(KINDS[name].provider for name in cases))


def chosen_cases(providers: Sequence[str], cases: Sequence[str]) -> list[str]:
    """Select the cases of these providers, or those of them that are named.

    Raises:
        pytest.UsageError: a provider or case does not exist, or a provider has no cases.
    """
    found: list[str] = []
    for name in providers:
        try:
            provider = plugins.load(name)
        except PullkeyError as error:
            raise pytest.UsageError(str(error)) from None
        own = [one for one, case in KINDS.items() if case.provider == name]
        if not own:
            raise pytest.UsageError(
                f"{type(provider).__name__} has no method conformance_cases that returns a ConformanceCase "
                "(bootstrap.plugin.conformance): the suite does not know how to onboard a registry of its "
                "emulator."
            )
        found += own
    if unknown := sorted(set(cases) - set(found)):
        raise pytest.UsageError(f"no case {', '.join(unknown)}; the cases are: {', '.join(found)}")
    return [one for one in found if not cases or one in cases]


@dataclass
class Trial:
    """One test of one case: its sandbox, with nothing onboarded yet or with one credential."""

    life: Life

    @property
    def case(self) -> ConformanceCase:
        return self.life.kind

    def there(self) -> set[InventoryItem]:
        return self.life.there()

    def new_keys(self) -> dict[str, InventoryItem]:
        """The keys that did not exist before the onboarding, by id."""
        return {item.known_as: item for item in self.there() - self.life.before if is_key(item)}

    def onboard(self, *more: str) -> Result:
        return self.life.onboard(*more)

    def run(self, *arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
        """Run a command that needs no secret."""
        return self.life.world.run(*arguments, env={**self.case.environment, **(env or {})}, stdin=stdin)

    def changes(self) -> list[str]:
        return self.life.world.changes()

    def fault(self, spec: str) -> None:
        self.life.world.fault(spec)

    def clear_faults(self) -> None:
        self.life.world.running.sandbox.faults.faults.clear()

    def victim(self, command: str) -> Victim:
        return Victim(self.life, command, fork_server())


class Bench:
    """The worlds of one test module. One at a time: two gRPC servers of a process take each other's
    events.
    """

    def __init__(self) -> None:
        self._provider = ""
        self._rehearsal: Rehearsal | None = None

    @contextlib.contextmanager
    def untouched(self, case: str) -> Iterator[Trial]:
        """A trial in which nothing is onboarded yet."""
        with self._trial(case, "onboard") as trial:
            yield trial

    @contextlib.contextmanager
    def onboarded(self, case: str) -> Iterator[Trial]:
        """A trial in which one registry is onboarded."""
        with self._trial(case, "rotate") as trial:
            yield trial

    def close(self) -> None:
        if self._rehearsal is not None:
            self._rehearsal.close()
        self._rehearsal, self._provider = None, ""

    @contextlib.contextmanager
    def _trial(self, case: str, command: str) -> Iterator[Trial]:
        rehearsal = self._begin(case, command)
        on = self._stage
        said = len(on.world.said)
        try:
            yield Trial(Life(on.world, on.kind, set(rehearsal.untouched)))
            leaks = on.world.leaks()
        except BaseException:
            # A cancelled test may still have work in progress.
            self.close()
            raise
        named = {
            f"{item.known_as}: {line.strip()}"
            for item in rehearsal.untouched
            if is_key(item) and not item.marked and len(item.known_as) >= _LEAST_ID
            for text in on.world.said[said:]
            for line in text.splitlines()
            if item.known_as in line
        }
        require(
            not named,
            "A command names a key that is not pullkey's, as if it were: `list_ours` and `of_run` tell "
            "pullkey's keys from others by what it has marked.",
            named,
        )
        if leaks:
            self.close()
            fail(LEAK, leaks)

    def _begin(self, case: str, command: str) -> Rehearsal:
        kind = KINDS[case]
        if self._provider != kind.provider or (self._rehearsal is not None and self._rehearsal.is_old):
            self.close()
        again = False
        while True:
            if self._rehearsal is None:
                self._provider = kind.provider
                self._rehearsal = self._start(kind)
            try:
                self._stage = self._rehearsal.begin(case, command)
            except NotOnboarded as error:
                self.close()
                fail(
                    "Onboarding the registry of the case fails, although nothing goes wrong in the sandbox: "
                    "check the case's options and stdin, then the provider.",
                    error,
                )
            except NotReset as error:
                self.close()
                fail(
                    "The emulator cannot be reset between tests: what it holds has to be in attributes, "
                    "lists, dicts and sets of objects of your package, which the suite restores.",
                    error.changed,
                )
            except Leaked as error:
                self.close()
                fail(LEAK, error.found)
            except TimeoutError:
                self.close()
                if again:
                    raise
                again = True
            else:
                return self._rehearsal

    @staticmethod
    def _start(kind: ConformanceCase) -> Rehearsal:
        emulator = plugins.load(kind.provider).emulator()()
        require(
            hasattr(emulator, "inventory"),
            "The emulator has no method inventory that returns an InventoryItem "
            "(bootstrap.plugin.conformance) for each object in it, so the suite cannot see what was created.",
        )
        return Rehearsal(fork_server(), kind.provider)
