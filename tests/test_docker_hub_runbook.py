"""The runbook of Docker Hub ends as `onboard` does, and undoes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from providers.docker_hub.emulator.seed import OWNER, USER
from tests.harness.command import run_script
from tests.harness.docker_hub_state import (
    NAME,
    ORGANIZATION,
    add_external_pat,
    cloud_picture,
    onboard,
)


@pytest.mark.parametrize("arguments", [("--mint",), ORGANIZATION[:4]])
def test_the_runbook_ends_as_onboard_does_and_undoes(
    hub: World, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    # A password with everything that JSON and the shell know.
    awkward = 'a "b" \\ $c `d`'
    for user in (USER, OWNER):
        hub.cloud.state.user(user).password = awkward
    before = cloud_picture(hub)
    script = tmp_path / "steps.sh"
    script.write_text(hub.run("runbook", "docker-hub", *arguments).out)

    done = run_script(hub, script, typed=awkward + "\n")
    assert done.code == 0, done.text

    again = onboard(hub, *arguments, "--login-stdin", "--output", "json", given=awkward)
    assert again.json["result"] == "unchanged", again.text

    undone = run_script(hub, script, "undo", typed=awkward + "\n", KEY_ID=again.json["credential"]["key_id"])
    assert undone.code == 0, undone.text
    assert cloud_picture(hub) == before
    assert hub.names() == []


def test_the_runbook_of_a_brought_token(hub: World, tmp_path: Path) -> None:
    pat = add_external_pat(hub)
    script = tmp_path / "steps.sh"
    script.write_text(hub.run("runbook", "docker-hub").out)
    done = run_script(hub, script, typed=pat.text + "\n")
    assert done.code == 0, done.text
    assert hub.held(NAME).password == pat.text
    assert hub.onboard("--output", "json").json["result"] == "unchanged"
