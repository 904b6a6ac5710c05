"""A login from stdin is sent to one service: with credentials of several, the command is refused before any
call.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.world import World
from providers.gitlab.emulator.seed import MAINTAINER_TOKEN

GITLAB, HARBOR = "registry.gitlab.com", "harbor.example"
OF_GITLAB = AkkaCredential(
    GITLAB, "gitlab+deploy-token-7", "gitlab-project-42+deploy-token-7@gitlab.com", "one"
)
OF_HARBOR = AkkaCredential(
    HARBOR, "robot$shop+pullkey-0123456789ab", "harbor+robot-7-0123456789ab@harbor.example", "two"
)
COMMANDS = [
    ("list",),
    ("list", "--all-projects"),
    ("report", "--html", "page.html"),
    ("offboard", "--all", "--yes"),
]


def held(world: World, **credentials: AkkaCredential) -> None:
    for name, one in credentials.items():
        world.akka.projects["shop"].put_credential(name, one, dt.datetime.now(dt.UTC))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_is_refused_for_several_services(
    gitlab: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    held(gitlab, gitlab=OF_GITLAB, harbor=OF_HARBOR)
    begin = len(gitlab.running.sandbox.log.calls)
    refused = gitlab.run(*command, "--secret-stdin", stdin=MAINTAINER_TOKEN)
    assert refused.code == 2, refused.text
    assert f"these credentials are of several: {HARBOR}, {GITLAB}" in refused.err
    assert {call.api for call in gitlab.running.sandbox.log.calls[begin:]} <= {"akka"}


def test_it_is_used_for_those_of_one_service_that_are_named(gitlab: World) -> None:
    held(gitlab, gitlab=OF_GITLAB, harbor=OF_HARBOR)
    listed = gitlab.run("list", "gitlab", "--secret-stdin", stdin=MAINTAINER_TOKEN)
    assert "several" not in listed.text
    assert listed.code != 2, listed.text
