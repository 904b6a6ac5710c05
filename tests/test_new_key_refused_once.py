"""A key that was just created is refused by whichever exchange meets a replica that does not know it yet."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.fork_server import ForkServer, fork_server
from bootstrap.testing.harness.stage import prepare, stage, warm


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return warm(fork_server(), "docker-hub-user")


@pytest.mark.parametrize("number", [1, 4, 5])
def test_a_rotation_outlives_one_refusal_wherever_it_comes(server: ForkServer, number: int) -> None:
    """Without an image the registry gives a token to anybody, so the password is tried once more by
    itself.
    """
    with stage(server, "docker-hub-user") as on:
        prepare(on, "rotate")
        on.world.fault(f"registry.GetToken#{number}=401")
        ended = on.run("rotate", 20)
        assert on.world.running.sandbox.faults.faults[0].taken == 1
        assert ended.code == 0, ended.err
        assert on.pulls()
