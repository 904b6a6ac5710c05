"""The runbook of GitLab ends as `onboard` does, and undoes it; skopeo pulls with what Akka holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bootstrap.sandbox.distribution import DistributionImages
from bootstrap.testing.harness.world import World, make_world
from providers.gitlab.emulator.seed import ACCESS_TOKENS, MAINTAINER_TOKEN, OWNER_TOKEN
from tests.harness.command import run_script
from tests.harness.gitlab_state import NAME, NO_IMAGE, onboard, our_tokens, tokens_of


@pytest.mark.parametrize(
    ("arguments", "env", "whose"),
    [
        ((), {}, "acme/shop"),
        (("--project", "acme/web/Site"), NO_IMAGE, "acme/web/Site"),
        (("--group", "acme"), NO_IMAGE, "acme"),
    ],
    ids=["image", "project", "group"],
)
def test_the_runbook_ends_as_onboard_does_and_undoes(
    gitlab: World, tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], whose: str
) -> None:
    given = OWNER_TOKEN if "--group" in arguments else MAINTAINER_TOKEN
    before = tokens_of(gitlab.cloud.state, whose)
    script = tmp_path / "steps.sh"
    script.write_text(gitlab.run("runbook", "gitlab", *arguments, env=env).out)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--shell=bash", str(script)], check=True)

    done = run_script(gitlab, script, typed=f"{given}\n")
    assert done.code == 0, done.text

    again = onboard(gitlab, *arguments, "--output", "json", given=given, env=env)
    assert again.json["result"] == "unchanged", again.text

    undone = run_script(gitlab, script, "undo", typed=f"{given}\n", KEY_ID=again.json["credential"]["key_id"])
    assert undone.code == 0, undone.text
    assert tokens_of(gitlab.cloud.state, whose) == before
    assert gitlab.names() == []


@pytest.mark.needs_debian
def test_skopeo_copies_what_the_token_may_pull_and_nothing_else(tmp_path: Path) -> None:
    for world in make_world("gitlab", images=DistributionImages()):
        world.passwords += ACCESS_TOKENS
        done = onboard(world)
        assert done.code == 0, done.text
        held, registry = world.held(NAME), f"127.0.0.1:{world.cloud.port}"
        env = {**os.environ, **world.running.environment}
        login = ["skopeo", "login", "--authfile", str(tmp_path / "auth.json"), "--username", held.username]
        logged_in = subprocess.run(
            [*login, "--password-stdin", registry],
            env=env,
            input=held.password,
            capture_output=True,
            text=True,
            check=False,
        )
        assert logged_in.returncode == 0, logged_in.stderr

        def copy(image: str, registry: str = registry, env: dict[str, str] = env) -> int:
            source = ["--src-authfile", f"{tmp_path}/auth.json", f"docker://{registry}/{image}"]
            return subprocess.run(
                ["skopeo", "copy", *source, f"dir:{tmp_path}/image"],
                env=env,
                capture_output=True,
                check=False,
            ).returncode

        assert copy("acme/shop/checkout:1.0") == 0
        assert copy("acme/shop:1.0") == 0
        assert copy("stranger/notes:1.0") != 0
        assert len(our_tokens(world)) == 1
