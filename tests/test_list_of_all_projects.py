"""`pullkey list --all-projects`: every Akka project that the login sees, whatever one of them refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bootstrap.akka.scope import AkkaScope
from bootstrap.cli.all_projects import _assessed
from bootstrap.cli.project_command import ProjectCommand
from bootstrap.model.akka_record import HeldCredential
from bootstrap.output.json_schema import schemas
from bootstrap.sandbox.akka_projects import AkkaCredential, AkkaProject
from bootstrap.testing.harness.world import World

ALL = ("list", "--all-projects")
JSON = ("--output", "json")
GAR = "europe-west1-docker-pkg-dev-acme-shop"


def test_the_credentials_of_each_with_its_project(gcr: World) -> None:
    assert gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop").code == 0
    done = gcr.run(*ALL)
    assert done.code == 0, done.text
    assert "2 Akka projects, as person@acme.example" in done.out
    assert "billing/docker-credentials" in done.out
    assert f"shop/{GAR}" in done.out
    assert "2 credentials: 1 ok, 1 not created by pullkey" in done.out

    found = gcr.run(*ALL, *JSON)
    assert found.code == 0, found.text
    Draft202012Validator(schemas()["list"]).validate(found.json)
    assert [
        (one["akka"]["owner"], one["akka"]["project"], one["name"], one["state"])
        for one in found.json["credentials"]
    ] == [
        ("acme", "billing", "docker-credentials", "not-ours"),
        ("acme", "shop", GAR, "ok"),
    ]
    assert found.json["projects_not_read"] == []
    assert found.json["akka"]["project"] is None

    alone = gcr.run("list", *JSON)
    Draft202012Validator(schemas()["list"]).validate(alone.json)
    assert [one["akka"]["project"] for one in alone.json["credentials"]] == ["shop"]


def test_one_that_refuses_hides_no_other(gcr: World) -> None:
    gcr.onboard()
    gcr.akka.unreadable = {"billing"}
    done = gcr.run(*ALL)
    assert done.code == 4, done.text
    assert "not seen: Akka project acme/billing: " in done.out
    assert "permission denied" in done.out
    assert "1 credential: 1 ok; 1 project could not be read." in done.out
    found = gcr.run(*ALL, *JSON).json
    Draft202012Validator(schemas()["list"]).validate(found)
    assert found["exit_code"] == 4
    assert [one["akka"]["project"] for one in found["credentials"]] == ["shop"]
    (refused,) = found["projects_not_read"]
    assert (refused["owner"], refused["project"]) == ("acme", "billing")
    assert "permission denied" in refused["error"]["what"]

    gcr.akka.unreadable = {"billing", "shop"}
    assert gcr.run(*ALL).code == 3


def test_projects_of_one_name_are_told_apart_by_their_owners(gcr: World) -> None:
    theirs = AkkaProject("shop", "rival", ("gcp-us-east1",))
    gcr.akka.projects["theirs"] = theirs
    mine, other = (
        AkkaCredential("https://r.example.com/v1/", name, "a@example.com", "x") for name in ("mine", "theirs")
    )
    now = gcr.running.sandbox.now()
    gcr.akka.projects["shop"].put_credential("pull", mine, now)
    theirs.put_credential("pull", other, now)
    found = gcr.run(*ALL, "pull", *JSON).json["credentials"]
    assert [(one["akka"]["owner"], one["username"]) for one in found] == [
        ("acme", "mine"),
        ("rival", "theirs"),
    ]
    assert "rival/shop/pull" in gcr.run(*ALL).out
    assert [one["username"] for one in gcr.run(*ALL, "--akka-owner", "rival", *JSON).json["credentials"]] == [
        "theirs"
    ]


def test_an_import_keeps_the_owner_of_projects_of_one_name(gcr: World, tmp_path: Path) -> None:
    theirs = AkkaProject("shop", "rival", ("gcp-us-east1",))
    gcr.akka.projects["theirs"] = theirs
    mine, other = (
        AkkaCredential("https://r.example.com/v1/", name, "a@example.com", "x") for name in ("mine", "theirs")
    )
    now = gcr.running.sandbox.now()
    gcr.akka.projects["shop"].put_credential("pull", mine, now)
    theirs.put_credential("pull", other, now)
    file = tmp_path / "registries.yaml"
    done = gcr.run("import", "--all-projects", "--to", str(file), *JSON)
    assert done.code == 0, done.text
    found = [(one["akka_owner"], one["akka_project"]) for one in done.json["targets"]]
    assert found[-2:] == [("acme", "shop"), ("rival", "shop")]
    assert (None, "billing") in found
    targets = yaml.safe_load(file.read_text())["targets"]
    pulls = [one for one in targets if one.get("username") in ("mine", "theirs")]
    assert [(one["akka-owner"], one["username"]) for one in pulls] == [("acme", "mine"), ("rival", "theirs")]
    assert "  # Akka project rival/shop\n" in file.read_text()
    only = gcr.run("import", "--all-projects", "--akka-owner", "rival", *JSON).json["targets"]
    assert [(one["akka_owner"], one["akka_project"]) for one in only] == [("rival", "shop")]


def test_a_context_that_is_named_tells_projects_of_one_name_apart(gcr: World, tmp_path: Path) -> None:
    """Of a context that is not named, nothing is shown: it is the CLI's own."""
    assert gcr.onboard("--audit", str(tmp_path / "plain.jsonl")).code == 0
    there, audit, metrics = ("--akka-context", "default"), tmp_path / "audit.jsonl", tmp_path / "m.prom"
    rotated = gcr.run("rotate", "--all", "--yes", *there, "--audit", str(audit))
    assert rotated.code == 0, rotated.text
    assert "Akka project acme/shop, context default" in rotated.err
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert lines
    assert {line["akka"]["context"] for line in lines} == {"default"}
    plain = [json.loads(line) for line in (tmp_path / "plain.jsonl").read_text().splitlines()]
    assert all("context" not in line["akka"] for line in plain)
    for everywhere in ((), ("--all-projects",)):
        document = gcr.run("list", *everywhere, *there, *JSON, "--textfile", str(metrics)).json
        assert document["akka"]["context"] == "default"
        samples = [line for line in metrics.read_text().splitlines() if line.startswith("pullkey_")]
        assert samples
        assert all('context="default"' in line for line in samples)
    assert "context" not in gcr.run("list", *JSON).json["akka"]
    written = gcr.run("import", "shop", *there).out
    assert "akka-context: default" in written
    file = tmp_path / "registries.yaml"
    file.write_text(written)
    plan = gcr.run("plan", "-f", str(file), *JSON).json
    assert [(one["action"], one["akka"]["context"]) for one in plan["targets"]] == [("keep", "default")]


def test_where_the_cli_has_no_current_project(gcr: World) -> None:
    gcr.akka.current_project = "gone"
    unset = {"PULLKEY_AKKA_PROJECT": "", "AKKA_PROJECT": ""}
    assert gcr.run("list", env=unset).code == 3
    done = gcr.run(*ALL, env=unset)
    assert done.code == 0, done.text
    assert "billing/docker-credentials" in done.out


def test_what_is_wrong_or_misnamed(gcr: World) -> None:
    named = gcr.run(*ALL, "docker-credential")
    assert named.code == 2
    assert "No Akka project that this login sees has a credential named 'docker-credential'" in named.err
    assert "Did you mean docker-credentials?" in named.err
    both = gcr.run(*ALL, "--akka-project", "shop", *JSON)
    assert both.code == 2
    assert "--akka-project names one" in both.json["error"]["what"]
    assert gcr.onboard().code == 0
    for account in gcr.cloud.state.project("acme-shop").accounts.values():
        account.disabled = True
    assert gcr.run(*ALL, "--check").code == 5


@pytest.mark.parametrize("word", ["PULLED", "STATE"])
def test_it_has_the_columns_of_list(gcr: World, word: str) -> None:
    gcr.onboard()
    heads = [
        line.split()
        for done in (gcr.run("list"), gcr.run(*ALL))
        for line in done.out.splitlines()
        if line.startswith("NAME")
    ]
    assert heads[0] == heads[1]
    assert word in heads[0]


def test_credentials_of_several_projects_are_read_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most = 0, 0

    async def assess(*_: Any, **__: Any) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return "its health"

    monkeypatch.setattr("bootstrap.engine.health.assess", assess)
    nobody: Any = SimpleNamespace(
        elsewhere=lambda _: None, journal=lambda *_: None, verified_pulls=None, context=None
    )
    command = ProjectCommand(AkkaScope(), nobody, nobody, nobody, nobody, verbose=False)
    scopes = [AkkaScope(f"team-{number}") for number in range(20)]
    held = [(scope, [HeldCredential("pull", "r", "u", "e", "OK")] * 2) for scope in scopes]
    values = {"names": (), "expires_within": None}
    found = asyncio.run(_assessed(command, held, [], values, None))
    assert [one.scope for one in found] == scopes
    assert [len(one.assessed) for one in found] == [2] * 20
    assert most == 8
