"""What a fix would open, how long a key may last, and that a sandbox is one: said where it matters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World, make_world


@pytest.fixture
def docker_hub() -> Iterator[World]:
    yield from make_world("docker-hub")


LONG = {
    "acr": ("--registry", "acmeshop"),
    "gcr": ("--server", "gcr.io/acme-shop", "--key-source", "upload"),
}


@pytest.mark.parametrize("provider", LONG)
def test_a_key_that_would_last_for_too_long_is_refused(provider: str) -> None:
    for world in make_world(provider):
        for command in ("onboard", "plan"):
            done = world.run(
                command,
                provider,
                *LONG[provider],
                "--expires-in",
                "731d",
                *(["--yes"] if command == "onboard" else []),
            )
            assert done.code == 2, done.text
            assert "--expires-in 731d is longer than the maximum, 730d" in done.err
            assert "--max-expires-in" in done.err
        assert world.changes() == []
        shorter = world.run(
            "plan", provider, *LONG[provider], "--expires-in", "91d", env={"PULLKEY_MAX_EXPIRES_IN": "90d"}
        )
        assert shorter.code == 2
        longer = world.run(
            "plan", provider, *LONG[provider], "--expires-in", "731d", "--max-expires-in", "800d"
        )
        assert longer.code == 0, longer.text


def test_the_default_is_held_to_a_shorter_maximum_too(acr: World) -> None:
    done = acr.run("plan", "acr", "--registry", "acmeshop", "--max-expires-in", "90d")
    assert done.code == 2
    assert "365d" in done.err
    assert "Pass --expires-in" in done.err


def test_a_file_sets_the_maximum(acr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    text = (
        "version: 1\ndefaults:\n  max-expires-in: {}\ntargets:\n  - {{provider: acr, registry: "
        "acmeshop, expires-in: {}}}\n"
    )
    file.write_text(text.format("90d", "180d"))
    done = acr.run("plan", "-f", str(file))
    assert done.code == 2, done.text
    assert f"{file}:5" in done.err
    assert "expires-in 180d is longer than the maximum, 90d" in done.err
    file.write_text(text.format("1000d", "900d"))
    assert acr.run("plan", "-f", str(file)).code == 0
    file.write_text("version: 1\ntargets:\n  - {provider: acr, registry: acmeshop, expires-in: 5000d}\n")
    assert acr.run("plan", "-f", str(file)).code == 2


def test_a_fix_that_opens_a_registry_says_what_it_opens_and_the_narrower_way(acr: World) -> None:
    done = acr.run("plan", "acr", "--registry", "acmevault")
    said = " ".join(done.err.split())
    assert done.code == 3
    assert "--public-network-enabled true" in said
    assert "the whole internet" in said
    assert "--default-action Deny" in said
    assert "az acr network-rule add --name acmevault --ip-address" in said


@pytest.mark.parametrize("command", [("onboard", "gcr", "--sandbox", "--yes"), ("plan", "gcr", "--sandbox")])
def test_a_sandbox_says_so_first_and_last(command: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Sandbox:"), lines[0]
    assert lines[-1].startswith("Sandbox:"), lines[-1]
    assert "No account was used" in lines[-1]
