"""A nightly rotation says of each key that it left alone why: also of one that it could not see, and of a
password of yours.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.docker_hub_state import LOGIN, onboard
from tests.harness.private_registry import NAME as PASSWORD_OF_YOURS
from tests.harness.private_registry import onboard_aged, rotation_file


@pytest.fixture
def minted(hub: World) -> World:
    """A token that pullkey created, whose age only a login shows."""
    assert onboard(hub, *LOGIN).code == 0
    return hub


def without_login(tmp_path: Path) -> str:
    """What `pullkey import` writes of it: no source of the login."""
    file = tmp_path / "registries.yaml"
    file.write_text("version: 1\ntargets:\n  - {provider: docker-hub, hub-user: acmebot, mint: true}\n")
    return str(file)


def test_a_key_that_was_not_seen_is_not_called_in_place(minted: World, tmp_path: Path) -> None:
    file = without_login(tmp_path)

    rotated = minted.run("rotate", "-f", file, "--due", "--yes")

    assert rotated.code == 5, rotated.text
    assert "Everything is in place" not in rotated.text
    assert "not seen: The Docker Hub password of acmebot is needed" in rotated.err
    assert "Name it in line 3, as token or login: env:NAME" in rotated.err


def test_a_plan_says_what_it_did_not_see(minted: World, tmp_path: Path) -> None:
    file = without_login(tmp_path)

    planned = minted.run("plan", "-f", file)

    assert planned.code == 0, planned.text
    assert "not seen: The Docker Hub password of acmebot is needed" in planned.out
    assert minted.run("plan", "-f", file, "--check").code == 5
    assert "not seen" in minted.run("plan", "-f", file, "--summary").out
    (target,) = minted.run("plan", "-f", file, "--output", "json").json["targets"]
    assert any(one.startswith("not seen: ") for one in target["notices"])


def test_with_its_login_it_is_seen(minted: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text("version: 1\ntargets:\n  - {provider: docker-hub, hub-user: acmebot, login: 'env:HUB'}\n")

    rotated = minted.run("rotate", "-f", str(file), "--due", "--yes", env={"HUB": "sandbox-password"})

    assert rotated.code == 0, rotated.text
    assert "not seen" not in rotated.text


def test_a_password_of_yours_that_is_due_comes_with_the_command_that_replaces_it(
    private: World,
    tmp_path: Path,
) -> None:
    onboard_aged(private, days_ago=70)

    rotated = private.run(
        "rotate", "-f", str(rotation_file(tmp_path, "60d")), "--due", "--yes", env={"SECRET": "x"}
    )

    assert rotated.code == 5, rotated.text
    assert f"pullkey rotate {PASSWORD_OF_YOURS}" in rotated.err
    assert "pullkey plan" not in rotated.err
    assert "Not in place" not in rotated.err


@pytest.mark.parametrize("place", ["", "true"])
def test_what_needs_attention_is_marked_at_its_line(minted: World, tmp_path: Path, place: str) -> None:
    file = without_login(tmp_path)
    rotated = minted.run("rotate", "-f", file, "--due", "--yes", env={"GITHUB_ACTIONS": place})
    assert (f"::warning file={file},line=3" in rotated.err) is bool(place)


def test_an_age_below_three_days_is_given_in_hours_or_minutes(private: World, tmp_path: Path) -> None:
    onboard_aged(private)
    time.sleep(1.1)
    rotated = private.run(
        "rotate", "-f", str(rotation_file(tmp_path, "1s")), "--due", "--yes", env={"SECRET": "x"}
    )
    assert "registered 1 min ago" in rotated.err
