"""Where no pull was verified, the true reason is given."""

from __future__ import annotations

import shlex

from bootstrap.testing.harness.world import World
from providers.gcr.emulator.policy import AllowPolicy


def test_a_role_that_is_granted_again_makes_no_new_key(gcr: World) -> None:
    assert gcr.onboard().code == 0
    for project in gcr.cloud.state.projects.values():
        for repository in project.repositories.values():
            repository.policy = AllowPolicy()
    done = gcr.onboard()
    assert done.code == 0, done.text
    assert "--no-wait" not in done.err
    assert "not verified by a pull: Akka already held this key" in done.err


def test_it_is_because_of_the_option_where_that_was_given(gcr: World) -> None:
    done = gcr.onboard("--no-wait", "--anyway", "--replace", "--max-expires-in", "700d")
    assert done.code == 0, done.text
    assert "NOT verified, because of --no-wait" in done.err
    command, *others = [line.strip() for line in done.err.splitlines() if "pullkey verify" in line]
    assert not others
    _, *arguments = shlex.split(command, comments=True)
    assert gcr.run(*arguments).code == 0
