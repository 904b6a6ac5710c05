"""A deploy token's life: it is rotated with its user name: one, all, or those of a file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from providers.gitlab.emulator.seed import MAINTAINER_TOKEN, OWNER_TOKEN
from tests.harness.gitlab_state import (
    NAME,
    NO_IMAGE,
    akka_pulls,
    later,
    onboard,
    our_tokens,
    tokens_of,
)
from tests.harness.terminal import Terminal

AT_ONCE = ("--keep-old", "0")


def test_all_are_rotated_each_with_a_user_name_of_its_own(gitlab: World) -> None:
    onboard(gitlab)
    onboard(gitlab, "--group", "acme", given=OWNER_TOKEN)
    before = {name: gitlab.held(name).username for name in gitlab.names()}
    assert len(before) == 2

    with Terminal(gitlab, "rotate", "--all", "--yes", *AT_ONCE, "--overlap", "0") as terminal:
        terminal.until("The GitLab access token for gitlab.com")
        terminal.press(f"{OWNER_TOKEN}\n")
        assert terminal.ended(60) == 0, terminal.text

    for name, username in before.items():
        assert gitlab.held(name).username != username
        assert akka_pulls(gitlab, name)
    assert [one.username for one in our_tokens(gitlab)] == [gitlab.held(NAME).username]
    assert len(our_tokens(gitlab, "acme")) == 1


def test_a_file_registers_rotates_and_offboards(gitlab: World, tmp_path: Path) -> None:
    before = tokens_of(gitlab.cloud.state)
    file = tmp_path / "registries.yaml"
    file.write_text(
        "version: 1\n"
        "defaults: {keep-old: '0'}\n"
        "targets:\n"
        "  - {provider: gitlab, project: acme/shop, akka-project: shop, login: 'env:GITLAB_LOGIN'}\n"
        "  - {provider: gitlab, image: 'registry.gitlab.com/acme/web/site/nginx:1.0', akka-project: shop, "
        "login: 'env:GITLAB_LOGIN'}\n"
    )
    env = {"GITLAB_LOGIN": MAINTAINER_TOKEN, "PULLKEY_OVERLAP": "0", **NO_IMAGE}

    def run(command: str, *arguments: str) -> None:
        done = gitlab.run(command, "-f", str(file), "--yes", *arguments, env=env)
        assert done.code == 0, done.text

    run("apply")
    first = {name: gitlab.held(name).username for name in gitlab.names()}
    assert len(first) == 2
    run("rotate")
    for name, username in first.items():
        assert gitlab.held(name).username != username
    assert len(our_tokens(gitlab)) == len(our_tokens(gitlab, "acme/web/Site")) == 1
    listed = gitlab.run("list", "-f", str(file), "--check", env=env)
    assert listed.code == 0, listed.text
    run("offboard", "--all")
    assert gitlab.names() == []
    assert tokens_of(gitlab.cloud.state) == before


def test_without_a_role_nothing_is_removed(gitlab: World) -> None:
    onboard(gitlab)
    state = gitlab.cloud.state
    state.members["sam", "acme"] = 30
    (token,) = our_tokens(gitlab)

    done = later(gitlab, "offboard", NAME)

    assert done.code == 3, done.text
    assert f"deploy_tokens/{token.number}" in done.text
    assert gitlab.names() == [NAME]


@pytest.mark.parametrize("damage", ["revoked", "expired", "deleted"])
def test_a_token_of_no_use_is_replaced(gitlab: World, damage: str) -> None:
    onboard(gitlab)
    (old,) = our_tokens(gitlab)
    if damage == "revoked":
        old.revoked = True
    elif damage == "expired":
        # `expired` counts in days, so GitLab still says false.
        old.expires = gitlab.running.sandbox.now() - dt.timedelta(minutes=5)
    else:
        gitlab.cloud.state.projects["acme/shop"].tokens.remove(old)
    listed = gitlab.run("list", NAME, "--secret-stdin", "--check", stdin=MAINTAINER_TOKEN)
    assert listed.code == 5, listed.text

    done = onboard(gitlab, "--output", "json")

    assert done.json["result"] == "done", done.text
    assert f" {damage}" in done.json["steps"][0]["reason"]
    assert akka_pulls(gitlab, NAME)


def test_a_moved_project_is_found_by_its_number(gitlab: World) -> None:
    onboard(gitlab)
    state = gitlab.cloud.state
    shop = state.projects.pop("acme/shop")
    shop.path = "acme/store"
    state.projects["acme/store"] = shop
    state.moved["acme/shop"] = "acme/store"

    listed = gitlab.run("list", NAME, "--secret-stdin", stdin=MAINTAINER_TOKEN)
    gone = later(gitlab, "offboard", NAME)

    assert "acme/store" in listed.out, listed.text
    assert gone.code == 0, gone.text
    assert our_tokens(gitlab, "acme/store") == []


def test_a_token_of_another_project_is_replaced_and_not_taken_for_this_one_s(gitlab: World) -> None:
    onboard(gitlab, "--project", "acme/web/Site", "--secret-name", NAME, env=NO_IMAGE)
    of_the_other = gitlab.held(NAME)

    refused = onboard(gitlab)
    assert refused.code == 3, refused.text
    assert "--replace" in refused.err
    assert gitlab.held(NAME) == of_the_other

    done = onboard(gitlab, "--replace")

    assert done.code == 0, done.text
    (token,) = our_tokens(gitlab)
    assert gitlab.held(NAME).username == token.username
    assert our_tokens(gitlab, "acme/web/Site") == []


def test_a_user_supplied_deploy_token_stays_with_its_provider(gitlab: World) -> None:
    state = gitlab.cloud.state
    token = state.add_deploy_token(state.projects["acme/shop"], "mine", "read_registry")
    gitlab.passwords.append(token.text)
    image = {"PULLKEY_PRIVATE_IMAGE": "registry.gitlab.com/acme/shop/checkout:1.0"}
    brought = gitlab.run(
        "onboard",
        "private",
        "--username",
        token.username,
        "--password-stdin",
        "--yes",
        stdin=token.text,
        env=image,
    )
    assert brought.code == 0, brought.text
    assert "`pullkey onboard gitlab` creates a key" in brought.err

    listed = gitlab.run("list", "--output", "json")

    assert [one["provider"] for one in listed.json["credentials"]] == ["private"]


def test_import_writes_what_a_file_reads(gitlab: World, tmp_path: Path) -> None:
    onboard(gitlab)
    onboard(gitlab, env={"PULLKEY_GITLAB_IMAGE": "git.sandbox.example:5050/acme/shop/checkout:1.0"})
    file = tmp_path / "registries.yaml"
    file.write_text(gitlab.run("import").out)

    planned = gitlab.run("plan", "-f", str(file), env=NO_IMAGE)

    assert planned.code == 0, planned.text
    assert planned.out.count("= keep ") == 2, planned.text
