"""`pullkey onboard docker-hub --organization`: an organization's token pulls what was named."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bootstrap.sandbox.distribution import DistributionImages
from bootstrap.testing.harness.world import World, make_world
from providers.docker_hub.emulator.seed import OWNER, PASSWORD
from tests.harness.docker_hub_state import (
    LOGIN,
    ORGANIZATION,
    ORGANIZATION_NAME,
    onboard,
    our_oats,
)


class TestOrganization:
    def test_its_token_pulls_what_was_named_and_nothing_else(self, hub: World) -> None:
        done = onboard(hub, *ORGANIZATION, "--repository", "acme/checkout")
        assert done.code == 0, done.text
        (oat,) = our_oats(hub)
        held = hub.held(ORGANIZATION_NAME)
        assert (held.username, held.password, held.email) == ("acme", oat.text, f"oat+{oat.id}@docker.io")
        assert oat.expires is not None
        assert "cannot be limited" not in done.err

        pulls = hub.run(
            "verify",
            "docker-hub",
            "--organization",
            "acme",
            "--hub-user",
            OWNER,
            "--repository",
            "acme/checkout",
            "--credential-stdin",
            stdin=oat.text,
        )
        assert pulls.code == 0, pulls.text
        assert "Pull verified" in pulls.text
        image = {"PULLKEY_DOCKER_HUB_IMAGE": "acme/cart:1.0"}
        other = hub.run(
            "verify",
            "docker-hub",
            "--organization",
            "acme",
            "--hub-user",
            OWNER,
            "--credential-stdin",
            stdin=oat.text,
            env=image,
        )
        assert other.code == 5, other.text
        assert "does not pull" in other.text

    def test_several_repositories(self, hub: World) -> None:
        assert onboard(hub, *ORGANIZATION, "--repository", "acme/checkout, acme/cart").code == 0
        (oat,) = our_oats(hub)
        assert [one["path"] for one in oat.resources] == ["acme/checkout", "acme/cart"]
        assert {scope for one in oat.resources for scope in one["scopes"]} == {"scope-image-pull"}

    def test_the_second_run_changes_nothing_until_more_is_to_be_pulled(self, hub: World) -> None:
        onboard(hub, *ORGANIZATION)
        again = onboard(hub, *ORGANIZATION, "--output", "json")
        assert again.json["result"] == "unchanged", again.text
        more = onboard(hub, *ORGANIZATION, "--repository", "acme/checkout,acme/cart", "--output", "json")
        assert more.json["result"] == "done", more.text
        assert "may not pull acme/cart" in more.json["steps"][0]["reason"]
        assert len(our_oats(hub)) == 2

    def test_another_repository_takes_none_away(self, hub: World) -> None:
        no_image = {"PULLKEY_DOCKER_HUB_IMAGE": ""}
        assert onboard(hub, *ORGANIZATION, "--repository", "acme/checkout", env=no_image).code == 0

        more = onboard(hub, *ORGANIZATION, "--repository", "acme/cart", env=no_image)

        assert more.code == 0, more.text
        held = hub.held(ORGANIZATION_NAME)
        (oat,) = [one for one in our_oats(hub) if one.text == held.password]
        assert {one["path"] for one in oat.resources} == {"acme/checkout", "acme/cart"}
        assert "that may pull acme/cart, acme/checkout" in " ".join(more.text.split())

    def test_a_file_states_all_repositories_and_its_plan_shows_which_are_dropped(
        self, hub: World, tmp_path: Path
    ) -> None:
        no_image = {"PULLKEY_DOCKER_HUB_IMAGE": ""}
        assert onboard(hub, *ORGANIZATION, "--repository", "acme/checkout", env=no_image).code == 0
        file = tmp_path / "registries.yaml"
        file.write_text(
            "version: 1\ntargets:\n- {provider: docker-hub, organization: acme, repository: acme/cart, "
            f"hub-user: {OWNER}, akka-project: shop, login: 'env:LOGIN'}}\n"
        )

        planned = hub.run("plan", "-f", str(file), env={**no_image, "LOGIN": PASSWORD})

        said = " ".join(planned.text.split())
        assert "Akka can pull acme/checkout now, and cannot with the new token" in said

    def test_a_repository_that_its_token_may_no_longer_pull_is_not_added_by_a_rotation(
        self, hub: World
    ) -> None:
        assert onboard(hub, *ORGANIZATION, "--repository", "acme/checkout,acme/cart").code == 0
        our_oats(hub)[0].resources[1]["scopes"] = ["scope-tag-read"]
        hub.extra |= {"PULLKEY_HUB_USER": OWNER, "PULLKEY_DOCKER_HUB_HUB_USER": OWNER}

        listed = hub.run("list", "--secret-stdin", stdin=PASSWORD)
        rotated = hub.run("rotate", ORGANIZATION_NAME, "--yes", "--secret-stdin", stdin=PASSWORD)

        assert "may not pull acme/cart" in listed.text
        assert rotated.code == 0, rotated.text
        assert "may not pull acme/cart, so the new one does not either" in rotated.err
        assert [one["path"] for one in our_oats(hub)[-1].resources] == ["acme/checkout"]

    def test_who_is_no_owner_is_told(self, hub: World) -> None:
        done = onboard(hub, "--organization", "acme", *LOGIN)
        assert done.code == 3, done.text
        assert "is not an owner of acme" in done.err
        assert hub.changes() == []

    def test_an_organisation_that_is_not_there(self, hub: World) -> None:
        done = onboard(
            hub,
            "--organization",
            "acmee",
            *LOGIN,
            "--repository",
            "acmee/checkout",
            env={"PULLKEY_DOCKER_HUB_IMAGE": ""},
        )
        assert done.code == 3, done.text
        assert "no organisation acmee" in done.err

    def test_a_repository_that_is_not_there(self, hub: World) -> None:
        done = onboard(hub, *ORGANIZATION, "--repository", "acme/checkout,acme/chekcout")
        assert done.code == 3
        assert "no repository acme/chekcout" in done.err
        assert hub.changes() == []

    def test_the_limit_of_tokens_is_told_in_docker_hubs_words(self, hub: World) -> None:
        hub.cloud.state.organization("acme").most_tokens = 1
        done = onboard(hub, *ORGANIZATION)
        assert done.code == 1
        assert "has reached its limit of 1 access tokens" in done.err


@pytest.mark.needs_debian
def test_skopeo_copies_what_the_token_may_pull(tmp_path: Path) -> None:
    for world in make_world("docker-hub", images=DistributionImages()):
        world.passwords.append(PASSWORD)
        done = onboard(world, *ORGANIZATION)
        assert done.code == 0, done.text
        held, registry = world.held(ORGANIZATION_NAME), f"127.0.0.1:{world.cloud.registry_port}"
        env = {**os.environ, **world.running.environment}
        login = subprocess.run(
            [
                "skopeo",
                "login",
                "--authfile",
                tmp_path / "auth.json",
                "--username",
                held.username,
                "--password-stdin",
                registry,
            ],
            env=env,
            input=held.password,
            capture_output=True,
            text=True,
            check=False,
        )
        assert login.returncode == 0, login.stderr

        def copy(image: str, registry: str = registry, env: dict[str, str] = env) -> int:
            return subprocess.run(
                [
                    "skopeo",
                    "copy",
                    "--src-authfile",
                    tmp_path / "auth.json",
                    f"docker://{registry}/{image}",
                    f"dir:{tmp_path}/image",
                ],
                env=env,
                capture_output=True,
                check=False,
            ).returncode

        assert copy("acme/checkout:1.0") == 0
        assert copy("acme/cart:1.0") != 0
        our_oats(world)[0].active = False
        assert copy("acme/checkout:1.0") != 0
