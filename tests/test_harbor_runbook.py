"""The runbook of Harbor ends as `onboard` does, and undoes it; a plan's commands run as they are printed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from providers.harbor import provider
from providers.harbor.scripts import delete_command
from providers.harbor.target import HarborTarget
from tests.harness.command import run_script
from tests.harness.harbor_state import HOST, NAME, onboard, our_robots, shown, state_of


def test_the_runbook_ends_as_onboard_does_and_undoes(harbor: World, tmp_path: Path) -> None:
    awkward = 'a "B" \\ $c `d` 1'  # whatever JSON, curl's configuration and the shell know
    state_of(harbor).users["jo"].password = awkward
    harbor.passwords.append(awkward)
    before = shown(harbor)
    script = tmp_path / "steps.sh"
    script.write_text(harbor.run("runbook", "harbor").out)

    done = run_script(harbor, script, typed=awkward + "\n")
    assert done.code == 0, done.text
    (robot,) = our_robots(harbor)
    assert robot.duration == 365
    assert [one["access"] for one in robot.permissions] == [[{"resource": "repository", "action": "pull"}]]
    assert (harbor.held(NAME).username, harbor.held(NAME).password) == (f"robot${robot.stored}", robot.secret)

    again = onboard(harbor, "--output", "json", given=awkward)
    assert again.json["result"] == "unchanged", again.text

    undone = run_script(
        harbor, script, "undo", typed=awkward + "\n", KEY_ID=again.json["credential"]["key_id"]
    )
    assert undone.code == 0, undone.text
    assert shown(harbor) == before
    assert harbor.names() == []


def test_a_plan_prints_commands_that_run(harbor: World, tmp_path: Path) -> None:
    plan = harbor.run("plan", "harbor", "--login-stdin", "--output", "json", stdin="Sandbox-password-1")
    assert plan.code == 0, plan.text
    key = next(step for step in plan.json["steps"] if step["name"] == "key")
    script = tmp_path / "typed.sh"
    script.write_text(f'set -eu\n{key["command"]}\ntest -n "$SECRET"\n')
    done = run_script(harbor, script, typed="Sandbox-password-1\n")
    assert done.code == 0, done.text
    (robot,) = our_robots(harbor)
    assert robot.level == "project"


@pytest.mark.needs_shellcheck
def test_shellcheck_accepts_the_runbook_of_several_projects(harbor: World, tmp_path: Path) -> None:
    script = tmp_path / "steps.sh"
    script.write_text(harbor.run("runbook", "harbor", "--project", "shop,press", "--image", "").out)
    checked = subprocess.run(
        [shutil.which("shellcheck") or "shellcheck", str(script)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_the_command_that_deletes_names_the_account_by_its_number() -> None:
    values = {"registry": f"{HOST}:8443", "project": "shop", "user": "jo"}
    target = provider.target(values)
    assert isinstance(target, HarborTarget)
    command = delete_command(target, "robot-17-0123456789ab")
    assert command.endswith(f"--user jo --request DELETE https://{HOST}:8443/api/v2.0/robots/17")
    assert delete_command(target, "pullkey-0123456789ab").startswith("# Delete the robot account pullkey-")
