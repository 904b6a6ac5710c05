"""`verify` as a user finds it: what its help lists, a service's name in place of a credential's, and a
wait that says why.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME, account
from tests.harness.terminal import Terminal

IMAGE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"


@pytest.mark.parametrize(
    "command", [("verify",), ("list",), ("rotate", "--dry-run"), ("offboard", "--dry-run")], ids=" ".join
)
def test_the_name_of_a_service_leads_to_its_credential(gcr: World, command: tuple[str, ...]) -> None:
    gcr.akka.projects["shop"].services["checkout"] = IMAGE
    assert gcr.onboard().code == 0

    done = gcr.run(*command, "checkout")

    assert done.code == 2, done.text
    assert "pullkey verify --service checkout" in done.err


def test_a_look_that_is_repeated_says_so(gcr: World) -> None:
    assert gcr.onboard().code == 0
    del account(gcr).keys[account(gcr).user_keys()[0].id]

    with Terminal(gcr, "verify", NAME) as terminal:
        terminal.until("Still looking")
    with Terminal(gcr, "list") as terminal:
        terminal.until("Still looking")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("verify", "--service NAME"),
        ("verify", "--credential-stdin"),
        ("onboard", "--from-project"),
        ("onboard", "--yes"),
        ("plan", "--from-project"),
    ],
)
def test_the_help_of_a_command_lists_what_it_takes_without_a_provider(
    gcr: World, command: str, option: str
) -> None:
    shown = gcr.run(command, "--help").out
    assert option in shown.partition("Options:")[2]
