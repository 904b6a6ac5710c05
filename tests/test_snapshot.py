"""A world that is put back is as it was: what the suites find in one is due to the case at hand, not to
one before.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.inventory import inventory
from bootstrap.testing.harness.rehearsals import Rehearsals
from bootstrap.testing.harness.snapshot import HeldState, Snapshot
from bootstrap.testing.harness.stage import COMMANDS, run_faulted, stage
from bootstrap.testing.harness.world import World
from providers.docker_hub.emulator.api import HubApi

PROVIDERS = {kind.provider: name for name, kind in KINDS.items()}
"""One kind of each."""


@pytest.fixture
def rehearsals() -> Iterator[Rehearsals]:
    one = Rehearsals(fork_server())
    yield one
    one.close()


@pytest.mark.parametrize("kind", PROVIDERS.values())
def test_each_command_begins_where_it_did_before(rehearsals: Rehearsals, kind: str) -> None:
    seen: dict[str, list[object]] = {command: [] for command in COMMANDS}
    for command in (*COMMANDS, *reversed(COMMANDS)):
        with rehearsals.at_the_beginning(kind, command) as (there, untouched):
            assert there.world.said == []
            assert (there.there() == untouched) == (command == "onboard")
            begin, calls, changes = (
                there.there(),
                len(there.world.running.sandbox.log.calls),
                there.world.changes(),
            )
            ended = there.run(command, 60)
            assert ended.code == 0, ended.err
            assert (there.there() == untouched) == (command == "offboard")
            seen[command].append((begin, calls, sorted(there.world.changes()[len(changes) :])))
    for first, second in seen.values():
        assert first == second


def test_a_call_that_hangs_and_its_fault_are_gone() -> None:
    with stage(fork_server(), "acr") as on:
        moment = Snapshot(on.world)
        assert run_faulted(on, "onboard", "graph.*=hang*forever", 1).ended.code != 0
        moment.return_to()
        assert _answering(on.world) == 0
        assert on.run("onboard", 60).code == 0


def test_the_files_of_its_person_are_as_they_were() -> None:
    with stage(fork_server(), "private") as on:
        home = Path(on.world.environment()["HOME"])
        (home / "kept").write_text("as it was")
        moment = Snapshot(on.world)
        (home / "kept").write_text("changed")
        (home / "new").mkdir()
        moment.return_to()
        assert [path.name for path in home.iterdir()] == ["kept"]
        assert (home / "kept").read_text() == "as it was"


def test_what_an_object_has_in_slots_is_put_back_too() -> None:
    class Slotted:
        __slots__ = ("keys", "late", "number")
        late: bool

        def __init__(self) -> None:
            self.keys, self.number = ["first"], 1

    one = Slotted()
    held = HeldState([one])
    one.keys.append("second")
    one.number, one.late = 2, True

    held.put_back()

    assert (one.keys, one.number, hasattr(one, "late")) == (["first"], 1, False)


def test_what_the_servers_hold_by_themselves_is_put_back_too() -> None:
    """Nothing that an emulator has points to them: they are reached by the routes alone."""
    with stage(fork_server(), "docker-hub-user") as on:
        before = inventory(on.world.cloud, on.world.akka)
        held = HeldState(on.world)
        state = on.world.cloud.state
        api = next(one for one in gc.get_objects() if isinstance(one, HubApi) and one._state is state)
        assert on.run("onboard", 60).code == 0
        assert api._callers
        held.put_back()
        assert not api._callers
        assert inventory(on.world.cloud, on.world.akka) == before


def _answering(world: World) -> int:
    async def count() -> int:
        names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
        return names.count("RequestHandler.start")

    return world.running.call(count())
