"""A service that hangs: --timeout bounds each call of each command, those of a check by a check too."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.stage import prepare, stage

LIMIT = 4.0
SLACK = 8.0
"""For a start of Python and Akka's CLI on a busy machine; a call's own limit is 30 s and more."""


@pytest.mark.parametrize(
    ("kind", "command", "fault"),
    [
        # What compares the answers to a password with those to no password.
        ("private", "rotate", "private.GetToken#2=hang*forever"),
        ("docker-hub-organization", "rotate", "registry.GetToken#4=hang*forever"),
        ("gcr", "offboard", "artifactregistry.GetIamPolicy#3=hang*forever"),
    ],
)
def test_it_ends_in_time(kind: str, command: str, fault: str) -> None:
    with stage(fork_server(), kind) as on:
        prepare(on, command)
        on.world.fault(fault)
        ended = on.run(command, LIMIT)
    assert ended.code is not None
    assert ended.seconds < LIMIT + SLACK, ended.err
