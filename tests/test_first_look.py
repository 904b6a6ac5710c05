"""The first thing that is typed: nothing, `help`, or something misspelt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.command import SDKS, modules_imported_by, pullkey


def bare(tmp_path: Path, **env: str) -> str:
    """What `pullkey` alone prints for a user whose home is `tmp_path`."""
    done = pullkey(HOME=str(tmp_path), PATH=os.environ["PATH"], **env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


class TestWithoutArguments:
    def test_it_is_help_and_what_is_missing(self, tmp_path: Path) -> None:
        shown = bare(tmp_path, PULLKEY_AKKA_CLI=str(tmp_path / "akka"))
        assert shown.startswith("Usage: pullkey")
        found = shown.partition("Found here:")[2]
        assert "not found; run: gcloud auth application-default login" in found
        assert "not found; run: az login" in found
        assert "Akka CLI      not found" in found
        assert all(len(line) <= 80 for line in shown.splitlines() if "pullkey " not in line)

    def test_the_logins_of_gcloud_and_az(self, tmp_path: Path) -> None:
        google = tmp_path / ".config/gcloud/application_default_credentials.json"
        google.parent.mkdir(parents=True)
        google.write_text("{}")
        azure = tmp_path / ".azure/azureProfile.json"
        azure.parent.mkdir()
        profile = {
            "subscriptions": [
                {"isDefault": False, "user": {"name": "other"}},
                {"isDefault": True, "user": {"name": "jo@acme.example"}},
            ]
        }
        azure.write_text(json.dumps(profile), encoding="utf-8-sig")  # as az writes it
        found = bare(tmp_path)
        assert f"application default credentials ({google})" in found
        assert "jo@acme.example (Azure CLI)" in found

    @pytest.mark.parametrize(
        "profile",
        [
            "",
            "[]",
            "{}",
            '{"subscriptions": []}',
            '{"subscriptions": [[]]}',
            '{"subscriptions": [{"user": null}]}',
            "[" * 100_000,
        ],
    )
    def test_a_profile_that_cannot_be_read_is_no_login(self, tmp_path: Path, profile: str) -> None:
        (tmp_path / ".azure").mkdir()
        (tmp_path / ".azure/azureProfile.json").write_text(profile)
        assert "not found; run: az login" in bare(tmp_path)

    def test_a_file_that_a_variable_names_and_that_is_not_there(self, tmp_path: Path) -> None:
        found = bare(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "key.json"))
        assert "is not a file" in found

    def test_the_akka_cli_and_its_project(self, gcr: World) -> None:
        done = gcr.run(env={"PULLKEY_AKKA_PROJECT": ""})
        assert done.code == 0, done.text
        assert f"{gcr.akka.cli}, project shop" in done.out
        # A glance asks no cloud, and the Akka CLI for nothing but its own configuration.
        assert [f"{call.api}.{call.method}" for call in gcr.running.sandbox.log.calls] == [
            "akka.config.get-project"
        ]

    @pytest.mark.parametrize(
        "script",
        ["sleep 60", "exit 1", "echo; echo two lines; echo more", "kill -9 $$", "printf '\\377\\033[2J'"],
    )
    def test_an_akka_cli_that_misbehaves_keeps_nobody_waiting(self, tmp_path: Path, script: str) -> None:
        akka = tmp_path / "akka"
        akka.write_text(f"#!/bin/sh\n{script}\n")
        akka.chmod(0o755)
        begin = time.monotonic()
        shown = bare(tmp_path, PULLKEY_AKKA_CLI=str(akka))
        assert time.monotonic() - begin < 20
        assert str(akka) in shown
        assert "\033" not in shown

    def test_no_sdk_is_imported_for_it(self) -> None:
        imported = modules_imported_by()
        assert not {name for name in imported if name.partition(".")[0] in SDKS and name != "google"}


class TestHelp:
    @pytest.mark.parametrize("words", [(), ("onboard",), ("onboard", "gcr"), ("list",), ("sandbox", "exec")])
    def test_it_is_the_same_as_the_option(self, words: tuple[str, ...]) -> None:
        by_command, by_option = pullkey("help", *words), pullkey(*words, "--help")
        assert by_command.returncode == 0, by_command.stderr
        assert by_command.stdout == by_option.stdout

    def test_of_an_image_it_is_its_providers(self) -> None:
        assert (
            pullkey("help", "onboard", "acmeshop.azurecr.io/app").stdout
            == pullkey("onboard", "acr", "--help").stdout
        )

    def test_of_what_there_is_not(self) -> None:
        done = pullkey("help", "onbord")
        assert done.returncode == 2
        assert "Did you mean onboard" in done.stderr


class TestDidYouMean:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            (("onbord",), "onboard"),
            (("lst",), "list"),
            (("verfy",), "verify"),
            (("LIST",), "list"),
            (("acme/app:1",), "pullkey onboard acme/app:1"),
            (("sandbox", "exce"), "exec"),
            (("list", "--chek"), "--check"),
            (("onboard", "gcr", "--repositry", "x"), "--repository"),
            (("doctor", "gcrr"), "gcr"),
        ],
    )
    def test_the_nearest_is_named(self, typed: tuple[str, ...], meant: str) -> None:
        done = pullkey(*typed)
        assert done.returncode == 2, done.stderr
        assert "Did you mean" in done.stderr
        assert meant in done.stderr.partition("Did you mean")[2]

    def test_nothing_is_guessed_where_nothing_is_near(self) -> None:
        assert "Did you mean" not in pullkey("xyzzy").stderr


def test_the_script_of_the_completion_is_still_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", "completion", "bash"], capture_output=True, text=True, check=True
    )
    assert "_PULLKEY_COMPLETE" in done.stdout
