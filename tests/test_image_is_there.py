"""The image that is named is looked at before anything is created: a mistyped tag costs nothing."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import make_world

GOOGLE = "europe-west1-docker.pkg.dev/acme-shop/containers"
IMAGES = {
    "gcr": ("--server", f"{GOOGLE}/checkout"),
    "acr": ("--registry", "acmeshop.azurecr.io/checkout"),
    "acr-token": (
        "--auth-kind",
        "token",
        "--repository",
        "checkout",
        "--registry",
        "acmeshop.azurecr.io/checkout",
    ),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_a_tag_that_is_not_there_is_found_before_anything_is_created(kind: str) -> None:
    *options, image = IMAGES[kind]
    for world in make_world(kind.partition("-")[0]):
        done = world.run("onboard", kind.partition("-")[0], *options, f"{image}:chekout", "--yes")
        assert done.code == 3, done.text
        assert f"There is no image {image}:chekout" in done.text
        assert not world.names()
        assert world.changes() == []
