"""What the emulated Docker Hub holds, as the tests of `docker-hub` ask for it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bootstrap.testing.harness.world import Result, World
from providers.docker_hub.emulator.seed import OWNER, PASSWORD, USER
from providers.docker_hub.emulator.state import Pat

LOGIN = ("--login-stdin",)
ORGANIZATION = ("--hub-user", OWNER, "--organization", "acme", "--login-stdin")


def onboard(world: World, *arguments: str, given: str = PASSWORD, **how: Any) -> Result:
    """With something on stdin: the password, unless told."""
    return world.onboard(*arguments, stdin=given, **how)


def pats(world: World, user: str = USER) -> list[Any]:
    return list(world.cloud.state.user(user).tokens)


def our_pats(world: World, user: str = USER) -> list[Any]:
    """The tokens that were not there from the start."""
    return [
        one
        for one in pats(world, user)
        if one.label.startswith("pullkey ") and "0123456789ab" not in one.label
    ]


def our_oats(world: World) -> list[Any]:
    return [one for one in world.cloud.state.organization("acme").tokens if one.label.startswith("pullkey ")]


def add_external_pat(world: World, user: str = USER, scope: str = "repo:read") -> Pat:
    """A token that the person has made on Docker Hub's page."""
    pat = Pat("for Akka", (scope,), world.running.sandbox.now() - dt.timedelta(days=1))
    world.cloud.state.user(user).tokens.append(pat)
    world.passwords.append(pat.text)
    return pat


NAME = f"docker-hub-{USER}"
ORGANIZATION_NAME = "docker-hub-acme"


def cloud_picture(world: World) -> Any:
    """All that could be changed at Docker Hub, to compare before and after."""
    state = world.cloud.state
    return (
        {name: sorted((one.uuid, one.active) for one in user.tokens) for name, user in state.users.items()},
        {
            name: sorted((one.id, one.active) for one in found.tokens)
            for name, found in state.organizations.items()
        },
    )
