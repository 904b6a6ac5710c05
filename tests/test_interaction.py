"""What a person meets: the question before the first change, settings by variable, regions, pages to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME
from tests.harness.terminal import run_in_terminal


class TestTheQuestion:
    def test_no_changes_nothing(self, gcr: World) -> None:
        code, text = run_in_terminal(gcr, "onboard", "gcr", answer="")
        assert code == 130
        assert "Create service account" in text
        assert "Cancelled." in text
        assert gcr.changes() == []

    def test_yes_does_it_with_colours_and_times(self, gcr: World) -> None:
        code, text = run_in_terminal(gcr, "onboard", "gcr", answer="y")
        assert code == 0
        assert "\x1b[" in text
        assert "Registered " in text
        assert gcr.held(NAME).username == "_json_key"

    def test_it_is_not_asked_when_there_is_nothing_to_do(self, gcr: World) -> None:
        gcr.onboard()
        code, text = run_in_terminal(gcr, "onboard", "gcr", answer="n")
        assert code == 0
        assert "[y/N]" not in text


def test_piped_there_is_no_colour(gcr: World) -> None:
    done = gcr.run("plan", "gcr", env={"NO_COLOR": ""})
    assert "\x1b" not in done.text


def test_every_option_is_a_variable_too(gcr: World) -> None:
    done = gcr.run(
        "onboard",
        "gcr",
        env={"PULLKEY_YES": "1", "PULLKEY_SECRET_NAME": "by-variable", "PULLKEY_OUTPUT": "json"},
    )
    assert done.code == 0, done.text
    assert done.json["akka"]["secret_name"] == "by-variable"
    assert gcr.names() == ["by-variable"]


def test_a_dry_run_is_a_plan(gcr: World) -> None:
    assert gcr.run("onboard", "gcr", "--dry-run").err == gcr.run("plan", "gcr").err


def test_one_region_of_a_project(gcr: World) -> None:
    scope = ("--akka-project", "billing", "--akka-region", "aws-us-east-2")
    done = gcr.onboard(*scope)
    assert done.code == 0, done.text
    assert gcr.akka.credential("billing", NAME, "aws-us-east-2").username == "_json_key"
    with pytest.raises(KeyError):
        gcr.akka.credential("billing", NAME, "gcp-us-east1")
    assert gcr.onboard(*scope, "--output", "json").json["result"] == "unchanged"


@pytest.mark.parametrize(
    "image",
    [
        "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0",
        "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:9.9",
    ],
)
def test_the_image_that_is_named_is_the_proof(gcr: World, image: str) -> None:
    done = gcr.onboard("--server", "europe-west1-docker.pkg.dev", "--image", image)
    if image.endswith("1.0"):
        assert done.code == 0, done.text
        assert f"reads the manifest of {image}" in done.err
    else:
        assert done.code == 3
        assert f"There is no image {image}" in done.err
        assert gcr.changes() == []


@pytest.mark.parametrize("provider", ["gcr", "acr"])
def test_a_page_to_read_has_every_step_and_the_undo(gcr: World, provider: str) -> None:
    typed = ("--server", "gcr.io/acme-shop/x") if provider == "gcr" else ("--registry", "acmeshop")
    page = gcr.run("runbook", provider, *typed, "--format", "markdown").out
    assert page.startswith("# Make ")
    assert page.count("\n## ") >= 6
    assert "akka docker add-credentials" in page
    assert page.index("## Undo") < page.index("akka docker remove-credentials")
    for mistake in ("delete-credentials", "\N{EM DASH}", "http://akka"):
        assert mistake not in page


def test_a_handover_file_that_cannot_be_written(gcr: World, tmp_path: Path) -> None:
    gcr.cloud.state.denied_permissions.add("iam.serviceAccounts.create")
    done = gcr.onboard("--handover", str(tmp_path / "no" / "such" / "folder"))
    assert done.code == 2
    assert "--handover" in done.err


def test_without_a_place_for_the_journal_nothing_is_begun(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    env = {"PULLKEY_STATE_DIR": str(file / "state")}
    done = gcr.onboard(env=env)
    assert done.code == 2
    assert "PULLKEY_STATE_DIR" in done.err
    assert gcr.changes() == []
    assert gcr.run("plan", "gcr", env=env).code == 0
