"""A secret on stdin, as the docs have it, leaves the terminal free for the question."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.docker_hub_state import LOGIN, onboard
from tests.harness.private_registry import NAME, PASSWORD
from tests.harness.terminal import Terminal

IMAGE = "registry.sandbox.example/shop/checkout:1.0"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password.txt"
    file.write_text(f"{PASSWORD}\n")
    return file


@pytest.mark.parametrize(("answer", "code"), [("y\r", 0), ("n\r", 130)])
def test_onboard_asks_at_the_terminal(
    private: World,
    password: Path,
    answer: str,
    code: int,
) -> None:
    arguments = ("onboard", IMAGE, "--username", "ops", "--password-stdin")
    with Terminal(private, *arguments, stdin=password) as terminal:
        terminal.until("[y/N]")
        assert "Register registry-sandbox-example" in terminal.text
        terminal.press(answer)
        assert terminal.ended() == code, terminal.text
    assert private.names() == ([NAME] if code == 0 else [])


def test_rotate_asks_at_the_terminal(hub: World, tmp_path: Path) -> None:
    assert onboard(hub, *LOGIN).code == 0
    file = tmp_path / "login.txt"
    file.write_text("sandbox-password")
    with Terminal(
        hub, "rotate", "docker-hub-acmebot", "--overlap", "0", "--secret-stdin", stdin=file
    ) as terminal:
        terminal.until("[y/N]")
        terminal.press("y\r")
        assert terminal.ended() == 0, terminal.text


def test_without_a_terminal_yes_is_needed(private: World) -> None:
    done = private.run("onboard", IMAGE, "--username", "ops", "--password-stdin", stdin=PASSWORD)
    assert done.code == 2
    assert "--yes" in done.err


def test_an_empty_answer_at_the_prompt_is_not_told_of_files(private: World) -> None:
    with Terminal(private, "onboard", IMAGE, "--username", "ops") as terminal:
        terminal.until("The password of ops")
        terminal.press("\r")
        terminal.until("nothing was entered")
        terminal.until("The password of ops", times=2)
        terminal.press(f"{PASSWORD}\r")
        terminal.until("[y/N]")
        terminal.press("n\r")
        assert terminal.ended() == 130
    assert "< FILE" not in terminal.text
