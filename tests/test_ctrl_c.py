"""Ctrl-C in a terminal: at each kind of question it ends the command at once, and in a run it is answered
at once.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME
from tests.harness.terminal import CTRL_C, CTRL_D, Terminal

TYPED_AFTER = "hunter2-typed-into-the-shell\n"
HIDDEN = ("onboard", "private")


def _aborted(terminal: Terminal) -> None:
    """It has ended at once, with nothing done, and the terminal is as it was."""
    assert terminal.ended(10) == 130, terminal.text
    assert "No changes were made." in terminal.text
    assert terminal.echoes
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("command", ["onboard", "rotate", "offboard"])
def test_at_the_question_before_the_first_change(gcr: World, command: str) -> None:
    arguments = ["onboard", "gcr"] if command == "onboard" else [command, NAME]
    if command != "onboard":
        gcr.onboard()
    before = gcr.changes()
    with Terminal(gcr, *arguments) as terminal:
        terminal.until("[y/N]")
        terminal.press(CTRL_C)
        _aborted(terminal)
    assert gcr.changes() == before


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_at_a_hidden_question(private: World, key: str) -> None:
    with Terminal(private, *HIDDEN) as terminal:
        terminal.until("The password of ")
        terminal.press(key)
        _aborted(terminal)
        terminal.press(TYPED_AFTER)
        assert "characters received" not in terminal.text
    assert private.names() == []


def test_what_was_typed_before_it_is_taken_for_no_secret(private: World) -> None:
    with Terminal(private, *HIDDEN) as terminal:
        terminal.until("The password of ")
        terminal.press("half-of-a-pass")
        terminal.press(CTRL_C)
        _aborted(terminal)
        assert "characters received" not in terminal.text
        assert "half-of-a-pass" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_at_a_question(private: World, number: int) -> None:
    with Terminal(private, *HIDDEN) as terminal:
        terminal.until("The password of ")
        terminal.process.send_signal(number)
        assert terminal.ended(10) == 130
        assert terminal.echoes


def test_at_the_question_about_a_whole_file(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text("version: 1\ntargets:\n  - provider: gcr\n    server: gcr.io/acme-shop\n")
    with Terminal(gcr, "apply", "-f", str(file)) as terminal:
        terminal.until("[y/N]")
        terminal.press(CTRL_C)
        _aborted(terminal)
    with Terminal(gcr, "apply", "-f", str(file)) as terminal:
        terminal.until("[y/N]")
        terminal.press("n\n")
        _aborted(terminal)
    assert gcr.changes() == []


@pytest.mark.parametrize("answer", ["n\n", "\n", "what\n", CTRL_D])
def test_declining_is_130(gcr: World, answer: str) -> None:
    with Terminal(gcr, "onboard", "gcr") as terminal:
        terminal.until("[y/N]")
        terminal.press(answer)
        _aborted(terminal)
        assert "Cancelled." in terminal.text


def test_what_was_typed_before_the_question_is_no_answer_to_it(gcr: World) -> None:
    gcr.fault("iam.*=slow=0.5")
    with Terminal(gcr, "onboard", "gcr") as terminal:
        terminal.until("as ")
        terminal.press("y\n")
        terminal.until("[y/N]")
        terminal.press("n\n")
        _aborted(terminal)
    assert gcr.changes() == []


def test_declining_one_of_several_asks_about_the_next(gcr: World) -> None:
    for server in ("europe-west1-docker.pkg.dev/acme-shop/containers", "gcr.io/acme-shop"):
        assert gcr.onboard("--server", server, "--timeout", "60s").code == 0
    with Terminal(gcr, "offboard", "--all") as terminal:
        terminal.until("[y/N]")
        terminal.press("n\n")
        terminal.until("[y/N]", times=2)
        terminal.press(CTRL_C)
        assert terminal.ended(10) == 130
    assert len(gcr.names()) == 2


def test_in_a_run_it_is_answered_at_once_and_what_it_says_stays(gcr: World) -> None:
    gcr.fault("iam.CreateServiceAccountKey=slow=3")
    with Terminal(gcr, "onboard", "gcr", "--yes") as terminal:
        terminal.until("service account")
        terminal.until("✓")
        terminal.shown = ""
        terminal.press(CTRL_C)
        terminal.until("Interrupted", seconds=1.5)
        assert terminal.ended() == 130, terminal.text
        said = [line for line in terminal.text.splitlines() if "Interrupted" in line]
        # Above the live list, and drawn over by nothing: it is a line of its own.
        assert said[0].strip().startswith("Interrupted"), said
    assert gcr.names() == []


def test_a_second_one_says_what_it_skips(gcr: World) -> None:
    gcr.fault("iam.CreateServiceAccountKey=slow=5")
    with Terminal(gcr, "onboard", "gcr", "--yes") as terminal:
        terminal.until("service account")
        terminal.until("✓")
        terminal.press(CTRL_C)
        terminal.until("Interrupted", seconds=1.5)
        terminal.press(CTRL_C)
        assert terminal.ended(2) == 130, terminal.text
        assert "Not rolled back:" in terminal.text
        assert "pullkey onboard gcr --yes" in terminal.text
    # What it left is found by the next run.
    gcr.running.sandbox.faults.faults.clear()
    assert gcr.onboard("--timeout", "60s").code in (0, 6)
