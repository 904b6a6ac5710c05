"""The sandbox's private registry, and credentials for it whose password the user supplies."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

from bootstrap.model.key_ref import supplied_id
from bootstrap.testing.harness.world import Result, World

NAME = "registry-sandbox-example"
PASSWORD = "pull-in-the-sandbox"


def onboard_with_password(world: World, *arguments: str, password: str = PASSWORD, **how: Any) -> Result:
    return world.onboard("--password-stdin", *arguments, stdin=password, **how)


def onboard_aged(world: World, days_ago: int = 0) -> str:
    """The name of a credential whose password was registered some days ago."""
    done = onboard_with_password(world)
    assert done.code == 0, done.text
    if days_ago:
        _make_older(world, NAME, days_ago)
    return NAME


def _make_older(world: World, name: str, days: int) -> None:
    """As if it had been registered then: the moment stands in the e-mail of Akka's record."""
    held = world.held(name)
    subprocess.run(
        [
            world.akka.cli,
            "docker",
            "add-credentials",
            f"--secret-name={name}",
            f"--docker-server={held.server}",
            f"--docker-username={held.username}",
            f"--docker-email={_aged(held.email, days)}",
            f"--docker-password={held.password}",
            "--project=shop",
        ],
        env=world.running.process_environment(),
        check=True,
        capture_output=True,
    )


def _aged(email: str, days: int) -> str:
    key_id = email.partition("+")[2].partition("@")[0]
    then = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    return email.replace(key_id, supplied_id(key_id[:12], now=then))


def rotation_file(tmp_path: Path, rotate_after: str) -> Path:
    file = tmp_path / "registries.yaml"
    file.write_text(
        f"version: 1\ndefaults:\n  rotate-after: {rotate_after}\ntargets:\n  - provider: private\n  "
        "  server: https://registry.sandbox.example/v1/\n    username: ops\n    password: "
        "env:SECRET\n"
    )
    return file
