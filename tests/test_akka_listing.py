"""The sandbox's Akka can show less than it holds: a list that lags, an e-mail address that is cut, no
user.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from bootstrap.sandbox.akka import AkkaEmulator
from bootstrap.sandbox.akka_platform import Listing
from bootstrap.testing.harness.running_sandbox import RunningSandbox


class Akka:
    def __init__(self, running: RunningSandbox) -> None:
        self.running = running
        emulator = running.sandbox.emulators["akka"]
        assert isinstance(emulator, AkkaEmulator)
        self.emulator = emulator

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            ["akka", "docker", *arguments],
            env=self.running.process_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def add(self, email: str, *, code: int = 0) -> str:
        return self(
            "add-credentials",
            "--secret-name=pull",
            "--docker-server=https://gcr.io",
            "--docker-username=u",
            f"--docker-email={email}",
            "--docker-password=hush",
            code=code,
        )

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("list-credentials", "-o", "json"))
        return found


@pytest.fixture
def akka() -> Iterator[Akka]:
    with RunningSandbox({"akka": AkkaEmulator}) as running:
        yield Akka(running)


def test_an_email_address_can_be_cut_or_left_out(akka: Akka) -> None:
    akka.add("reader+0123456789@example.com")
    akka.emulator.listing = Listing(email_length=10)
    assert [row["email"] for row in akka.rows()] == ["reader+012"]
    akka.emulator.listing = Listing(shows_email=False, shows_user=False)
    assert [(row["email"], row["username"]) for row in akka.rows()] == [("", "")]
    assert akka.emulator.credential("shop", "pull").email == "reader+0123456789@example.com"


def test_a_list_that_lags_shows_what_was_there_before(akka: Akka) -> None:
    akka.emulator.listing.lag = 60
    akka.add("one@example.com")
    assert akka.rows() == []
    akka.running.sandbox.advance(dt.timedelta(seconds=61))
    assert [row["email"] for row in akka.rows()] == ["one@example.com"]
    akka.add("two@example.com")
    assert [row["email"] for row in akka.rows()] == ["one@example.com"]
    akka("remove-credentials", "pull")
    assert [row["email"] for row in akka.rows()] == ["one@example.com"]
    akka.running.sandbox.advance(dt.timedelta(seconds=61))
    assert akka.rows() == []


def test_a_list_may_never_show_a_change(akka: Akka) -> None:
    akka.emulator.listing.lag = math.inf
    akka.add("one@example.com")
    akka.running.sandbox.advance(dt.timedelta(days=1))
    assert akka.rows() == []


def test_a_command_may_fail_after_it_was_carried_out(akka: Akka) -> None:
    akka.emulator.mode = "fails-after"
    akka.emulator.mode_applies_to = "docker.add-credentials"
    akka.add("one@example.com", code=1)
    assert [row["email"] for row in akka.rows()] == ["one@example.com"]
