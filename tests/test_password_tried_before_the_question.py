"""At a terminal nothing is asked for in vain: a host that does not answer, a wrong password and a mistyped
image are found first.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from providers.private.emulator import HOST
from tests.harness.private_registry import NAME, PASSWORD
from tests.harness.terminal import Terminal

IMAGE = f"{HOST}/shop/checkout"


@pytest.mark.parametrize(
    ("image", "password", "code", "said"),
    [
        (f"{IMAGE}:1.0", "not-the-password", "PK-PASSWORD-REFUSED", "does not take this password of ops"),
        (f"{IMAGE}:2.0", PASSWORD, "PK-IMAGE-NOT-FOUND", "has no shop/checkout:2.0"),
        (f"{HOST}/shop/chekout:1.0", PASSWORD, "PK-IMAGE-NOT-FOUND", "Did you mean"),
    ],
    ids=[
        "a wrong password",
        "a mistyped tag",
        "a mistyped name",
    ],  # a password in an id would be in the environment
)
def test_what_does_not_pull_is_refused_before_the_question(
    private: World,
    image: str,
    password: str,
    code: str,
    said: str,
) -> None:
    with Terminal(private, "onboard", image, "--username", "ops") as terminal:
        terminal.until("The password of ops")
        assert HOST in terminal.text.partition("The password of")[0], (
            "what it is for stands above the question"
        )
        terminal.press(f"{password}\r")
        assert terminal.ended() == 3, terminal.text
        shown = " ".join(terminal.text.split())
    assert "[y/N]" not in shown
    assert code in shown
    assert said in shown
    assert private.changes() == []
    if password != PASSWORD:
        assert len(private.cloud.registry.got_password) == 1, "each wrong one counts towards a lock-out"


def test_what_pulls_is_asked_about(private: World) -> None:
    with Terminal(private, "onboard", f"{IMAGE}:1.0", "--username", "ops") as terminal:
        terminal.until("The password of ops")
        terminal.press(f"{PASSWORD}\r")
        terminal.until("[y/N]")
        terminal.press("y\r")
        assert terminal.ended() == 0, terminal.text
    assert private.names() == [NAME]


def test_no_wait_sends_nothing_to_the_registry(private: World) -> None:
    with Terminal(private, "onboard", f"{IMAGE}:1.0", "--username", "ops", "--no-wait") as terminal:
        terminal.until("The password of ops")
        terminal.press("not-the-password\r")
        terminal.until("[y/N]")
        terminal.press("n\r")
        assert terminal.ended() == 130, terminal.text
    assert private.cloud.registry.got_password == []


def test_no_password_is_asked_for_of_a_host_that_does_not_answer(private: World) -> None:
    with Terminal(private, "onboard", "localhost:1/shop/checkout:1.0", "--username", "ops") as terminal:
        assert terminal.ended(40) == 3, terminal.text
        shown = " ".join(terminal.text.split())
    assert "The password of" not in shown
    assert "PK-REGISTRY-UNREACHABLE" in shown
    assert "--no-wait" in shown
