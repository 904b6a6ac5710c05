"""The login to Docker Hub, and images that need none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bootstrap.model.deadline import Deadline
from bootstrap.plugin.context import RunContext
from bootstrap.testing.harness.world import World
from providers.docker_hub import provider
from providers.docker_hub.emulator.seed import CAREFUL, OWNER, PASSWORD
from tests.harness.docker_hub_state import (
    LOGIN,
    onboard,
    our_pats,
    pats,
)


class TestLogin:
    def test_a_wrong_password(self, hub: World) -> None:
        done = onboard(hub, *LOGIN, given="wrong-password")
        assert done.code == 3, done.text
        assert "Docker Hub refuses the login of acmebot" in done.err
        assert "Incorrect authentication credentials" in done.err
        assert hub.calls("hub.CreateAuthToken") == 1  # an account may be locked by more
        assert hub.changes() == []

    def test_a_second_factor(self, hub: World) -> None:
        done = onboard(hub, *LOGIN, "--hub-user", CAREFUL)
        assert done.code == 3, done.text
        assert "two-factor authentication is enabled" in done.err
        assert "supply it with --token-stdin" in done.err

    def test_a_token_is_no_login_to_make_tokens_with(self, hub: World) -> None:
        laptop = pats(hub)[0]
        hub.passwords.append(laptop.text)
        done = onboard(hub, *LOGIN, given=laptop.text)
        assert done.code == 3, done.text
        assert "token issued from personal access token is not allowed" in done.err
        assert "Pass the password of acmebot" in done.err
        assert hub.changes() == []

    def test_without_a_terminal_it_must_be_on_stdin(self, hub: World) -> None:
        done = hub.onboard("--mint")
        assert done.code == 2, done.text
        assert "The Docker Hub password of acmebot is needed" in done.err

    def test_a_long_run_logs_in_anew(self, hub: World) -> None:
        hub.fault("hub.CreateAccessToken=401")
        assert onboard(hub, *LOGIN).code == 0
        assert hub.calls("hub.CreateAuthToken") == 2
        assert len(our_pats(hub)) == 1


def test_the_plan_of_a_file_shows_what_the_login_does_not_find(hub: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(
        "version: 1\ntargets:\n"
        f"- {{provider: docker-hub, organization: acme, repository: acme/chekout, hub-user: {OWNER},"
        " akka-project: shop, login: 'env:LOGIN'}\n"
    )

    planned = hub.run("plan", "-f", str(file), env={"LOGIN": PASSWORD, "PULLKEY_DOCKER_HUB_IMAGE": ""})

    assert "1 target: 1 blocked." in planned.out, planned.text
    assert "no repository acme/chekout" in " ".join(planned.out.split())


class TestPublicImages:
    @pytest.mark.parametrize(
        "image", ["acme/website:1.0", "hello-world", "docker.io/library/hello-world:latest"]
    )
    def test_what_anybody_may_pull_needs_no_credential(self, hub: World, image: str) -> None:
        done = hub.onboard("--image", image, env={"PULLKEY_DOCKER_HUB_HUB_USER": ""})
        assert done.code == 0, done.text
        assert "to anyone" in done.err
        assert hub.changes() == []
        assert hub.names() == []

    def test_one_is_made_all_the_same_if_wanted(self, hub: World) -> None:
        assert onboard(hub, *LOGIN, "--image", "acme/website:1.0", "--anyway").code == 0
        assert len(our_pats(hub)) == 1

    def test_a_private_image_is_not_public(self, hub: World) -> None:
        done = hub.onboard(env={"PULLKEY_DOCKER_HUB_HUB_USER": ""})
        assert done.code == 3, done.text
        assert "--hub-user" in done.err


def test_the_checkup_asks_nobody(hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in hub.running.environment.items():
        monkeypatch.setenv(variable, value)

    def look() -> dict[str, bool | None]:
        async def run() -> dict[str, bool | None]:
            context = RunContext(Deadline(20), lambda _: None, lambda _: None)
            try:
                return {check.what: check.good for check in await provider.checkup(context, {})}
            finally:
                await context.shared.close()

        return asyncio.run(run())

    seen = look()
    assert seen["API"] is True
    assert seen["registry"] is True
    assert seen["clock"] is True
    assert seen["addresses"] is None
    monkeypatch.setenv("PULLKEY_DOCKER_HUB_ENDPOINT", "https://127.0.0.1:1")
    assert look()["API"] is False
    monkeypatch.setenv("PULLKEY_DOCKER_HUB_ENDPOINT", "http://hub.example.com")
    assert look()["API"] is False
