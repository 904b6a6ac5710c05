"""A mistyped repository or tag at Docker Hub, at any other registry, and of a registry's token at Azure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bootstrap.sandbox.images import Image
from bootstrap.testing.harness.world import Result, World, make_world
from providers.docker_hub.emulator.seed import OWNER, USER
from providers.docker_hub.emulator.seed import PASSWORD as HUB_PASSWORD
from providers.private.emulator import HOST
from tests.harness.docker_hub_state import add_external_pat as token_of_the_user

PASSWORD = "pull-in-the-sandbox"


def put(world: World, name: str, tag: str = "1.0") -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(world.running.sandbox.images.put(name, tag, Image.build("hello\n")))
    loop.close()


def brought(world: World, image: str) -> Result:
    return world.onboard("--password-stdin", "--image", f"{HOST}/{image}", stdin=PASSWORD)


def said(done: Result) -> str:
    return " ".join(done.text.split())


class TestAnyOtherRegistry:
    @pytest.mark.parametrize("mode", ["bearer", "basic"])
    @pytest.mark.parametrize(
        ("image", "nearest"),
        [
            ("shop/checkout:1.1", "checkout:1.0"),
            ("shop/chekout:1.0", "checkout:1.0"),
            ("shop/chekout:7", "checkout"),
            ("shp/checkout:1.0", "shop/checkout:1.0"),
        ],
    )
    def test_the_nearest_is_named_and_nothing_changed(
        self, private: World, mode: str, image: str, nearest: str
    ) -> None:
        private.cloud.registry.mode = mode
        done = brought(private, image)
        assert done.code == 1, done.text
        assert f"Did you mean {nearest}?" in said(done)
        assert private.changes() == []

    def test_a_list_of_several_pages(self, private: World) -> None:
        private.cloud.registry.page = 2
        for number in range(7):
            put(private, f"{HOST}/news/page-{number}")
        assert "Did you mean checkout:1.0?" in said(brought(private, "shop/chekout:1.0"))

    def test_where_repositories_may_not_be_listed_only_what_is_known_is_said(self, private: World) -> None:
        private.cloud.registry.lists = False
        done = brought(private, "shop/chekout:1.0")
        assert done.code == 1, done.text
        assert f"{HOST} has no shop/chekout:1.0" in said(done)
        assert "Did you mean" not in said(done)
        assert "Did you mean checkout:1.0?" in said(brought(private, "shop/checkout:1.1"))


class TestDockerHub:
    LOGIN = ("--hub-user", USER, "--login-stdin")
    OWNED = ("--hub-user", OWNER, "--organization", "acme", "--login-stdin")

    @pytest.fixture
    def hub(self) -> Iterator[World]:
        for world in make_world("docker-hub"):
            world.passwords.append(HUB_PASSWORD)
            yield world

    @pytest.mark.parametrize(
        ("how", "what", "nearest"),
        [
            (
                (*LOGIN, "--image", "acme/chekout:1.0"),
                "Docker Hub shows acmebot no repository acme/chekout",
                "checkout",
            ),
            (
                (*LOGIN, "--image", "acme/checkout:1.1"),
                "There is no image docker.io/acme/checkout:1.1",
                "checkout:1.0",
            ),
            (
                (*OWNED, "--repository", "acme/checkout,acme/car", "--image", "acme/checkout:1.0"),
                "no repository acme/car",
                "cart",
            ),
            (
                (*OWNED, "--repository", "acme/checkout", "--image", "acme/checkout:2.0"),
                "There is no image docker.io/acme/checkout:2.0",
                "checkout:1.0",
            ),
        ],
        ids=["repository", "tag", "of-several", "tag-of-an-organisation"],
    )
    def test_the_nearest_is_named_before_a_token_is_created(
        self, hub: World, how: tuple[str, ...], what: str, nearest: str
    ) -> None:
        done = hub.onboard(*how, stdin=HUB_PASSWORD)
        assert done.code == 3, done.text
        assert what in said(done)
        assert f"Did you mean {nearest}?" in said(done)
        assert hub.changes() == []

    @pytest.mark.parametrize(
        ("image", "what", "nearest"),
        [
            ("acme/chekout:1.0", "or there is no such repository", "checkout"),
            ("acme/checkout:1.1", "There is no image docker.io/acme/checkout:1.1", "checkout:1.0"),
        ],
    )
    def test_also_where_a_token_is_supplied(self, hub: World, image: str, what: str, nearest: str) -> None:
        token = token_of_the_user(hub)
        done = hub.onboard("--hub-user", USER, "--token-stdin", "--image", image, stdin=token.text)
        assert done.code == 3, done.text
        assert what in said(done)
        assert f"Did you mean {nearest}?" in said(done)
        assert hub.changes() == []

    def test_where_docker_hub_lists_nothing_only_what_is_known_is_said(self, hub: World) -> None:
        hub.fault("hub.ListRepositories=403*forever")
        done = hub.onboard(*self.LOGIN, "--image", "acme/chekout:1.0", stdin=HUB_PASSWORD)
        assert done.code == 3, done.text
        assert "Did you mean" not in done.text


class TestTokenOfAnAzureRegistry:
    KIND = ("--registry", "acmeshop", "--auth-kind", "token", "--repository")

    def test_the_nearest_is_named_before_anything_is_created(self, acr: World) -> None:
        for named in ("chekout", "checkout,chekout"):
            done = acr.onboard(*self.KIND, named)
            assert done.code == 3, done.text
            assert "acmeshop.azurecr.io has no repository chekout" in said(done)
            assert "Did you mean checkout?" in said(done)
        assert acr.changes() == []
        planned = acr.run("plan", "acr", *self.KIND, "chekout")
        assert planned.code == 3, planned.text

    def test_one_that_is_yet_to_be_pushed(self, acr: World) -> None:
        done = acr.onboard(*self.KIND, "soon", "--no-wait")
        assert done.code == 0, done.text

    def test_a_login_that_may_not_list_is_no_obstacle(self, acr: World) -> None:
        acr.fault("registry.ListTags=401*forever")
        acr.fault("registry.ListRepositories=401*forever")
        assert acr.onboard(*self.KIND, "checkout").code == 0
