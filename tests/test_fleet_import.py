"""`pullkey import`: the file that it writes is of what is there, and planning by it changes nothing of
that.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.cli import cli
from bootstrap.fleet import importer
from bootstrap.fleet.registries import load
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline, silent
from bootstrap.model.errors import ExitCode, Problem, ProblemKind
from bootstrap.plugin.context import RunContext
from bootstrap.sandbox.akka_projects import AkkaCredential, AkkaProject
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


def test_projects_of_one_name_are_told_apart_by_their_owners(gcr: World, tmp_path: Path) -> None:
    theirs = AkkaProject("shop", "rival", ("gcp-us-east1",))
    gcr.akka.projects["theirs"] = theirs
    now = gcr.running.sandbox.now()
    for project, user in ((gcr.akka.projects["shop"], "mine"), (theirs, "theirs")):
        held = AkkaCredential("https://r.example.com/v1/", user, "ops@example.com", "x")
        project.put_credential("pull", held, now)
    file = tmp_path / "registries.yaml"
    done = gcr.run("import", "--all-projects", "--to", str(file))
    assert done.code == 0, done.err
    of_shop = [one for one in load(file).entries if one.scope.project == "shop"]
    assert [(one.scope.owner, one.values["username"]) for one in of_shop] == [
        ("acme", "mine"),
        ("rival", "theirs"),
    ]
    assert "# Akka project rival/shop" in file.read_text()

    of_one = tmp_path / "of-one.yaml"
    done = gcr.run("import", "--all-projects", "--akka-owner", "rival", "--to", str(of_one))
    assert done.code == 0, done.err
    (one,) = load(of_one).entries
    assert (one.scope.owner, one.values["username"]) == ("rival", "theirs")


def test_the_exit_code_counts_projects_and_not_their_problems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def preflight(self: AkkaCli, **_: bool) -> list[Problem]:
        two = [Problem(ProblemKind.SETUP, "one thing"), Problem(ProblemKind.SETUP, "another")]
        return two if self.scope.project == "billing" else []

    async def credentials(_: AkkaCli) -> list[HeldCredential]:
        return []

    monkeypatch.setattr(AkkaCli, "preflight", preflight)
    monkeypatch.setattr(AkkaCli, "credentials", credentials)
    done = CliRunner().invoke(cli, ["import", "shop", "billing"], standalone_mode=False)
    assert done.return_value == ExitCode.SOME_FAILED


def test_credentials_of_all_projects_are_looked_at_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once, most = 0, 0

    async def found(held: HeldCredential, scope: AkkaScope, _: RunContext) -> importer.Found:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return importer.Found(held, scope, {"provider": "private"})

    class Akka(AkkaCli):
        def elsewhere(self, scope: AkkaScope) -> AkkaCli:
            return Akka(scope, self.deadline, self.trace)

        async def preflight(self, *, of_project: bool = True) -> list[Problem]:
            return []

        async def credentials(self) -> list[HeldCredential]:
            return [HeldCredential(f"c{number}", "r", "u", "e", "OK") for number in range(9)]

    monkeypatch.setattr(importer, "_found", found)
    akka = Akka(AkkaScope(), Deadline(9), silent)
    projects = [AkkaScope(f"p{number}") for number in range(9)]
    context = RunContext(akka.deadline, silent, silent)
    listed, unread = asyncio.run(importer.of_projects(akka, projects, context))
    assert (len(listed), unread) == (81, {})
    assert most <= 16
