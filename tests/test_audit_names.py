"""Each line of an audit trail names the Akka project and who made the change."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.audit_log import Audited, Trail
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.sandbox.akka_platform import LOGIN, OWNER
from bootstrap.testing.harness.world import World
from providers.docker_hub.emulator.seed import PASSWORD, USER
from tests.harness import docker_hub_state
from tests.harness.google_state import NAME

# Neither the command line nor a variable names the project.
UNNAMED = {"PULLKEY_AKKA_PROJECT": "", "PULLKEY_OVERLAP": "0"}
OPERATOR = "operator@acme-admin.iam.gserviceaccount.com"
IN_AKKA = {"handoff", "reference", "secret"}


def lines_of(trail: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in trail.read_text().splitlines()]
    assert lines
    trail.unlink()
    return lines


def assert_named(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        akka = line["akka"]
        assert (akka["project"], akka["owner"], akka["user"]) == ("shop", OWNER, LOGIN), line
        assert line["as"] == (LOGIN if line["step"] in IN_AKKA else OPERATOR), line


def test_lines_of_a_file_s_targets(gcr: World, tmp_path: Path) -> None:
    file, trail = tmp_path / "registries.yaml", tmp_path / "trail.jsonl"
    server = "europe-west1-docker.pkg.dev/acme-shop/containers"
    file.write_text(f"version: 1\ntargets:\n  - {{provider: gcr, server: {server}}}\n")
    for command in ("apply -f", "rotate -f", "offboard --all -f"):
        done = gcr.run(*command.split(), str(file), "--yes", "--audit", str(trail), env=UNNAMED)
        assert done.code == 0, done.text
        assert_named(lines_of(trail))


def test_lines_of_what_is_removed_with_the_record_that_a_registration_replaced(
    gcr: World, tmp_path: Path
) -> None:
    trail = tmp_path / "trail.jsonl"
    gcr.onboard("--secret-name", NAME)
    other = ("--service-account", "akka-second-reader", "--secret-name", NAME, "--replace")
    done = gcr.onboard(*other, "--audit", str(trail), env=UNNAMED)
    assert done.code == 0, done.text
    lines = lines_of(trail)
    assert [line["step"] for line in lines if line["outcome"] == "removed"] == ["key", "grant", "identity"]
    assert_named(lines)


def test_a_key_that_is_enabled_again(gcr: World, tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    gcr.onboard()
    gcr.run("rotate", NAME, "--yes", env=UNNAMED)
    restore = ("rotate", NAME, "--restore", "--yes", "--audit", str(trail))
    gcr.fault("iam.EnableServiceAccountKey=403*1")
    assert gcr.run(*restore, env=UNNAMED).code != 0
    assert gcr.run(*restore, env=UNNAMED).code == 0
    assert gcr.run(*restore, env=UNNAMED).code == 0
    lines = lines_of(trail)
    # Nothing is done the third time.
    assert [line["outcome"] for line in lines] == ["failed", "done"]
    assert_named(lines)


def test_a_login_and_a_project_that_akka_does_not_name(tmp_path: Path) -> None:
    path = tmp_path / "trail.jsonl"
    trail = Trail.open(path, "pullkey onboard gcr")
    record = trail.of("0123456789ab", Audited("gcr", "gcr.io", AkkaScope, NAME))
    record(Change("handoff", "Akka shows it with status OK", ChangeOutcome.DONE))
    trail.close()
    (line,) = lines_of(path)
    assert line["akka"]["project"] == "(current)"
    assert line["as"] == f"local user {pwd.getpwuid(os.getuid()).pw_name}"


def test_a_login_whose_password_is_asked_for_when_it_is_needed(hub: World, tmp_path: Path) -> None:
    """The preflight of a rotation sees no login; what is recorded is who the changes were made as."""
    trail = tmp_path / "trail.jsonl"
    assert docker_hub_state.onboard(hub, *docker_hub_state.LOGIN).code == 0
    named = ("rotate", docker_hub_state.NAME, "--secret-stdin", "--yes", "--audit", str(trail))
    for more in ((), ("--restore",)):
        done = hub.run(*named, *more, "--output", "json", stdin=PASSWORD, env=UNNAMED)
        assert done.code == 0, done.text
        (result,) = done.json["results"]
        assert result["as"] == f"the Docker Hub user {USER}"
        made = [line for line in lines_of(trail) if line["step"] not in IN_AKKA]
        assert {line["as"] for line in made} == {result["as"]}, made
