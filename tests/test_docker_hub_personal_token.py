"""`pullkey onboard docker-hub` with a login: a personal access token is created for Akka, and lives until
it is offboarded.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import pytest

from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world
from providers.docker_hub.emulator.seed import PASSWORD, USER
from providers.docker_hub.emulator.state import Pat
from tests.harness.docker_hub_state import (
    LOGIN,
    NAME,
    add_external_pat,
    onboard,
    our_pats,
)


class TestMintedToken:
    def test_akka_holds_a_new_token_that_reads_and_ends(self, hub: World) -> None:
        done = onboard(hub, *LOGIN)
        assert done.code == 0, done.text
        (pat,) = our_pats(hub)
        held = hub.held(NAME)
        assert (held.server, held.username, held.password) == ("https://index.docker.io/v1/", USER, pat.text)
        assert held.email == f"pat+{pat.uuid}@docker.io"
        assert pat.scopes == ("repo:read",)
        assert dt.timedelta(days=364) < pat.expires - pat.created <= dt.timedelta(days=365)
        assert re.match(r"pullkey [0-9a-f]{12}\b", pat.label)
        assert "cannot be limited to a repository" in done.err

    def test_how_long_it_lives_may_be_said(self, hub: World) -> None:
        assert onboard(hub, *LOGIN, "--expires-in", "30d").code == 0
        (pat,) = our_pats(hub)
        assert dt.timedelta(days=29) < pat.expires - pat.created <= dt.timedelta(days=30)

    @pytest.mark.parametrize("arguments", [(), ("--mint",)])
    def test_without_a_login_akkas_record_is_believed_and_that_is_said(
        self, hub: World, arguments: tuple[str, ...]
    ) -> None:
        onboard(hub, *LOGIN)
        again = hub.onboard(*arguments, "--output", "json")
        assert again.json["result"] == "unchanged", again.text
        assert "not checked at Docker Hub" in again.json["steps"][0]["reason"]

    @pytest.mark.parametrize(
        "damage", ["deleted", "expired", "deactivated", "public only", "taken from Akka"]
    )
    def test_a_token_is_not_good_by_having_been_made(self, hub: World, damage: str) -> None:
        onboard(hub, *LOGIN)
        (pat,) = our_pats(hub)
        match damage:
            case "deleted":
                hub.cloud.state.user(USER).tokens.remove(pat)
            case "expired":
                pat.expires = pat.created - dt.timedelta(hours=1)
            case "deactivated":
                pat.active = False
            case "public only":
                pat.scopes = ("repo:public_read",)
            case _:
                hub.akka.projects["shop"].registries.remove(NAME, None)
        assert onboard(hub, *LOGIN).code == 0
        assert hub.held(NAME).password not in ("", pat.text)

    def test_one_that_was_brought_is_not_taken_for_one_that_was_made(self, hub: World) -> None:
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)
        assert onboard(hub, *LOGIN).code == 0
        (pat,) = our_pats(hub)
        assert hub.held(NAME).password == pat.text


def test_a_token_that_has_expired_is_shown_as_that_and_deleted_once_it_was_replaced(hub: World) -> None:
    """Docker Hub keeps it, and an organisation may have only so many."""
    onboard(hub, *LOGIN)
    (old,) = our_pats(hub)
    old.expires = hub.running.sandbox.now() - dt.timedelta(hours=1)
    listed = hub.run("list", NAME, "--secret-stdin", "--check", stdin=PASSWORD)
    assert listed.code == 5, listed.text
    assert "has expired" in listed.out
    assert "deleted" not in listed.out
    for _ in range(2):
        rotate = ("rotate", NAME, "--secret-stdin", "--yes", "--overlap", "0")
        assert hub.run(*rotate, stdin=PASSWORD).code == 0
    assert old not in our_pats(hub)


def test_many_tokens_are_on_many_pages(hub: World) -> None:
    tokens = hub.cloud.state.user(USER).tokens
    past = hub.running.sandbox.now() - dt.timedelta(days=2)
    hub.fault("hub.CreateAccessToken=lost")
    # Newest come first, so what a lost answer made is pushed to a later page by tokens from the future.
    tokens += [Pat(f"robot {number}", ("repo:read",), past) for number in range(250)]
    assert onboard(hub, *LOGIN).code == 0
    assert len(our_pats(hub)) == 1
    assert hub.calls("hub.ListAccessTokens") >= 3 * 3


@pytest.fixture
def slow() -> Iterator[World]:
    yield from make_world("docker-hub", SandboxSettings(propagation=2.0))


def test_a_registry_that_does_not_know_the_token_yet_is_waited_for(slow: World) -> None:
    done = onboard(slow, *LOGIN)
    assert done.code == 0, done.text
    assert len(our_pats(slow)) == 1
