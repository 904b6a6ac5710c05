"""`pullkey list --all-projects`: every Akka project that the login sees, whatever one of them refuses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
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
