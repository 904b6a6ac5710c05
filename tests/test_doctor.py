"""What `pullkey doctor` sees, and what it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema

from bootstrap.engine.journal import Journal
from bootstrap.output.json_schema import schemas
from bootstrap.plugin import entry_points as plugins
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world


def checks(world: World, *arguments: str, **env: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    """The exit code and the checks, by what they are about."""
    done = world.run("doctor", *arguments, "--output", "json", env=env)
    assert done.code in (0, 3), done.text
    jsonschema.validate(done.json, schemas()["doctor"])
    return done.code, {(one["about"], one["what"]): one for one in done.json["checks"]}


def test_a_good_world(gcr: World) -> None:
    _, seen = checks(gcr, "gcr")
    assert {one["about"] for one in seen.values()} == {"this machine", "Akka", "gcr"}
    bad = [
        one
        for key, one in seen.items()
        if one["good"] is False and key != ("this machine", "arguments of processes")
    ]
    assert bad == []
    assert gcr.changes() == []


def test_each_line_that_is_bad_has_its_fix(gcr: World, tmp_path: Path) -> None:
    gcr.akka.mode = "logged-out"
    code, seen = checks(
        gcr,
        "gcr",
        GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "nowhere.json"),
        CURL_CA_BUNDLE=str(tmp_path / "nowhere.pem"),
    )
    assert code == 3
    bad = [
        one
        for key, one in seen.items()
        if one["good"] is False and key != ("this machine", "arguments of processes")
    ]
    assert {one["about"] for one in bad} == {"this machine", "Akka", "gcr"}
    assert all(one["fix"] for one in bad)
    assert any("akka auth login" in one["fix"] for one in bad)


def test_a_cloud_that_nothing_of_akkas_needs_may_lack_its_login(gcr: World, tmp_path: Path) -> None:
    nobody = "127.0.0.1:9"
    nowhere = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "nowhere.json"),
        # Azure's default looks for a login at the address that a virtual machine has for it.
        "PULLKEY_ACR_AUTH": "environment",
        "PULLKEY_DOCKER_HUB_ENDPOINT": f"https://{nobody}",
        "PULLKEY_GITLAB_ENDPOINT": f"https://{nobody}",
        "PULLKEY_REGISTRY_CONNECT_TO": ",".join(
            [
                gcr.running.environment["PULLKEY_REGISTRY_CONNECT_TO"],
                *(f"{host}={nobody}" for host in ("registry-1.docker.io", "registry.gitlab.com")),
            ]
        ),
    }
    _, seen = checks(gcr, **nowhere)
    assert not [one for one in seen.values() if one["about"] == "gcr" and one["good"] is False]
    assert gcr.onboard().code == 0
    code, seen = checks(gcr, **nowhere)
    assert code == 3
    assert [one for one in seen.values() if one["about"] == "gcr" and one["good"] is False]


def test_the_password_of_a_proxy_is_not_shown(gcr: World) -> None:
    done = gcr.run(
        "doctor", "private", env={"HTTPS_PROXY": "http://me:hush-hush@proxy.example:3128", "NO_PROXY": "*"}
    )
    assert "proxy.example" in done.out
    assert "hush-hush" not in done.text


def test_a_run_that_did_not_end_is_told_with_its_command(gcr: World) -> None:
    journal = Journal(Path(gcr.running.environment["PULLKEY_STATE_DIR"]), "shop gcr-io", "gcr gcr.io")
    with journal.locked():
        journal.begin("abc", "pullkey onboard gcr --server gcr.io")
        journal.about_to("identity", {})
    code, seen = checks(gcr, "private")
    assert code == 3
    assert "pullkey onboard gcr --server gcr.io" in seen["this machine", "journal"]["fix"]


def test_a_provider_that_is_not_there(gcr: World) -> None:
    wrong = gcr.run("doctor", "ecr")
    assert wrong.code == 2
    assert f"there are: {', '.join(plugins.names())}" in wrong.err


def test_akka_is_read_back_in_all_its_regions() -> None:
    """It copies from the primary region on its own time; until then a service elsewhere cannot pull."""
    worlds = make_world("private", SandboxSettings(propagation=3.0))
    world = next(worlds)
    done = world.run(
        "onboard",
        "private",
        "--yes",
        "--username",
        "ops",
        "--password-stdin",
        "--akka-project",
        "billing",
        stdin="pull-in-the-sandbox",
    )
    assert done.code == 0, done.text
    assert "Akka copies it to its other regions" in done.err
    listed = world.run("list", "--akka-project", "billing", "--output", "json").json["credentials"]
    ours = [one for one in listed if one["username"] == "ops"]
    assert [one["regions_behind"] for one in ours] == [None]
    for _ in worlds:
        pass
