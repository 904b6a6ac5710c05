"""Which Akka project, of which owner, and who is logged in: in each text, question, document and audit
line.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bootstrap.sandbox.akka_platform import LOGIN, OWNER
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME
from tests.harness.terminal import Terminal

UNNAMED = {"PULLKEY_AKKA_PROJECT": ""}
NAMED = ("--akka-project", "shop")
WHERE = f"{OWNER}/shop"


@pytest.mark.parametrize("scope", [NAMED, ()])
def test_plan_and_summary_name_project_owner_and_user(gcr: World, scope: tuple[str, ...]) -> None:
    plan = gcr.run("plan", "gcr", *scope, env=UNNAMED)
    assert f"Akka project {WHERE}" in plan.err
    assert LOGIN in plan.err

    done = gcr.onboard(*scope, env=UNNAMED)
    assert done.code == 0, done.text
    assert f"Registered {NAME} in Akka project {WHERE}" in done.err

    again = gcr.onboard(*scope, env=UNNAMED)
    assert f"Akka project {WHERE}" in again.err.splitlines()[-1]


@pytest.mark.parametrize("scope", [NAMED, ()])
def test_each_document_names_them(gcr: World, scope: tuple[str, ...]) -> None:
    gcr.onboard(*scope, env=UNNAMED)
    for arguments in (
        ("plan", "gcr"),
        ("verify", NAME),
        ("list",),
        ("rotate", NAME, "--dry-run"),
        ("offboard", NAME, "--dry-run"),
    ):
        document = gcr.run(*arguments, *scope, "--output", "json", env=UNNAMED).json
        akka = (document["results"][0] if "results" in document else document)["akka"]
        assert (akka["project"], akka["owner"], akka["user"]) == ("shop", OWNER, LOGIN), arguments


def test_each_audit_line_names_them(gcr: World, tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    gcr.onboard("--audit", str(trail), env=UNNAMED)
    gcr.run("rotate", NAME, "--yes", "--audit", str(trail), env={**UNNAMED, "PULLKEY_OVERLAP": "0"})
    gcr.run("offboard", NAME, "--yes", "--audit", str(trail), env=UNNAMED)
    lines = [json.loads(line) for line in trail.read_text().splitlines()]
    assert {line["step"] for line in lines} >= {"grant", "handoff", "retire", "reference"}
    assert {(line["akka"]["project"], line["akka"]["owner"], line["akka"]["user"]) for line in lines} == {
        ("shop", OWNER, LOGIN)
    }


def test_a_file_names_them(gcr: World, tmp_path: Path) -> None:
    file, trail = tmp_path / "registries.yaml", tmp_path / "trail.jsonl"
    file.write_text("version: 1\ntargets:\n  - {provider: gcr, server: gcr.io/acme-shop}\n")
    plan = gcr.run("plan", "-f", str(file), env=UNNAMED)
    assert f"Akka project {WHERE}" in plan.out
    assert LOGIN in plan.out
    documents = [gcr.run("plan", "-f", str(file), "--output", "json", env=UNNAMED).json]
    documents += [
        gcr.run(
            "apply", "-f", str(file), "--yes", "--audit", str(trail), "--output", "json", env=UNNAMED
        ).json
    ]
    documents += [gcr.run("list", "-f", str(file), "--output", "json", env=UNNAMED).json]
    lines = [json.loads(line) for line in trail.read_text().splitlines()]
    for akka in [document["targets"][0]["akka"] for document in documents] + [line["akka"] for line in lines]:
        assert (akka["project"], akka["owner"], akka["user"]) == ("shop", OWNER, LOGIN)


def test_the_question_says_what_is_granted_on_what_and_to_whom(gcr: World) -> None:
    with Terminal(gcr, "onboard", "gcr", env=UNNAMED) as terminal:
        shown = " ".join(terminal.until("[y/N]").split())
        question = shown[shown.rindex("Grant ") :]
        assert "roles/artifactregistry.reader on repository containers" in question
        assert f"{NAME} in Akka project {WHERE}" in question
        terminal.press("y\n")
        assert terminal.ended() == 0
    for command, what in (("rotate", "Replace the key of"), ("offboard", "Remove")):
        with Terminal(gcr, command, NAME, env=UNNAMED) as terminal:
            shown = " ".join(terminal.until("[y/N]").split())
            assert f"{what} {NAME}" in shown
            assert f"Akka project {WHERE}" in shown[shown.rindex(what) :]
            terminal.press("n\n")
            assert terminal.ended() == 130


def test_a_role_on_a_whole_project_is_a_warning_with_the_narrower_command(gcr: World) -> None:
    wide = gcr.run("plan", "gcr", "--server", "europe-west1-docker.pkg.dev", "--gcp-project", "acme-shop")
    said = " ".join(wide.err.split())
    assert "warning: roles/artifactregistry.reader on the project acme-shop" in said
    assert "pullkey onboard gcr --server europe-west1-docker.pkg.dev/acme-shop/REPOSITORY" in said
    document = gcr.run(
        "plan",
        "gcr",
        "--server",
        "europe-west1-docker.pkg.dev",
        "--gcp-project",
        "acme-shop",
        "--output",
        "json",
    ).json
    assert any("acme-shop/REPOSITORY" in text for text in document["warnings"])
    narrow = gcr.run("plan", "gcr")
    assert "REPOSITORY" not in narrow.err


def test_a_key_without_expiry_is_a_warning_with_the_narrower_command(gcr: World) -> None:
    said = " ".join(gcr.run("plan", "gcr").err.split())
    assert "warning: The key does not expire" in said
    assert "--key-source upload" in said
    assert "does not expire" not in gcr.run("plan", "gcr", "--key-source", "upload").err
    gcr.onboard()
    assert "warning: The key does not expire" not in gcr.onboard().err
    assert "warning: The key does not expire" not in gcr.run("rotate", NAME, "--dry-run").err
