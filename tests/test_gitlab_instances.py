"""Which GitLab instance gets the access token later: that which Akka's record and the registry both name."""

from __future__ import annotations

import subprocess

import pytest

from bootstrap.plugin.registry import Challenge
from bootstrap.testing.harness.world import World
from providers.gitlab.place import instance_of
from tests.harness.gitlab_state import later, onboard, our_tokens

IMAGE = {"PULLKEY_GITLAB_IMAGE": "images.elsewhere.example/acme/shop/checkout:1.0"}
NAME = "images-elsewhere-example-acme-shop-checkout"
INSTANCE = "https://git.sandbox.example/gitlab"


def asked(world: World) -> int:
    """How many calls of GitLab's API there were."""
    return sum(call.api == "gitlab" for call in world.running.sandbox.log.calls)


def overwrite_email(world: World, name: str, email: str) -> None:
    """Change the e-mail of Akka's record, as anyone may who can change the credentials of the project."""
    held = world.held(name)
    fields = {
        "secret-name": name,
        "docker-server": held.server,
        "docker-username": held.username,
        "docker-email": email,
        "docker-password": held.password,
    }
    subprocess.run(
        [world.akka.cli, "docker", "add-credentials", *(f"--{key}={text}" for key, text in fields.items())],
        env=world.running.process_environment(),
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("realm", "instance"),
    [
        ("https://git.example.com/jwt/auth", "https://git.example.com"),
        ("https://Git.example.com:443/git/lab/jwt/auth", "https://git.example.com/git/lab"),
        ("https://git.example.com:8443/jwt/auth", "https://git.example.com:8443"),
        ("http://git.example.com/jwt/auth", ""),
        ("https://sam:secret@git.example.com/jwt/auth", ""),
        ("https://git.example.com/jwt/auth?to=elsewhere", ""),
        ("https://git.example.com/service/token", ""),
        ("https://169.254.169.254/jwt/auth", ""),
    ],
)
def test_the_instance_of_a_registry_s_challenge(realm: str, instance: str) -> None:
    assert instance_of(Challenge("bearer", realm, "container_registry")) == instance
    assert instance_of(Challenge("bearer", realm, "another")) == ""


def test_the_instance_that_was_named_is_known_from_the_record(gitlab: World) -> None:
    assert onboard(gitlab, "--gitlab", INSTANCE, env=IMAGE).code == 0
    (old,) = our_tokens(gitlab, own=True)

    done = later(gitlab, "rotate", NAME, "--keep-old", "0")

    assert done.code == 0, done.text
    (new,) = our_tokens(gitlab, own=True)
    assert new.number != old.number
    assert gitlab.held(NAME).username == new.username


def test_a_registry_that_names_another_instance_than_the_record_does(gitlab: World) -> None:
    onboard(gitlab, "--gitlab", INSTANCE, env=IMAGE)
    email = gitlab.held(NAME).email
    overwrite_email(gitlab, NAME, email.replace("git.sandbox.example", "git.elsewhere.example"))
    before = asked(gitlab)

    done = later(gitlab, "rotate", NAME)

    assert done.code == 3, done.text
    assert "PK-GITLAB-HOST" in done.err
    assert asked(gitlab) == before


def test_a_check_up_looks_at_the_api_and_logs_in_nowhere(gitlab: World) -> None:
    done = gitlab.run("doctor", "gitlab", "--output", "json")

    found = {one["what"]: one["good"] for one in done.json["checks"] if one["about"] == "gitlab"}
    assert found["API"] is True, done.text
    assert found["registry"] is True, done.text
