"""`pullkey onboard harbor`: a robot account is created for Akka, and lives until it is offboarded."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import Result, World
from providers.harbor import provider
from providers.harbor.emulator.state import Robot
from tests.harness.harbor_state import HOST, NAME, PASSWORD, later, onboard, our_robots, shown
from tests.harness.terminal import Terminal


def test_akka_holds_a_new_robot_account_that_pulls_and_expires(harbor: World) -> None:
    done = onboard(harbor)
    assert done.code == 0, done.text
    (robot,) = our_robots(harbor)
    run_id = robot.stored.rpartition("-")[2]
    held = harbor.held(NAME)
    assert (held.server, held.username) == (f"https://{HOST}/v1/", f"robot$shop+pullkey-{run_id}")
    assert held.password == robot.secret
    assert held.email == f"harbor+robot-{robot.number}-{run_id}@{HOST}"
    assert robot.permissions == [
        {"kind": "project", "namespace": "shop", "access": [{"resource": "repository", "action": "pull"}]}
    ]
    assert robot.duration == 365
    assert "reads the manifest" in done.err


def test_the_expiry_may_be_set_in_whole_days(harbor: World) -> None:
    assert onboard(harbor, "--expires-in", "30d").code == 0
    (robot,) = our_robots(harbor)
    assert robot.duration == 30
    part = onboard(harbor, "--expires-in", "36h")
    assert part.code == 2
    assert "whole number of days" in part.err


@pytest.mark.parametrize("damage", ["deleted", "expired", "disabled", "without its project", "renamed"])
def test_a_robot_account_is_not_valid_because_it_was_created(harbor: World, damage: str) -> None:
    onboard(harbor)
    (robot,) = our_robots(harbor)
    state = harbor.cloud.state
    match damage:
        case "deleted":
            del state.robots[robot.number]
        case "expired":
            robot.expires_at = int((robot.created - dt.timedelta(hours=1)).timestamp())
        case "disabled":
            robot.disabled = True
        case "without its project":
            robot.permissions[0]["namespace"] = "press"
        case _:
            state.prefix = "bot$"
    again = onboard(harbor)
    assert again.code == 0, again.text
    new = our_robots(harbor)[-1]
    assert new.number != robot.number
    assert harbor.held(NAME).password == new.secret
    assert harbor.held(NAME).username == state.name_of(new)


def test_a_rotation_deletes_an_old_account_that_somebody_else_has_disabled(harbor: World) -> None:
    onboard(harbor)
    (old,) = our_robots(harbor)
    old.disabled = True

    rotated = later(harbor, "rotate", NAME)

    assert rotated.code == 0, rotated.text
    (new,) = our_robots(harbor)
    assert new.number != old.number
    assert_handed_over(harbor, new)


def test_a_rotation_disables_the_old_account_and_hands_over_the_new_user_name(harbor: World) -> None:
    onboard(harbor)
    (old,) = our_robots(harbor)
    expires, name = old.expires_at, harbor.held(NAME).username
    rotated = later(harbor, "rotate", NAME)
    assert rotated.code == 0, rotated.text
    old, new = our_robots(harbor)
    assert (old.disabled, old.expires_at, new.disabled) == (True, expires, False)
    assert_handed_over(harbor, new)
    assert harbor.held(NAME).username != name

    third = later(harbor, "rotate", NAME, "--keep-old", "0")
    assert third.code == 0, third.text
    assert [one.secret for one in our_robots(harbor)] == [harbor.held(NAME).password]


def test_all_are_rotated_with_one_prompt_for_the_login(harbor: World) -> None:
    onboard(harbor)
    (old,) = our_robots(harbor)
    rotate = ("rotate", "--all", "--yes", "--keep-old", "0", "--overlap", "0")
    with Terminal(harbor, *rotate) as terminal:
        terminal.until("The password of jo")
        terminal.press(f"{PASSWORD}\n")
        assert terminal.ended(60) == 0, terminal.text
    (new,) = our_robots(harbor)
    assert new.number != old.number
    assert_handed_over(harbor, new)


def test_a_file_registers_rotates_and_offboards(harbor: World, tmp_path: Path) -> None:
    others = shown(harbor)
    file = tmp_path / "registries.yaml"
    target = f"provider: harbor, registry: {HOST}, project: shop, user: jo, login: 'env:HARBOR_LOGIN'"
    file.write_text(f"version: 1\ntargets:\n  - {{{target}}}\n")
    env = {"HARBOR_LOGIN": PASSWORD, "PULLKEY_OVERLAP": "0"}

    def run(*arguments: str) -> Result:
        return harbor.run(*arguments, "-f", str(file), "--yes", env=env)

    applied = run("apply")
    assert applied.code == 0, applied.text
    (old,) = our_robots(harbor)
    assert_handed_over(harbor, old)
    assert run("apply").code == 0
    assert our_robots(harbor) == [old]

    rotated = run("rotate")
    assert rotated.code == 0, rotated.text
    _, new = our_robots(harbor)
    assert old.disabled
    assert_handed_over(harbor, new)
    assert harbor.run("list", "-f", str(file), "--check", env=env).code == 0

    gone = run("offboard", "--all")
    assert gone.code == 0, gone.text
    assert shown(harbor) == others
    assert harbor.names() == []


def assert_handed_over(harbor: World, robot: Robot) -> None:
    """Akka holds this account: its user name and its secret."""
    held = harbor.held(NAME)
    assert (held.username, held.password) == (f"robot${robot.stored}", robot.secret)


def test_a_rotation_can_be_taken_back(harbor: World) -> None:
    onboard(harbor)
    (old,) = our_robots(harbor)
    before = (old.expires_at, old.description, old.permissions)
    assert later(harbor, "rotate", NAME).code == 0
    restored = later(harbor, "rotate", NAME, "--restore")
    assert restored.code == 0, restored.text
    assert not old.disabled
    assert (old.expires_at, old.description, old.permissions) == before


def test_where_the_prefix_cannot_be_told_from_the_project_the_account_names_it(harbor: World) -> None:
    harbor.cloud.state.prefix = "bot-"
    assert onboard(harbor).code == 0
    assert harbor.held(NAME).username.startswith("bot-shop+pullkey-")
    rotated = later(harbor, "rotate", NAME, "--keep-old", "0")
    assert rotated.code == 0, rotated.text
    (robot,) = our_robots(harbor)
    assert robot.stored.startswith("shop+pullkey-")
    assert harbor.held(NAME).password == robot.secret


@pytest.mark.parametrize(
    ("host", "is_harbors"),
    [
        ("harbor.example.com", True),
        ("harbor.azurecr.io", False),
        ("harbor.azurecr.us", False),
        ("registry.example.com", False),
        ("", False),
    ],
)
def test_which_hosts_are_taken_for_a_harbor(host: str, is_harbors: bool) -> None:
    assert provider.claims(host) is is_harbors


def test_a_host_that_is_not_a_harbor(harbor: World) -> None:
    harbor.fault("harbor.GetCurrentUser=html*forever")
    harbor.fault("harbor.GetSystemInfo=html*forever")
    done = onboard(harbor)
    assert done.code == 3, done.text
    assert f"{HOST} does not answer as Harbor does" in done.err
    assert "pullkey onboard private" in done.err
