"""A mistyped option, or one that another form of the command has: what is meant is printed, not what looks
alike.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

IMAGE = "acmeshop.azurecr.io/checkout:1.0"


def refused(*arguments: str) -> str:
    """What is printed about a command line that cannot be used. No cloud and no Akka is needed to say so."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PULLKEY_")}
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", *arguments],
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("onboard", "acr", "--akka-porject", "shop"), "--akka-project"),
        (("onboard", IMAGE, "--expire-in", "90d"), "--expires-in"),
        (("list", "--chekc"), "--check"),
        (("rotate", "-f", "registries.yaml", "--deu"), "--due"),
        (("--verison",), "--version"),
        (("version",), "--version"),
    ],
)
def test_the_nearest_option_alone_is_named(arguments: tuple[str, ...], meant: str) -> None:
    said = refused(*arguments)
    assert f"Did you mean {meant}?" in said
    assert said.count("Did you mean") == 1


@pytest.mark.parametrize(
    ("arguments", "home"),
    [
        (("onboard", "acr", "--username", "ops"), "`pullkey onboard private`"),
        (("onboard", IMAGE, "--impersonate-service-account", "a@b.c"), "`pullkey onboard gcr`"),
        (("plan", "gcr", "--app-id", "1"), "`pullkey plan acr`"),
        (("verify", "gcr", "--app-id", "1"), "`pullkey verify acr`"),
    ],
)
def test_an_option_of_another_provider_is_said_to_be_that(arguments: tuple[str, ...], home: str) -> None:
    said = refused(*arguments)
    assert f"It is an option of {home}" in said
    assert "Did you mean" not in said


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("rotate", "-f", "registries.yaml", "--older-than", "60d"), "rotate-after"),
        (("rotate", "registries.yaml", "--keep-old", "0"), "keep-old"),
        (("plan", "-f", "registries.yaml", "--akka-project", "shop"), "akka-project"),
    ],
)
def test_with_a_file_what_the_file_says_is_named(arguments: tuple[str, ...], field: str) -> None:
    said = refused(*arguments)
    assert f"In a file of registries it is {field}" in said
    assert f"pullkey {arguments[0]} -f FILE --help" in said


def test_an_option_of_the_form_with_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused("rotate", "--all", "--shard", "1/2")
    assert "It is an option of `pullkey rotate -f FILE`" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("onboard", "--image", IMAGE),
        ("onboard", "acr", IMAGE),
        ("plan", "--server", IMAGE),
        ("plan", "gcr", IMAGE),
    ],
)
def test_an_image_goes_in_place_of_the_provider(arguments: tuple[str, ...]) -> None:
    said = refused(*arguments)
    assert f"pullkey {arguments[0]} {IMAGE}" in said
    assert "--timeout" not in said


@pytest.mark.parametrize("command", ["plan", "apply", "rotate", "offboard", "list", "report", "runbook"])
def test_a_second_file_is_refused_rather_than_taken_in_place_of_the_first(command: str) -> None:
    printed = refused(command, "-f", "shop.yaml", "--file=billing.yaml")
    assert "-f is passed more than once" in printed
    assert "Run the command for each file." in printed
