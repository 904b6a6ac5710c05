"""One spelling of a server for Akka, and which spellings a kubelet takes (kubernetes, keyring.go)."""

from __future__ import annotations

import pytest

from bootstrap.model.server import canonical, is_matched, same_registry


@pytest.mark.parametrize(
    ("typed", "handed_over"),
    [
        ("https://registry.example.com/v1", "https://registry.example.com/v1/"),
        ("https://registry.example.com/v2/", "https://registry.example.com/v2/"),
        ("HTTPS://Registry.Example.COM/v1/", "https://registry.example.com/v1/"),
        ("https://registry.example.com:443/v1/", "https://registry.example.com/v1/"),
        ("https://registry.example.com:5000/v1/", "https://registry.example.com:5000/v1/"),
        ("https://us-docker.pkg.dev/", "https://us-docker.pkg.dev"),
        ("ACME.azurecr.io", "acme.azurecr.io"),
        ("https://index.docker.io/v1/", "https://index.docker.io/v1/"),
    ],
)
def test_there_is_one_spelling(typed: str, handed_over: str) -> None:
    assert canonical(typed) == handed_over
    assert canonical(handed_over) == handed_over
    assert same_registry(typed, handed_over)
    assert is_matched(handed_over)


@pytest.mark.parametrize(
    "server",
    [
        "https://registry.example.com/v1",
        "https://Registry.example.com/v1/",
        "HTTPS://registry.example.com/v1/",
        "https://registry.example.com:443",
        "registry.example.com:443",
        "docker.io",
        "https://registry-1.docker.io",
    ],
)
def test_a_kubelet_never_finds_these(server: str) -> None:
    assert not is_matched(server)


@pytest.mark.parametrize(
    "server",
    [
        "registry.example.com",
        "registry.example.com/",
        "http://registry.example.com",
        "registry.example.com/v2/",
        "registry.example.com:5000",
        "index.docker.io",
        "registry.example.com/team",
    ],
)
def test_a_kubelet_finds_these(server: str) -> None:
    assert is_matched(server)


def test_other_registries_stay_others() -> None:
    assert not same_registry("https://gcr.io", "https://eu.gcr.io")
    assert not same_registry("registry.example.com:5000", "registry.example.com")
    assert not same_registry("registry.example.com/team", "registry.example.com")
    assert same_registry("https://index.docker.io/v1/", "docker.io")
