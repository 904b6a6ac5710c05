"""`pullkey onboard gitlab`: a deploy token of the project is created, and Akka pulls with it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import ClassVar

import pytest

from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world
from providers.gitlab.emulator.seed import (
    ACCESS_TOKENS,
    MAINTAINER_TOKEN,
    OWNER_TOKEN,
)
from tests.harness.gitlab_state import NAME, NO_IMAGE, akka_pulls, onboard, our_tokens
from tests.harness.terminal import Terminal


def test_a_token_of_the_project_is_handed_to_akka(gitlab: World) -> None:
    done = onboard(gitlab)

    assert done.code == 0, done.text
    (token,) = our_tokens(gitlab)
    held, project = gitlab.held(NAME), gitlab.cloud.state.projects["acme/shop"]
    assert (held.server, held.username) == ("https://registry.gitlab.com/v1/", token.username)
    assert held.email == f"gitlab-project-{project.number}+deploy-token-{token.number}@gitlab.com"
    assert held.password == token.text
    assert token.scopes == ("read_registry",)
    assert token.expires is not None
    left = token.expires - gitlab.running.sandbox.now()
    assert dt.timedelta(days=364) < left <= dt.timedelta(days=365)
    assert akka_pulls(gitlab, NAME)
    assert "The image acme/shop/checkout is of the project acme/shop" in done.text


def test_without_a_login_the_second_run_changes_nothing(gitlab: World, tmp_path: Path) -> None:
    onboard(gitlab)
    before = gitlab.changes()

    again = gitlab.onboard("--output", "json")

    assert again.json["result"] == "unchanged", again.text
    assert "not checked at GitLab without a login" in again.out
    assert "Everything is in place" not in again.err
    assert "is the project of acme/shop/checkout is not known without GitLab's login" in again.err
    file = tmp_path / "registries.yaml"
    image = "registry.gitlab.com/acme/shop/checkout:1.0"
    file.write_text(
        f"version: 1\ntargets:\n  - {{provider: gitlab, image: '{image}', akka-project: shop}}\n",
        encoding="utf-8",
    )
    applied = gitlab.run("apply", "-f", str(file), "--yes")
    assert applied.code == 0, applied.text
    assert f"Not fully known without a login: shop/{NAME}. See: pullkey plan -f" in applied.err
    assert "is not known without GitLab's login" in gitlab.run("plan", "-f", str(file)).text
    assert "Everything is in place" in onboard(gitlab).err
    assert gitlab.changes() == before


def test_a_project_is_named_by_its_path_or_number(gitlab: World) -> None:
    done = onboard(gitlab, "--project", "acme/shop", env=NO_IMAGE)
    assert done.code == 0, done.text
    assert gitlab.names() == ["registry-gitlab-com-acme-shop"]

    number = gitlab.cloud.state.projects["acme/web/Site"].number
    done = onboard(gitlab, "--project", str(number), env=NO_IMAGE)
    assert done.code == 0, done.text
    assert len(our_tokens(gitlab, "acme/web/Site")) == 1


def test_a_project_whose_name_in_akka_is_that_of_another_one_is_refused(gitlab: World) -> None:
    """`/` and `-` are both `-` in the name of an Akka secret."""
    gitlab.cloud.state.add_project("acme/web-site")
    assert onboard(gitlab, "--project", "acme/web/Site", env=NO_IMAGE).code == 0
    before = gitlab.changes()

    done = onboard(gitlab, "--project", "acme/web-site", env=NO_IMAGE)

    assert done.code == 3, done.text
    assert "--secret-name" in done.err
    assert "--replace" in done.err
    assert gitlab.changes() == before


def test_what_the_prompted_login_shows_of_the_record_is_judged_before_any_change(gitlab: World) -> None:
    """Without a login the number of a project is not known, so the record may be another one's."""
    gitlab.cloud.state.add_project("acme/web-site")
    assert onboard(gitlab, "--project", "acme/web/Site", env=NO_IMAGE).code == 0
    before = gitlab.changes()

    for more, code in ((), 3), (("--replace",), 0):
        other = ("onboard", "gitlab", "--project", "acme/web-site", "--new-key", "--yes", *more)
        with Terminal(gitlab, *other, env=NO_IMAGE) as terminal:
            terminal.until("The GitLab access token")
            terminal.press(f"{MAINTAINER_TOKEN}\n")
            assert terminal.ended(60) == code, terminal.text
            said = " ".join(terminal.text.split())
        if not more:
            assert "PK-CREDENTIAL-OTHER-REGISTRY" in said
            assert gitlab.changes() == before
    assert "because of --replace; the resources that pullkey created for the old one are removed then" in said


def test_a_record_of_a_group_is_not_a_project_s_even_without_a_login(gitlab: World) -> None:
    gitlab.cloud.state.add_group("acme/web-site")
    assert onboard(gitlab, "--group", "acme/web-site", env=NO_IMAGE, given=OWNER_TOKEN).code == 0

    done = gitlab.onboard("--project", "acme/web/Site", env=NO_IMAGE)

    assert done.code == 3, done.text
    assert "PK-CREDENTIAL-OTHER-REGISTRY" in done.err


def test_an_image_in_a_subgroup_whose_project_has_capital_letters(gitlab: World) -> None:
    image = {"PULLKEY_GITLAB_IMAGE": "registry.gitlab.com/acme/web/site/nginx:1.0"}

    done = onboard(gitlab, env=image)

    assert done.code == 0, done.text
    assert len(our_tokens(gitlab, "acme/web/Site")) == 1
    assert gitlab.run("verify", gitlab.names()[0], env=image).code == 0


def test_a_group_s_token_takes_its_owner(gitlab: World) -> None:
    refused = onboard(gitlab, "--group", "acme")
    assert refused.code == 3, refused.text
    assert "role Owner" in refused.text
    assert gitlab.changes() == []

    done = onboard(gitlab, "--group", "acme", given=OWNER_TOKEN)

    assert done.code == 0, done.text
    (token,) = our_tokens(gitlab, "acme")
    group = gitlab.cloud.state.groups["acme"]
    held = gitlab.held("registry-gitlab-com-acme")
    assert held.email == f"gitlab-group-{group.number}+deploy-token-{token.number}@gitlab.com"
    assert "all projects in acme" in done.text


def test_an_instance_of_a_company_s_own_with_a_port_and_a_relative_root(gitlab: World) -> None:
    image = {"PULLKEY_GITLAB_IMAGE": "git.sandbox.example:5050/acme/shop/checkout:1.0"}

    done = onboard(gitlab, env=image)

    assert done.code == 0, done.text
    (token,) = our_tokens(gitlab, own=True)
    held = gitlab.held("git-sandbox-example-5050-acme-shop-checkout")
    assert (held.server, held.username) == ("https://git.sandbox.example:5050/v1/", token.username)
    assert held.email.endswith("@git.sandbox.example")
    assert our_tokens(gitlab) == []


def test_an_image_alone_is_gitlab_s_where_the_environment_names_its_registry(gitlab: World) -> None:
    image = "git.sandbox.example:5050/acme/shop/checkout:1.0"
    env = {"PULLKEY_GITLAB_REGISTRY": "git.sandbox.example:5050", **NO_IMAGE}

    done = gitlab.run("onboard", image, "--login-stdin", "--yes", stdin=MAINTAINER_TOKEN, env=env)

    assert done.code == 0, done.text
    assert len(our_tokens(gitlab, own=True)) == 1


def test_without_an_image_the_pull_is_verified_with_a_repository_of_the_project(gitlab: World) -> None:
    done = onboard(gitlab, "--project", "acme/web/Site", env=NO_IMAGE)

    assert done.code == 0, done.text
    assert "it may pull registry.gitlab.com/acme/web/site/nginx" in done.text


class TestWhoGetsTheAccessToken:
    """The registry names the instance: it is believed of its own owner only."""

    IMAGE: ClassVar = {"PULLKEY_GITLAB_IMAGE": "images.elsewhere.example/acme/shop/checkout:1.0"}

    def test_not_a_host_of_another_owner(self, gitlab: World) -> None:
        done = onboard(gitlab, env=self.IMAGE)

        assert done.code == 3, done.text
        assert "--gitlab https://HOST" in done.err
        assert not any(call.api == "gitlab" for call in gitlab.running.sandbox.log.calls)

    def test_unless_it_is_named(self, gitlab: World) -> None:
        done = onboard(gitlab, "--gitlab", "https://git.sandbox.example/gitlab", env=self.IMAGE)

        assert done.code == 0, done.text
        assert len(our_tokens(gitlab, own=True)) == 1

    def test_nor_one_without_tls(self, gitlab: World) -> None:
        done = onboard(gitlab, "--gitlab", "http://git.sandbox.example/gitlab", env=self.IMAGE)

        assert done.code == 2, done.text
        assert "unencrypted" in done.err


def test_a_project_that_is_not_shown(gitlab: World) -> None:
    done = onboard(gitlab, "--project", "stranger/notes", env=NO_IMAGE)

    assert done.code == 3, done.text
    assert "shows the user sam no project stranger/notes" in done.err


def test_a_project_that_was_moved_is_told_with_its_new_path(gitlab: World) -> None:
    gitlab.cloud.state.moved["acme/old-shop"] = "acme/shop"

    done = onboard(gitlab, "--project", "acme/old-shop", env=NO_IMAGE)

    assert done.code == 3, done.text
    assert "The project acme/old-shop was moved to acme/shop" in done.err


def test_a_project_without_a_registry(gitlab: World) -> None:
    gitlab.cloud.state.projects["acme/shop"].registry = "disabled"

    done = onboard(gitlab)

    assert done.code == 3, done.text
    assert "The container registry of the project acme/shop is disabled" in done.err
    assert our_tokens(gitlab) == []


def test_a_mistyped_tag_is_found_before_any_change(gitlab: World) -> None:
    done = onboard(gitlab, env={"PULLKEY_GITLAB_IMAGE": "registry.gitlab.com/acme/shop/checkout:1.O"})

    assert done.code == 3, done.text
    assert "checkout:1.0" in done.err
    assert our_tokens(gitlab) == []


@pytest.mark.parametrize("image", ["acme/shop/chekout:1.0", "acme/shop/checkout:1.O"])
def test_an_image_that_is_not_there(gitlab: World, image: str) -> None:
    done = onboard(gitlab, env={"PULLKEY_GITLAB_IMAGE": f"registry.gitlab.com/{image}"})

    assert done.code == 3, done.text
    assert our_tokens(gitlab) == []


def test_a_rate_limit_is_waited_for_as_long_as_gitlab_says(gitlab: World) -> None:
    gitlab.fault("gitlab.GetProject=429;retry-after=1")

    done = onboard(gitlab)

    assert done.code == 0, done.text
    assert "GitLab limits how often it is asked" in done.text


class TestALostAnswer:
    """A deploy token whose secret is lost is of no use, and must not stay."""

    def test_to_its_creation(self, gitlab: World) -> None:
        gitlab.fault("gitlab.CreateProjectDeployToken=lost")

        done = onboard(gitlab)

        assert done.code == 0, done.text
        (token,) = our_tokens(gitlab)
        assert gitlab.held(NAME).username == token.username
        assert gitlab.calls("gitlab.CreateProjectDeployToken") == 2

    def test_each_time(self, gitlab: World) -> None:
        gitlab.fault("gitlab.CreateProjectDeployToken=lost*forever")

        done = onboard(gitlab)

        assert done.code == 1, done.text
        assert our_tokens(gitlab) == []

    def test_a_lock_is_waited_for(self, gitlab: World) -> None:
        gitlab.fault("gitlab.CreateProjectDeployToken=409;message=Conflict:%20Resource%20lock")

        done = onboard(gitlab)

        assert done.code == 0, done.text
        assert len(our_tokens(gitlab)) == 1


def test_a_public_image_needs_no_token(gitlab: World) -> None:
    done = onboard(gitlab, env={"PULLKEY_GITLAB_IMAGE": "registry.gitlab.com/acme/website:1.0"})

    assert done.code == 0, done.text
    assert "Akka needs no credential" in done.text
    assert gitlab.changes() == []


def test_a_token_that_the_registry_does_not_know_yet_is_waited_for() -> None:
    settings = SandboxSettings(propagation=2)
    for world in make_world("gitlab", settings):
        world.passwords += ACCESS_TOKENS
        done = onboard(world)
        assert done.code == 0, done.text
        assert len(our_tokens(world)) == 1
