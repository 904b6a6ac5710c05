"""The whole life of a credential where replicas lag as the real clouds' do (`--consistency real`).

A read may lack what was created a moment ago, show what was deleted, or show the one thing and then the
other. No run may fail for it, delete what is in use, leave something unnamed, or create what is there
already.
"""

from __future__ import annotations

import pytest

from bootstrap.model.errors import ExitCode
from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.figures import count
from bootstrap.testing.harness.fork_server import ForkServer, fork_server
from bootstrap.testing.harness.stage import Stage, judge, stage, warm

SECONDS = 60.0


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return warm(fork_server(), "gcr", "acr", "docker-hub-user")


def _run(on: Stage, command: str, untouched: set[InventoryItem], good: set[ExitCode]) -> None:
    before = on.there()
    ended = on.run(command, SECONDS)
    assert ended.code in good, ended.err
    assert judge(on, command, SECONDS, ended, untouched, before) == [], ended.err


def _live(server: ForkServer, kind: str, seed: int) -> None:
    with stage(server, kind, SandboxSettings(consistency="real", seed=seed)) as on:
        untouched = on.there()
        _run(on, "onboard", untouched, {ExitCode.DONE})
        key = on.held()
        changes = len(on.world.changes())
        _run(on, "onboard", untouched, {ExitCode.DONE})
        # Akka shows no password, so one that is given is registered again.
        if on.kind.creates_key:
            assert (on.held(), len(on.world.changes())) == (key, changes), "the second run has nothing to do"
        _run(on, "rotate", untouched, {ExitCode.DONE})
        # What is still shown cannot be told from what is still there: it may be named instead.
        _run(on, "offboard", untouched, {ExitCode.DONE, ExitCode.LEFT_OVER})
    count("eventual consistency", {"lives with replicas that lag": 1})


@pytest.mark.parametrize("kind", ["gcr", "gcr-upload", "acr", "acr-token"])
def test_a_life_with_replicas_that_lag(server: ForkServer, kind: str) -> None:
    _live(server, kind, 1)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", KINDS)
def test_lives_with_replicas_that_lag(server: ForkServer, kind: str, seed: int) -> None:
    _live(server, kind, seed)
