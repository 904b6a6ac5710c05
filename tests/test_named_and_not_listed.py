"""One list of Akka's that passes over a credential: a command that names it, or its image, reads the list
again.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME

LISTS = "akka.docker.list-credentials"
IMAGE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"


@pytest.mark.parametrize(
    "command",
    [
        ("verify", NAME),
        ("verify", IMAGE),
        ("list", NAME),
        ("rotate", NAME, "--keep-old", "0", "--yes"),
        ("offboard", NAME, "--yes"),
    ],
    ids=lambda command: f"{command[0]} {'IMAGE' if command[1] == IMAGE else 'NAME'}",
)
def test_it_is_found(gcr: World, command: tuple[str, ...]) -> None:
    assert gcr.onboard().code == 0
    gcr.fault(f"{LISTS}=stale")
    done = gcr.run(*command)
    assert done.code == 0, done.text


def test_a_name_that_no_list_shows_is_refused(gcr: World) -> None:
    assert gcr.onboard().code == 0
    done = gcr.run("verify", f"{NAME}-2")
    assert done.code == 2, done.text
    assert NAME in done.err
