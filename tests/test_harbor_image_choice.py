"""Where no image is named, Harbor's own lists name one, and the pull is verified with that."""

from __future__ import annotations

import asyncio

import pytest

from bootstrap.sandbox.images import Image
from bootstrap.testing.harness.world import World
from tests.harness.harbor_state import HOST, NAME, add_creator, later, onboard, state_of

NO_IMAGE = {"PULLKEY_HARBOR_IMAGE": ""}


def put(world: World, name: str) -> None:
    """An image of that name, with the tag 2.0."""
    asyncio.run(world.running.sandbox.images.put(f"{HOST}/{name}", "2.0", Image.build(name)))


def test_an_image_of_the_project_verifies_the_pull(harbor: World) -> None:
    done = onboard(harbor, env=NO_IMAGE)
    assert done.code == 0, done.text
    assert f"reads the manifest of {HOST}/shop/checkout:1.0" in done.err
    assert "NOT verified" not in done.text
    rotated = later(harbor, "rotate", NAME, **NO_IMAGE)
    assert f"reads the manifest of {HOST}/shop/checkout:1.0" in rotated.err, rotated.text


def test_a_repository_may_have_slashes_in_its_name(harbor: World) -> None:
    state_of(harbor).add_project("nested", {"jo": "projectAdmin"})
    put(harbor, "nested/team/web")
    done = onboard(harbor, "--project", "nested", env=NO_IMAGE)
    assert f"reads the manifest of {HOST}/nested/team/web:2.0" in done.err, done.text


def test_of_several_projects_the_first_that_has_an_image_is_taken(harbor: World) -> None:
    state_of(harbor).add_project("empty", {})
    done = onboard(harbor, "--project", "empty,press", "--user", "admin", env=NO_IMAGE)
    assert f"reads the manifest of {HOST}/press/site:1.0" in done.err, done.text


def test_an_empty_project_is_named(harbor: World) -> None:
    state_of(harbor).add_project("empty", {"jo": "projectAdmin"})
    done = onboard(harbor, "--project", "empty", env=NO_IMAGE)
    assert done.code == 0, done.text
    assert "The project empty has no image yet, so the pull cannot be verified." in done.err
    assert "NOT verified by a pull" in done.err


def test_images_that_a_policy_refuses_to_everyone_are_passed_over(harbor: World) -> None:
    project = state_of(harbor).project("shop", is_name=True)
    assert project is not None
    project.refuses_images = "The image is not signed by cosign."
    done = onboard(harbor, env=NO_IMAGE)
    assert done.code == 0, done.text
    assert f"{HOST} gives jo none of the newest images of the project shop" in done.err


def test_a_login_that_may_not_list_images_says_so(harbor: World) -> None:
    creator = add_creator(harbor)
    done = onboard(harbor, "--user", "robot$shop+creator", given=creator.secret, env=NO_IMAGE)
    assert done.code == 0, done.text
    assert f"{HOST} does not list the images of the project shop (FORBIDDEN" in done.err
    assert "Name an image with --image." in done.err


@pytest.mark.parametrize("call", ["ListRepositories", "ListArtifacts"])
def test_lists_that_cannot_be_read_prevent_nothing(harbor: World, call: str) -> None:
    harbor.fault(f"harbor.{call}=malformed*forever")
    done = onboard(harbor, env=NO_IMAGE)
    assert done.code == 0, done.text
    assert "so the pull cannot be verified" in done.err


def test_a_plan_names_no_image_and_changes_nothing(harbor: World) -> None:
    before = harbor.changes()
    planned = harbor.run("plan", "harbor", "--login-stdin", stdin="Sandbox-password-1", env={**NO_IMAGE})
    assert planned.code in (0, 3), planned.text
    assert harbor.changes() == before
