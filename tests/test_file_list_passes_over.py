"""Akka's list passes over a credential of a file once: it is neither taken for gone nor made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.registries_file import CONTAINERS, THREE_TARGETS, TOOLS

LISTS = "akka.docker.list-credentials"
TWO = THREE_TARGETS.partition(
    "  - provider: gcr\n    server: europe-west1-docker.pkg.dev/acme-shop/containers\n    akka-project"
)[0]


@pytest.fixture
def file(gcr: World, tmp_path: Path) -> Path:
    path = tmp_path / "registries.yaml"
    path.write_text(TWO)
    assert gcr.run("apply", "-f", str(path), "--yes").code == 0
    return path


def test_what_is_to_be_removed_is_removed(gcr: World, file: Path) -> None:
    file.write_text(TWO + "    remove: true\n")
    gcr.fault(f"{LISTS}=stale*1")
    done = gcr.run("apply", "-f", str(file), "--yes", "--only", TOOLS)
    assert done.code == 0, done.text
    assert gcr.names() == [CONTAINERS]


def test_an_offboarding_finds_it(gcr: World, file: Path) -> None:
    gcr.fault(f"{LISTS}=stale*1")
    done = gcr.run("offboard", "-f", str(file), "--only", TOOLS, "--yes")
    assert done.code == 0, done.text
    assert gcr.names() == [CONTAINERS]


def test_what_is_there_is_kept(gcr: World, file: Path) -> None:
    gcr.fault(f"{LISTS}=stale*1")
    done = gcr.run("apply", "-f", str(file), "--yes")
    assert done.code == 0, done.text
    assert "iam.CreateServiceAccountKey" not in gcr.changes()[-1:]
    assert sorted(gcr.names()) == [CONTAINERS, TOOLS]
