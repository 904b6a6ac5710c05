"""What the emulated GitLab holds, as the tests of `gitlab` ask for it."""

from __future__ import annotations

from typing import Any

from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import Result, World
from providers.gitlab.emulator.seed import MAINTAINER_TOKEN, PROJECT
from providers.gitlab.emulator.state import DeployToken, GitlabState

NAME = "registry-gitlab-com-acme-shop-checkout"
NO_IMAGE = {"PULLKEY_GITLAB_IMAGE": ""}


def onboard(world: World, *arguments: str, given: str = MAINTAINER_TOKEN, **how: Any) -> Result:
    """With an access token on stdin."""
    return world.onboard("--login-stdin", *arguments, stdin=given, **how)


def tokens_of(state: GitlabState, path: str = PROJECT) -> list[DeployToken]:
    found = state.projects.get(path) or state.groups[path]
    return list(found.tokens)


def our_tokens(world: World, path: str = PROJECT, *, own: bool = False) -> list[DeployToken]:
    """The tokens that were not there from the start."""
    state = world.cloud.own if own else world.cloud.state
    return [
        one
        for one in tokens_of(state, path)
        if one.name.startswith("pullkey ") and "0123456789ab" not in one.name
    ]


def akka_pulls(world: World, name: str) -> bool:
    """Whether what Akka holds pulls, by a client of its own."""
    return pulls(world.running.environment, world.held(name), patience=0)


def later(world: World, *arguments: str, given: str = MAINTAINER_TOKEN) -> Result:
    """A command that needs the access token again."""
    return world.run(
        *arguments, "--secret-stdin", "--yes", "--timeout", "30s", stdin=given, env={"PULLKEY_OVERLAP": "0"}
    )
