"""Two credentials of Akka's for one server draw a notice: which one it pulls with is not documented."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.odd_registry import HOST, IMAGE, NAME, PASSWORD, make_odd, onboard


@pytest.fixture
def odd() -> Iterator[World]:
    yield from make_odd()


def test_a_second_one_draws_a_notice(odd: World) -> None:
    first = onboard(odd)
    assert "another credential" not in first.err
    second = onboard(odd, "--secret-name", "a-second-one", "--output", "json")
    assert second.code == 0, second.text
    assert any(
        f"another credential for https://{HOST}/v1/ already, {NAME}" in one for one in second.json["notices"]
    )
    planned = odd.run("plan", "private", "--secret-name", "a-third-one")
    assert f"{NAME} (user ops)" in planned.err
    assert "a-second-one (user ops)" in planned.err


def test_the_same_one_again_draws_none(odd: World) -> None:
    onboard(odd)
    for again in (onboard(odd), odd.run("plan", "private"), odd.onboard()):
        assert "another credential" not in again.err


def test_a_file_draws_it_too(odd: World) -> None:
    onboard(odd)
    path = odd.place / "registries.yaml"
    path.write_text(
        f"version: 1\ntargets:\n  - provider: private\n    server: https://{HOST}/v1/\n    "
        f"username: ops\n    image: {IMAGE}\n    secret-name: a-second-one\n    password: "
        "env:ODD_PASSWORD\n    akka-project: shop\n"
    )
    planned = odd.run("plan", "-f", str(path), "--output", "json", env={"ODD_PASSWORD": PASSWORD})
    assert "another credential" in json.dumps(json.loads(planned.out)) + planned.err
    path.unlink()
