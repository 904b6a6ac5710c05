"""The suites' own puller tells what pulls from what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.stage import prepare, stage

OTHERS: dict[str, Callable[[AkkaCredential], AkkaCredential]] = {
    "another password": lambda held: replace(held, password=held.password[::-1]),
    "another user": lambda held: replace(held, username="nobody"),
    "another server": lambda held: replace(held, server="https://registry.elsewhere.example/v2/"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_akka_holds_pulls_and_nothing_else_does(kind: str) -> None:
    with stage(fork_server(), kind) as on:
        prepare(on, "rotate")
        held, sandbox = on.world.held(on.held() or ""), on.world.running.environment
        assert pulls(sandbox, held)
        assert [name for name, other in OTHERS.items() if pulls(sandbox, other(held), patience=0)] == []
