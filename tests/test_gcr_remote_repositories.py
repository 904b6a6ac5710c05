"""Remote repositories of Artifact Registry: an image that they have not got is asked of another registry."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.google_state import project

HOST = "europe-west1-docker.pkg.dev"
NAME = "europe-west1-docker-pkg-dev-acme-shop"
MIRROR = f"{HOST}/acme-shop/a-dockerhub"


def add_mirror(gcr: World) -> None:
    """Add a remote repository of Docker Hub, which Google lists first."""
    shop = project(gcr)
    gcr.cloud.state.add_repository("acme-shop", "europe-west1", "a-dockerhub").details["mode"] = (
        "REMOTE_REPOSITORY"
    )
    shop.repositories = dict(sorted(shop.repositories.items()))


def test_one_that_is_added_to_the_project_fails_no_rotation(gcr: World) -> None:
    done = gcr.onboard("--server", HOST, "--gcp-project", "acme-shop")
    assert done.code == 0, done.text
    add_mirror(gcr)

    done = gcr.run("rotate", NAME, "--yes", "--timeout", "20s")

    assert done.code == 0, done.text
    assert f"it may pull {HOST}/acme-shop/containers/" in done.err


@pytest.mark.parametrize("mode_unseen", [False, True])
def test_its_upstream_decides_nothing_about_the_key(gcr: World, mode_unseen: bool) -> None:
    """It answers 502 for an image that cannot be there, which is asked only where the mode is not known."""
    add_mirror(gcr)
    if mode_unseen:
        gcr.fault("artifactregistry.GetRepository=403*forever")

    done = gcr.onboard("--server", MIRROR)

    assert done.code == 0, done.text
    assert f"NOT verified by a pull: it is accepted by {HOST}" in done.err
    assert "name an image: --image" in done.err


def test_an_image_that_its_upstream_refuses_is_not_asked_for_again(gcr: World) -> None:
    add_mirror(gcr)
    begin = gcr.running.clock.monotonic()

    done = gcr.onboard("--server", MIRROR, "--image", f"{MIRROR}/library/chekout:1.0")

    assert done.code == 1, done.text
    assert gcr.running.clock.monotonic() - begin < 5
    assert "status code 401 from external repository" in done.err
    assert "Check the image's name" in done.err
    assert "undone: deleted the service account" in done.err
