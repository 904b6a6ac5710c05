"""A registry that allows anonymous pulls: Akka needs no credential for it."""

from __future__ import annotations

from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME, cloud_picture, project

IMAGE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"


def open_to_all(world: World) -> None:
    world.cloud.state.open_to_all(project(world).repositories["europe-west1", "containers"])


def test_it_says_so_and_stops(gcr: World) -> None:
    open_to_all(gcr)
    before = cloud_picture(gcr)

    done = gcr.onboard("--server", IMAGE, "--output", "json")

    assert done.code == 0, done.text
    assert done.json["result"] == "unneeded"
    assert "needs no credential" in done.err
    assert gcr.changes() == []
    assert cloud_picture(gcr) == before
    assert gcr.names() == []


def test_neither_rights_nor_policies_matter_then(gcr: World) -> None:
    open_to_all(gcr)
    gcr.cloud.state.denied_permissions |= {"iam.serviceAccounts.create", "iam.serviceAccountKeys.create"}
    project(gcr).constraints["iam.disableServiceAccountKeyCreation"] = True

    done = gcr.onboard("--server", IMAGE)

    assert done.code == 0, done.text
    assert "needs no credential" in done.err


def test_anyway_registers_one(gcr: World) -> None:
    open_to_all(gcr)
    done = gcr.onboard("--server", IMAGE, "--anyway")
    assert done.code == 0, done.text
    assert gcr.held(NAME).username == "_json_key"


def test_one_open_repository_says_nothing_of_another(gcr: World) -> None:
    gcr.cloud.state.open_to_all(project(gcr).repositories["europe-west1", "tools"])
    done = gcr.onboard("--server", IMAGE)
    assert done.code == 0, done.text
    assert gcr.names() == [NAME]
