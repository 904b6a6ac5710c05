"""A run that fails before it has looked at its steps ends with a sentence and its JSON document."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World


@pytest.mark.parametrize(
    "call", ["akka.docker.list-credentials", "akka.projects.get", "akka.version", "akka.auth.current-login"]
)
def test_where_akka_hangs(gcr: World, call: str) -> None:
    gcr.fault(f"{call}=hang*forever")
    done = gcr.onboard("--timeout", "2s", "--output", "json")
    assert done.code != 0, done.text
    assert "Something that pullkey does not expect" not in done.err
    assert done.json["exit_code"] == done.code
