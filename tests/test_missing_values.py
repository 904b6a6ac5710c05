"""Values that are needed and were not given: asked for in a terminal, with what the cloud has to choose
from.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bootstrap.testing.harness.world import NO_TARGET, World, make_world
from tests.harness.terminal import Terminal

NOBODY = {**NO_TARGET, "PULLKEY_PRIVATE_USERNAME": "", "PULLKEY_DOCKER_HUB_HUB_USER": ""}


@pytest.fixture
def hub() -> Iterator[World]:
    yield from make_world("docker-hub")


def test_an_azure_registry_is_chosen_from_those_that_the_login_sees(acr: World) -> None:
    with Terminal(acr, "plan", "acr", env=NOBODY) as terminal:
        shown = terminal.until("Number or name:")
        assert "acmeshop.azurecr.io" in shown
        terminal.press("acmeshop.azurecr.io\n")
        assert terminal.ended() == 0, terminal.text
        text = terminal.text
    assert "pullkey plan acr --registry acmeshop.azurecr.io" in text.replace("\r\n", "\n")
    assert acr.changes() == []


def test_a_google_project_is_chosen_too(gcr: World) -> None:
    with Terminal(gcr, "plan", "gcr", "--server", "europe-west1-docker.pkg.dev", env=NOBODY) as terminal:
        shown = terminal.until("Number or name:")
        assert "acme-shop" in shown
        terminal.press("acme-shop\n")
        assert terminal.ended() == 0, terminal.text
        assert (
            "pullkey plan gcr --server europe-west1-docker.pkg.dev --gcp-project acme-shop" in terminal.text
        )


def test_a_repository_is_chosen_from_all_of_the_project(gcr: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.gcr.emulator.artifact_registry.MOST_OF_A_PAGE", 2)
    state = gcr.cloud.state
    for location, name in (("us", "gcr.io"), ("us", "a"), ("us", "b"), ("asia", "c")):
        state.add_repository("acme-shop", location, name)
    with Terminal(gcr, "plan", "gcr", env=NOBODY) as terminal:
        assert "acme-shop" in terminal.until("Number or name:")
        terminal.press("acme-shop\n")
        shown = terminal.until("Number or name:", times=2)
        for address in (
            "europe-west1-docker.pkg.dev/acme-shop/containers",
            "gcr.io/acme-shop",
            "us-docker.pkg.dev/acme-shop/b",
            "asia-docker.pkg.dev/acme-shop/c",
        ):
            assert address in shown
        terminal.press("europe-west1-docker.pkg.dev/acme-shop/containers\n")
        assert terminal.ended() == 0, terminal.text
        text = " ".join(terminal.text.replace("\\\r\n", " ").split())
    assert (
        "pullkey plan gcr --gcp-project acme-shop --server europe-west1-docker.pkg.dev/acme-shop/containers"
        in text
    )
    assert "Grant roles/artifactregistry.reader on repository containers" in text
    assert gcr.changes() == []


@pytest.mark.parametrize(
    "fault", ["artifactregistry.ListRepositories=403*forever", "artifactregistry.ListLocations=403*forever"]
)
def test_where_repositories_may_not_be_listed_one_is_typed(gcr: World, fault: str) -> None:
    gcr.fault(fault)
    with Terminal(gcr, "plan", "gcr", "--gcp-project", "acme-shop", env=NOBODY) as terminal:
        terminal.until("Registry or image (such as europe-west1-docker.pkg.dev, or gcr.io):")
        terminal.press("europe-west1-docker.pkg.dev\n")
        assert terminal.ended() == 0, terminal.text


def test_where_the_cloud_does_not_say_it_is_typed(gcr: World) -> None:
    gcr.fault("resourcemanager.SearchProjects=403*forever")
    with Terminal(gcr, "plan", "gcr", "--server", "europe-west1-docker.pkg.dev", env=NOBODY) as terminal:
        terminal.until("Google project (id):")
        terminal.press("acme-shop\n")
        assert terminal.ended() == 0, terminal.text


def test_a_user_and_the_password_of_any_other_registry(private: World) -> None:
    image = "registry.sandbox.example/shop/checkout:1.0"
    with Terminal(private, "onboard", image, "--yes", env=NOBODY) as terminal:
        terminal.until("User name")
        terminal.press("ops\n")
        terminal.until("The password of ops")
        terminal.press("pull-in-the-sandbox\n")
        assert terminal.ended() == 0, terminal.text
        assert f"pullkey onboard {image} --yes --username ops" in terminal.text
    assert private.held("registry-sandbox-example").username == "ops"


def test_the_user_of_docker_hub(hub: World) -> None:
    with Terminal(hub, "plan", "acme/checkout:1.0", env=NOBODY) as terminal:
        terminal.until("Docker ID that pulls:")
        terminal.press("acmebot\n")
        assert terminal.ended() == 0, terminal.text


def test_ctrl_c_at_a_question(private: World) -> None:
    with Terminal(private, "onboard", "registry.sandbox.example/shop/checkout:1.0", env=NOBODY) as terminal:
        terminal.until("User name")
        terminal.press("\x03")
        assert terminal.ended() == 130, terminal.text
    assert private.changes() == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("onboard", "acr"), "No registry is named"),
        (("plan", "gcr"), "No registry is named"),
        (("plan", "registry.sandbox.example/shop/checkout:1.0"), "No user name was supplied"),
    ],
)
def test_without_a_terminal_nothing_is_asked(private: World, command: tuple[str, ...], says: str) -> None:
    done = private.run(*command, "--yes" if command[0] == "onboard" else "--verbose", env=NOBODY)
    assert done.code == 2, done.text
    assert says in done.err
