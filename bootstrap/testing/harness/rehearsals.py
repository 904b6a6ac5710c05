"""Runs cases of the fault suite one after another in the same world, which is reset before each.

A sandbox for each case, and for most of them an onboarding, would take as long as the case itself.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import multiprocessing.util
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Self

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.fault_cases import Case, Outcome
from bootstrap.testing.harness.figures import FIGURES
from bootstrap.testing.harness.fork_server import ForkServer
from bootstrap.testing.harness.inventory import inventory, is_key
from bootstrap.testing.harness.snapshot import Snapshot
from bootstrap.testing.harness.stage import Stage, calls_of, prepare, run_prepared
from bootstrap.testing.harness.world import make_world


class NotOnboarded(Exception):
    """The onboarding that other commands begin with has failed, although no fault was set."""


class Leaked(AssertionError):
    """A piece of a secret was found, or another host was contacted; `found` says where."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(found)
        self.found = found


class NotReset(Exception):
    """The emulator does not hold what it held when the snapshot was taken; `changed` says what."""

    def __init__(self, changed: list[str]) -> None:
        super().__init__(changed)
        self.changed = changed


class Rehearsal:
    """A world of one provider, and the snapshots from which the commands begin in it.

    Attributes:
        untouched: the inventory before any resource of pullkey's exists.
    """

    LASTING = 900.0
    """Seconds after which the world is replaced: logins in it that last an hour must not expire."""

    def __init__(self, server: ForkServer, provider: str) -> None:
        self._server = server
        self._end = time.monotonic() + self.LASTING
        self._worlds = make_world(provider)
        self._world = next(self._worlds)
        self.untouched = inventory(self._world.cloud, self._world.akka)
        self._empty = Snapshot(self._world)
        self._onboarded: dict[str, Snapshot] = {}
        self._held: dict[str, set[str]] = {}
        """The keys at each of those snapshots, by the kind."""

    def begin(self, kind: str, command: str) -> Stage:
        """Return the stage as it was before that command was first run on it.

        Raises:
            NotReset: the emulator keeps something where the snapshot does not find it.
            TimeoutError: an earlier call is still being answered.
        """
        on = Stage(self._world, KINDS[kind], self._server)
        if command != "onboard" and kind not in self._onboarded:
            self._onboarded[kind] = self._prepared(on)
            self._held[kind] = self._keys()
        (self._empty if command == "onboard" else self._onboarded[kind]).return_to()
        held = {one.known_as for one in self.untouched if is_key(one)}
        held = held if command == "onboard" else self._held[kind]
        if changed := held ^ self._keys():
            raise NotReset(sorted(changed))
        return on

    def _keys(self) -> set[str]:
        return {one.known_as for one in inventory(self._world.cloud, self._world.akka) if is_key(one)}

    def scan(self) -> None:
        """Scan for leaks since the world was created.

        Raises:
            Leaked: something was found.
        """
        if leaks := self._world.leaks():
            raise Leaked(leaks)

    @property
    def is_old(self) -> bool:
        """Whether the world must be replaced."""
        return time.monotonic() > self._end

    def close(self) -> None:
        """End the world."""
        # Leaks, which it would report, were searched for after each run.
        with contextlib.suppress(AssertionError, TimeoutError):
            next(self._worlds, None)

    def _prepared(self, on: Stage) -> Snapshot:
        self._empty.return_to()
        try:
            prepare(on, "rotate")
        except RuntimeError as error:
            raise NotOnboarded(str(error)) from None
        self.scan()
        # The secrets of the onboarding must not leak from a later run either.
        self._world.passwords += self._world.watched.secrets() - set(self._world.passwords)
        self._world.said.clear()
        self._world.watched.invalidate()
        return Snapshot(self._world)


class Rehearsals:
    """One world of each provider, for the cases that a process runs one after another.

    Not concurrently: the loops of two gRPC servers in one process take each other's events.
    """

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._kept: dict[str, Rehearsal] = {}

    @contextlib.contextmanager
    def at_the_beginning(self, kind: str, command: str) -> Iterator[tuple[Stage, set[InventoryItem]]]:
        """A stage that is ready for the command, and the inventory before any resource of pullkey's existed.

        Raises:
            AssertionError: on leaving, if something has leaked.
        """
        provider = KINDS[kind].provider
        try:
            on = self._of(provider).begin(kind, command)
        except TimeoutError:
            self._drop(provider)
            on = self._of(provider).begin(kind, command)
        try:
            yield on, self._of(provider).untouched
            self._of(provider).scan()
        except BaseException:
            self._drop(provider)
            raise
        if on.outlived or self._of(provider).is_old:
            self._drop(provider)

    def close(self) -> None:
        """End all worlds."""
        for provider in list(self._kept):
            self._drop(provider)

    def _of(self, provider: str) -> Rehearsal:
        if provider not in self._kept:
            self._kept[provider] = Rehearsal(self._server, provider)
        return self._kept[provider]

    def _drop(self, provider: str) -> None:
        self._kept.pop(provider).close()


def run_case(rehearsals: Rehearsals, case: Case) -> Outcome:
    """Run one case as in a world of its own, and check what is left."""
    outcome = Outcome(case)
    try:
        with rehearsals.at_the_beginning(case.kind, case.command) as (on, untouched):
            faulted = run_prepared(on, case.command, case.spec, case.timeout, untouched)
            ended = faulted.ended
            outcome.hit = faulted.taken > 0
            outcome.code, outcome.seconds, outcome.said = ended.code, round(ended.seconds, 1), ended.err
            outcome.wrong += faulted.wrong
    except AssertionError as leak:
        outcome.wrong.append(f"it leaks: {leak}")
    except Exception as error:  # noqa: BLE001  - hours of other cases go on
        outcome.wrong.append(f"it could not be tried: {error!r}")
    return outcome


# -- in other processes --------------------------------------------------------------------------------------


class Workers:
    """Processes that run cases for this one, each one at a time.

    Args:
        server: runs the product; all share it.
        number: of processes.
    """

    def __init__(self, server: ForkServer, number: int) -> None:
        # Forked by a process without threads: gRPC does not survive a fork with threads.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._pool = ProcessPoolExecutor(number, context, initializer=_begin, initargs=(server,))

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def calls_of(self, kind: str, command: str) -> Future[dict[str, bool]]:
        """See the function of that name."""
        return self._pool.submit(_calls_of, kind, command)

    def run_case(self, case: Case, *, until: float = math.inf) -> Future[Outcome | None]:
        """See the function of that name. Returns None if it has not begun at `until` (monotonic clock)."""
        future = self._pool.submit(_run_case, case, until)
        future.add_done_callback(_count)
        return future


_server: ForkServer
_rehearsals: Rehearsals


def _begin(server: ForkServer) -> None:
    global _server, _rehearsals
    _server, _rehearsals = server, Rehearsals(server)
    multiprocessing.util.Finalize(None, _rehearsals.close, exitpriority=0)


def _calls_of(kind: str, command: str) -> dict[str, bool]:
    return calls_of(_server, kind, command)


def _run_case(case: Case, until: float) -> Outcome | None:
    if time.monotonic() > until:
        return None
    before = dict(vars(FIGURES))
    outcome = run_case(_rehearsals, case)
    outcome.scanned = {name: count - before[name] for name, count in vars(FIGURES).items()}
    return outcome


def _count(future: Future[Outcome | None]) -> None:
    if not future.cancelled() and not future.exception() and (outcome := future.result()):
        FIGURES.add(outcome.scanned)
