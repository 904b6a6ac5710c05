"""What names a Docker Hub image, organization and user; without a sandbox."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import UsageProblem
from bootstrap.model.secret import Secret
from providers.docker_hub import provider
from providers.docker_hub.target import HOSTS, SERVER, DockerHubTarget, image_of, is_docker_hub

PART = st.from_regex(r"[a-z0-9]{2,20}", fullmatch=True)


@given(PART, PART, st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_every_spelling_names_the_same_image(namespace: str, name: str, tag: str) -> None:
    path = f"{namespace}/{name}"
    hosts = sorted(HOSTS - {"hub.docker.com"})
    spellings = [
        f"{path}:{tag}",
        *(f"{host}/{path}:{tag}" for host in hosts),
        f"https://docker.io/{path}:{tag}",
    ]
    assert {image_of(text, where="--image") for text in spellings} == {(path, tag)}
    assert image_of(f"https://hub.docker.com/r/{path}/tags", where="--image")[0] == path
    assert image_of(name, where="--image") == (f"library/{name}", "latest")
    assert image_of(f"https://hub.docker.com/_/{name}", where="--image")[0] == f"library/{name}"


@given(st.text(max_size=80), st.text(max_size=30), st.text(max_size=30), st.text(max_size=60))
def test_whatever_is_typed_is_a_target_or_a_usage_problem(
    image: str, user: str, organization: str, repository: str
) -> None:
    values = {"image": image, "hub_user": user, "organization": organization, "repository": repository}
    try:
        target = DockerHubTarget.parse(values)
    except UsageProblem:
        return
    assert target.registry == "registry-1.docker.io"
    assert re.fullmatch(r"[a-z0-9-]{1,63}", target.secret_name)
    assert target.label


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"hub_user": "me@example.com"},
        {"hub_user": "not a name"},
        {"hub_user": "acmebot", "image": "ghcr.io/acme/checkout:1.0"},
        {"hub_user": "acmebot", "image": "localhost:5000/checkout:1.0"},
        {"hub_user": "acmebot", "image": "acme/shop/checkout:1.0"},
        {"hub_user": "acmebot", "repository": "acme/checkout:1.0"},
        {"hub_user": "acmebot", "repository": "acme/cart", "image": "acme/checkout:1.0"},
        {"hub_user": "acmebot", "organization": "acme"},
        {"hub_user": "acmebot", "organization": "acme", "repository": "other/checkout"},
        {
            "hub_user": "acmebot",
            "organization": "acme",
            "repository": ",".join(f"acme/r{number}" for number in range(51)),
        },
        {"organization": "acme", "repository": "acme/checkout"},
        {"hub_user": "acmebot", "mint": True, "expires_in": dt.timedelta(days=400)},
        {"hub_user": "acmebot", "mint": True, "expires_in": dt.timedelta(seconds=5)},
        {"hub_user": "acmebot", "mint": True, "token_stdin": Secret("dckr_pat_x")},
        {"hub_user": "acmebot", "token_stdin": Secret("dckr_pat_x and more")},
        {"mint": True, "image": "acme/checkout:1.0"},
    ],
)
def test_what_cannot_be_used_is_told(values: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem):
        DockerHubTarget.parse(values)


@pytest.mark.parametrize(
    "server",
    [
        "https://index.docker.io/v1/",
        "docker.io",
        "registry-1.docker.io",
        "https://hub.docker.com",
        "INDEX.docker.io:443",
    ],
)
def test_docker_hub_is_known_by_its_servers(server: str) -> None:
    assert is_docker_hub(server)
    assert not is_docker_hub(f"{server.rpartition('//')[2].partition('/')[0].partition(':')[0]}.example.com")


def test_a_target_never_shows_what_it_was_given() -> None:
    target = DockerHubTarget.parse({"hub_user": "acmebot", "token_stdin": Secret("dckr_pat_secret")})
    assert "secret" not in repr(target).replace("secret_name", "")


@pytest.mark.parametrize(
    ("repositories", "image", "covers"),
    [
        ("acme/checkout,acme/cart", "acme/cart:1.0", True),
        ("acme/checkout", "acme/cart:1.0", False),
        ("", "acme/cart:1.0", None),
        ("", "press/cart:1.0", False),
    ],
)
def test_what_a_token_of_an_organisation_covers(repositories: str, image: str, covers: bool | None) -> None:
    held = HeldCredential("docker-hub-acme", SERVER, "acme", "oat+0123456789ab@docker.io", "OK")
    target = DockerHubTarget.from_record(held, {})
    target = replace(target, repositories=tuple(filter(None, repositories.split(","))))

    assert provider.covers(target, image) is covers
