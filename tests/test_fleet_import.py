"""`pullkey import`: the file that it writes is of what is there, and planning by it changes nothing of
that.
"""

from __future__ import annotations

from pathlib import Path

from bootstrap.fleet.registries import load
from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.world import World

BY_HAND = AkkaCredential(
    "https://europe-west1-docker.pkg.dev", "_json_key", "puller@acme-shop.iam.gserviceaccount.com", "x"
)
UNTOLD = AkkaCredential("https://europe-west1-docker.pkg.dev", "_json_key", "not@example.com", "x")
A_WORD = AkkaCredential("https://registry.example.com/v1/", "no", "ops@example.com", "x")


def register(world: World, name: str, credential: AkkaCredential) -> None:
    world.akka.projects["shop"].put_credential(name, credential, world.running.sandbox.now())


def test_what_pullkey_made_is_kept_as_it_is_by_the_file_that_is_written(gcr: World, tmp_path: Path) -> None:
    server = "europe-west1-docker.pkg.dev/acme-shop"
    assert gcr.onboard("--server", f"{server}/containers").code == 0
    assert (
        gcr.onboard(
            "--server",
            f"{server}/tools",
            "--service-account",
            "puller-two",
            "--secret-name",
            "tools",
            "--key-source",
            "upload",
        ).code
        == 0
    )
    file = tmp_path / "registries.yaml"
    done = gcr.run("import", "shop", "--to", str(file))
    assert done.code == 0, done.err
    assert "2 credentials of 1 Akka project; nothing is missing." in done.err
    first, second = load(file).entries
    assert (first.values["service_account"], second.values["service_account"]) == (
        "akka-docker-reader",
        "puller-two",
    )
    assert (second.secret_name, second.values["key_source"]) == ("tools", "upload")
    before = len(gcr.changes())
    plan = gcr.run("plan", "-f", str(file), "--output", "json").json
    assert [one["action"] for one in plan["targets"]] == ["keep", "keep"]
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    assert len(gcr.changes()) == before


def test_what_was_made_by_hand_is_a_target_or_a_comment_that_says_what_is_missing(
    gcr: World, tmp_path: Path
) -> None:
    register(gcr, "by-hand", BY_HAND)
    register(gcr, "untold", UNTOLD)
    register(gcr, "a-word", A_WORD)
    file = tmp_path / "registries.yaml"
    done = gcr.run("import", "--to", str(file))
    assert done.code == 0, done.err
    assert "3 credentials of 1 Akka project: 1 to complete by hand" in done.err
    text = file.read_text()
    assert (
        "# untold (https://europe-west1-docker.pkg.dev, _json_key) is to be completed: No Google "
        "project is named" in text
    )
    by_name = {one.secret_name: one for one in load(file).entries}
    assert sorted(by_name) == ["a-word", "by-hand"]
    assert by_name["by-hand"].values["gcp_project"] == "acme-shop"
    assert by_name["a-word"].values["username"] == "no"
    completed = (
        text.replace("  # - provider: gcr", "  - provider: gcr")
        .replace("  #   server", "    server")
        .replace("  #   akka-project", "    akka-project")
        .replace("  #   secret-name", "    gcp-project: acme-shop\n    secret-name")
    )
    file.write_text(completed)
    assert len(load(file).entries) == 3


def test_a_project_that_cannot_be_asked_is_told_and_no_file_is_overwritten(
    gcr: World, tmp_path: Path
) -> None:
    done = gcr.run("import", "shop", "no-such")
    assert done.code == 4
    assert "# Not in here: There is no Akka project no-such" in done.out
    there = tmp_path / "registries.yaml"
    there.write_text("mine")
    assert gcr.run("import", "shop", "--to", str(there)).code == 2
    assert there.read_text() == "mine"
