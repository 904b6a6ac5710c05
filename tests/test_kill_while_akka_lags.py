"""A run is killed around its registration while Akka's list lags: the next one ends well or names what is
there.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bootstrap.sandbox.akka_platform import Listing
from bootstrap.testing.harness.credential_life import akka_pulls, new_keys
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import JOURNAL, Point, Victim, descendants, scene, wait_until
from bootstrap.testing.harness.puller import pulls
from tests.harness.concurrent_change import meanwhile
from tests.harness.registries_file import CONTAINERS, TOOLS, TWO_TARGETS

ADD, LISTS = "akka.docker.add-credentials", "akka.docker.list-credentials"


class OfFile(Victim):
    """A command for all the targets of a file."""

    file = Path()

    @property
    def arguments(self) -> list[str]:
        return [*self.command.split(), "-f", str(self.file), "--yes", "--timeout", "60s"]


@contextmanager
def of_file(tmp_path: Path, command: str) -> Iterator[OfFile]:
    with scene(fork_server(), "gcr", "onboard") as one:
        victim = OfFile(one.life, command, one.server, "the file")
        victim.file = tmp_path / "registries.yaml"
        victim.file.write_text(TWO_TARGETS)
        yield victim


def both_pull(victim: Victim) -> bool:
    world = victim.life.world
    return all(pulls(world.running.environment, world.held(name), patience=0) for name in (CONTAINERS, TOOLS))


def test_a_first_apply_that_is_killed_in_a_registration_converges(tmp_path: Path) -> None:
    with of_file(tmp_path, "apply") as victim:
        life = victim.life
        life.world.akka.listing = Listing(lag=math.inf)
        assert victim.killed(Point(ADD, 1, "after"))
        life.world.akka.listing = Listing()
        done = victim.run()
        assert done.code == 0, done.text
        assert both_pull(victim)
        assert len(new_keys(life)) == 2
        assert life.world.run("offboard", "-f", str(victim.file), "--all", "--yes").code == 0
        assert life.there() == life.before


@contextmanager
def killed_before_it_reads_back(kind: str) -> Iterator[tuple[Victim, str, str]]:
    """A rotation whose key Akka has accepted; the list that would show it was never answered."""
    with scene(fork_server(), kind, "rotate") as victim:
        life = victim.life
        (old,) = new_keys(life)
        life.world.akka.listing = Listing(lag=math.inf)
        world = life.world

        def then_hang() -> None:
            world.fault(f"{LISTS}=hang*forever")

        meanwhile(world, ADD, then_hang)
        with victim.running() as ending:
            wait_until(lambda: world.calls(ADD) == 1)
            wait_until(
                lambda: any(one.kind == "hang" and one.taken for one in world.running.sandbox.faults.faults)
            )
            there = descendants(victim.server._server.pid)
            for pid in there:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            ending.result()
        world.running.sandbox.faults.faults.clear()
        (new,) = new_keys(life) - {old}
        assert akka_pulls(life)
        yield victim, old, new


@pytest.mark.parametrize("kind", ["gcr", "acr"])
def test_a_rotation_that_is_killed_before_it_reads_back_converges(kind: str) -> None:
    with killed_before_it_reads_back(kind) as (victim, old, new):
        life = victim.life
        lagging = life.onboard()
        assert lagging.code == 6, lagging.text
        assert {old, new} <= new_keys(life)
        assert new in lagging.err
        assert akka_pulls(life)

        life.world.akka.listing = Listing()
        done = victim.run()
        assert done.code == 0, done.text
        assert akka_pulls(life)
        assert old not in new_keys(life)


@pytest.mark.parametrize("kind", ["gcr", "acr"])
@pytest.mark.parametrize("write", [1, 2, 3])
def test_a_key_that_akka_may_hold_stays_after_a_killed_cleanup(kind: str, write: int) -> None:
    """What the journal knows of its registration must not be lost before the cleanup is done."""
    with killed_before_it_reads_back(kind) as (victim, old, new):
        victim.killed(Point(JOURNAL, write, "after"))
        lagging = victim.life.onboard()
        assert lagging.code == 6, lagging.text
        assert {old, new} <= new_keys(victim.life)
        assert akka_pulls(victim.life)
