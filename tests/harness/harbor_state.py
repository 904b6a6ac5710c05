"""What the emulated Harbor has, as the tests of `harbor` ask for it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bootstrap.testing.harness.world import Result, World
from providers.harbor.emulator.seed import HOST, PASSWORD, PROJECT, USER, pull_from
from providers.harbor.emulator.state import HarborState, Robot

NAME = "harbor-sandbox-example-shop"
OTHERS = 4
"""The robot accounts that are there from the start."""
CREATES_ROBOTS = ("robot:create", "robot:read", "robot:list", "robot:delete", "project:read")


def onboard(world: World, *arguments: str, given: str = PASSWORD, **how: Any) -> Result:
    """With a password on stdin."""
    return world.onboard("--login-stdin", *arguments, stdin=given, **how)


def later(world: World, *arguments: str, given: str = PASSWORD, **env: str) -> Result:
    """A command on what is there, with the login's password on stdin."""
    return world.run(
        *arguments,
        "--secret-stdin",
        "--yes",
        "--timeout",
        "20s",
        stdin=given,
        env={"PULLKEY_OVERLAP": "0", **env},
    )


def state_of(world: World) -> HarborState:
    state: HarborState = world.cloud.state
    return state


def our_robots(world: World) -> list[Robot]:
    """The robot accounts that were not there from the start."""
    return [one for one in state_of(world).robots.values() if one.number > OTHERS]


def add_creator(world: World, *, level: str = "project", **more: Any) -> Robot:
    """A robot account that may create others of the project."""
    state = state_of(world)
    number = 1 if level == "project" else 0
    stored = f"{PROJECT}+creator" if level == "project" else "creator"
    robot = state.add_robot(stored, level, number, -1, pull_from(PROJECT, *CREATES_ROBOTS), **more)
    world.passwords.append(robot.secret)
    return robot


def shown(world: World) -> Any:
    """All that could be changed at Harbor, to compare before and after."""
    state = state_of(world)
    return sorted((one.number, one.stored, one.disabled, one.expires_at) for one in state.robots.values())


def age(robot: Robot, by: dt.timedelta) -> None:
    """As if it had been created that much earlier."""
    robot.created -= by


__all__ = ["HOST", "NAME", "PASSWORD", "PROJECT", "USER"]
