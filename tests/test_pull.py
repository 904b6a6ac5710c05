"""What Akka holds in the end pulls a real image with a real client, and no longer once the key is gone."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.sandbox.distribution import DistributionImages
from bootstrap.testing.harness.figures import count
from bootstrap.testing.harness.world import World, make_world

pytestmark = pytest.mark.needs_debian


@pytest.fixture(params=["gcr", "acr"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from make_world(request.param, images=DistributionImages())


def copy(world: World, into: Path, name: str) -> subprocess.CompletedProcess[str]:
    """`skopeo copy` with what Akka holds, from the registry's own port."""
    into.mkdir(exist_ok=True)
    held = world.held(name)
    if world.provider == "gcr":
        image = f"127.0.0.1:{world.cloud.registry_port}/acme-shop/containers/checkout:1.0"
    else:
        image = f"127.0.0.1:{world.cloud.registry_ports['acmeshop.azurecr.io']}/checkout:1.0"
    login = subprocess.run(
        [
            "skopeo",
            "login",
            "--authfile",
            into / "auth.json",
            "--username",
            held.username,
            "--password-stdin",
            image.partition("/")[0],
        ],
        env={**os.environ, **world.running.environment},
        input=held.password,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in login.stderr
    return subprocess.run(
        ["skopeo", "copy", "--src-authfile", into / "auth.json", f"docker://{image}", f"dir:{into}/image"],
        env={**os.environ, **world.running.environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_skopeo_copies_the_image_until_the_key_is_deleted(world: World, tmp_path: Path) -> None:
    done = world.onboard("--output", "json")
    assert done.code == 0, done.text
    name, key_id = done.json["akka"]["secret_name"], done.json["credential"]["key_id"]

    copied = copy(world, tmp_path, name)
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "image" / "manifest.json").exists()

    state = world.cloud.state
    if world.provider == "gcr":
        del state.account("akka-docker-reader@acme-shop.iam.gserviceaccount.com").keys[key_id]
    else:
        application = state.application_by_app_id(done.json["credential"]["username"])
        application.secrets = [secret for secret in application.secrets if secret.key_id != key_id]

    refused = copy(world, tmp_path, name)
    assert refused.returncode != 0
    assert "unauthorized" in refused.stderr.lower() or "authentication" in refused.stderr.lower()


@pytest.mark.parametrize("keep", ["24h", "0"])
def test_no_pull_fails_while_the_key_is_rotated(world: World, tmp_path: Path, keep: str) -> None:
    """A client pulls in a loop with whatever Akka holds at that moment."""
    assert world.onboard().code == 0
    name = world.names()[0]
    over = threading.Event()
    pulls: list[tuple[str, subprocess.CompletedProcess[str]]] = []

    def pull_until_it_is_over() -> None:
        while not over.is_set() or len(pulls) < 2:
            pulls.append((world.held(name).email, copy(world, tmp_path / str(len(pulls)), name)))

    client = threading.Thread(target=pull_until_it_is_over)
    client.start()
    try:
        rotations = [
            world.run("rotate", name, "--yes", "--keep-old", keep, "--overlap", "3s") for _ in range(2)
        ]
    finally:
        over.set()
        client.join()
    assert [rotation.code for rotation in rotations] == [0, 0], rotations[-1].text
    failed = [done.stderr for _, done in pulls if done.returncode != 0]
    count(
        "rotation under load",
        {"pulls with what Akka held at that moment": len(pulls), "of these, failed": len(failed)},
    )
    assert failed == []
    # With the credentials of before, between and after.
    assert len({email for email, _ in pulls}) >= 2
