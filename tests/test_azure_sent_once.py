"""Azure: what changes something is sent once for each look, and a rate limit is called one."""

from __future__ import annotations

import itertools
import time

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.azure_state import applications


def calls(world: World, name: str) -> int:
    return sum(f"{call.api}.{call.method}" == name for call in world.running.sandbox.log.calls)


@pytest.mark.parametrize("how", ["reset", "lost"])
def test_a_role_is_looked_for_before_it_is_sent_again(acr: World, how: str) -> None:
    """aiohttp repeats a PUT by itself whose connection was dropped."""
    acr.fault(f"arm.PutRoleAssignment={how}")
    done = acr.onboard()
    assert done.code == 0, done.text
    names = [f"{call.api}.{call.method}" for call in acr.running.sandbox.log.calls]
    puts = [at for at, name in enumerate(names) if name == "arm.PutRoleAssignment"]
    for first, second in itertools.pairwise(puts):
        assert any(
            name.startswith("arm.") and "RoleAssignment" in name and name != "arm.PutRoleAssignment"
            for name in names[first + 1 : second]
        ), names[first : second + 1]


@pytest.mark.parametrize("call", ["graph.*", "arm.ListRegistries"])
def test_a_read_that_is_limited_for_long_says_so_at_once(acr: World, call: str) -> None:
    acr.fault(f"{call}=429;retry-after=90*forever")
    begin = time.monotonic()
    failed = acr.onboard()
    assert failed.code in (1, 3), failed.text
    assert "limits the rate" in failed.text
    assert "after 90 s" in failed.text
    assert "did not answer" not in failed.text
    assert time.monotonic() - begin < 20
    assert applications(acr) == []
