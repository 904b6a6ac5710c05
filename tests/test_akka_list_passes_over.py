"""Akka's list passes over a credential that is there: no second key is made for it, and none is named for
deletion.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bootstrap.testing.harness.credential_life import Life, akka_pulls, living, new_keys

LISTS = "akka.docker.list-credentials"


@pytest.fixture(params=["gcr", "acr", "acr-token", "docker-hub-organization"])
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    with living(request.param) as one:
        yield one


@pytest.mark.parametrize("times", [1, 3])
def test_a_second_onboarding_registers_no_other_key_over_a_record_that_is_not_listed(
    life: Life, times: int
) -> None:
    assert life.onboard().code == 0
    there = new_keys(life)
    life.world.fault(f"{LISTS}=stale*{times}")
    again = life.onboard()
    assert again.code == 0, again.text
    assert new_keys(life) == there
    assert akka_pulls(life)


def test_a_file_finds_a_record_that_is_not_listed_at_first(tmp_path: object) -> None:
    with living("gcr") as life:
        assert life.onboard().code == 0
        there = new_keys(life)
        life.world.fault(f"{LISTS}=stale*1")
        planned = life.world.run("plan", "gcr", "--output", "json")
        assert planned.code == 0, planned.text
        assert '"missing"' not in planned.out
        assert new_keys(life) == there
