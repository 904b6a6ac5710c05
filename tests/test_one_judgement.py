"""What a plan would block, replace or repair is in place for no command: each ends with 5, and says the
same.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model.akka_record import HeldCredential
from bootstrap.testing.harness.world import World, make_world
from tests.harness.azure_state import application_deleted
from tests.harness.google_state import ACCOUNT, account_deleted

SHOP = ("--akka-project", "shop")
FILES = {
    "gcr": """version: 1
defaults: {akka-project: shop}
targets:
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/tools}
""",
    "acr": """version: 1
defaults: {akka-project: shop}
targets:
  - {provider: acr, registry: acmeshop}
  - {provider: acr, registry: acmeabac}
""",
}


def akka(world: World, *arguments: str) -> None:
    subprocess.run(
        [world.akka.cli, *arguments], env=world.running.process_environment(), check=True, capture_output=True
    )


def ours(world: World) -> list[str]:
    return [name for name in world.names() if name != "docker-credentials"]


def account_disabled(world: World) -> None:
    world.cloud.state.account(ACCOUNT).disabled = True


def principal_disabled(world: World) -> None:
    for one in world.cloud.state.service_principals:
        if one.display_name.startswith("akka-docker-reader"):
            one.enabled = False


def akka_forgot(world: World) -> None:
    for name in ours(world):
        akka(world, "docker", "remove-credentials", name, "--project=shop")


def secret_deleted(world: World) -> None:
    for name in ours(world):
        akka(world, "secrets", "delete", name, "--project=shop")


@pytest.mark.parametrize(
    ("provider", "broken", "rotates"),
    [
        ("gcr", account_deleted, True),
        ("gcr", account_disabled, False),
        ("gcr", akka_forgot, False),
        ("gcr", secret_deleted, True),
        ("acr", application_deleted, False),
        ("acr", principal_disabled, False),
    ],
)
def test_what_is_dead_is_in_place_for_no_command(
    provider: str, broken: Callable[[World], None], rotates: bool, tmp_path: Path
) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(FILES[provider])
    for world in make_world(provider):
        assert world.run("apply", "-f", str(file), "--yes").code == 0
        name = ours(world)[0]
        broken(world)
        plan = world.run("plan", "-f", str(file), "--check", "--output", "json")
        assert plan.code in (3, 5), plan.text
        assert "keep" not in {one["action"] for one in plan.json["targets"]}
        listed = world.run("list", "-f", str(file), "--check", "--output", "json")
        assert listed.code == 5, listed.text
        assert [one["state"] for one in listed.json["targets"]] == ["wrong", "wrong"], listed.out
        assert world.run("report", "-f", str(file), "--html", str(tmp_path / "page.html")).code == 5
        if broken is not akka_forgot:
            alone = world.run("list", *SHOP, "--check", "--output", "json")
            states = {
                one["name"]: one["state"] for one in alone.json["credentials"] if one["name"] in alone.out
            }
            assert states.pop(name) == "wrong", alone.out
            assert alone.code == 5
        if broken not in (akka_forgot, secret_deleted):
            assert world.run("verify", name, *SHOP).code == 5
        done = world.run("rotate", "-f", str(file), "--due", "--yes", "--timeout", "60s")
        assert "Everything is in place" not in done.text
        assert done.code in ((0,) if rotates else (3, 5)), done.text
        if rotates:
            assert world.run("plan", "-f", str(file), "--check").code == 0


def test_rotating_all_that_is_due_does_not_pass_over_what_has_lost_its_secret(gcr: World) -> None:
    assert gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers", *SHOP).code == 0
    secret_deleted(gcr)
    name = "europe-west1-docker-pkg-dev-acme-shop-containers"
    for command in (("rotate", "--all", "--due"), ("offboard", "--all")):
        done = gcr.run(*command, "--yes", "--output", "json", *SHOP)
        assert done.code == 5, done.text
        assert "has lost its secret" in done.err
        assert f"Onboard its registry again with --secret-name {name} " in done.err
        assert f", then {command[0]} it." in done.err
        assert "2 of Akka's credentials were not created by pullkey" not in done.err
        assert [(one["name"], one["exit_code"]) for one in done.json["errors"]] == [(name, 5)]


def test_a_reference_without_its_secret_is_repaired(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(FILES["gcr"])
    gcr.run("apply", "-f", str(file), "--yes")
    secret_deleted(gcr)
    plan = gcr.run("plan", "-f", str(file))
    assert plan.out.count("repair   shop/") == 2, plan.text
    assert "for another registry" not in plan.text
    assert "has lost its secret" in plan.text
    assert "has lost its secret" in gcr.run("list", "-f", str(file)).out
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    assert gcr.run("list", "-f", str(file), "--check").code == 0


def test_a_record_of_another_identity_is_said_to_be_that(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(FILES["gcr"])
    gcr.run("apply", "-f", str(file), "--yes")
    file.write_text(FILES["gcr"].replace("containers}", "containers, service-account: another-reader}"))
    listed = gcr.run("list", "-f", str(file)).out
    assert "of another identity" in listed
    assert "and the file says" not in listed


@pytest.mark.parametrize(
    "command", [("verify", "NAME"), ("list", "--check"), ("list", "-f", "FILE", "--check")]
)
@pytest.mark.parametrize("call", ["iam.ListServiceAccountKeys", "akka.docker.list-credentials"])
def test_one_stale_read_is_not_reported(
    gcr: World, tmp_path: Path, command: tuple[str, ...], call: str
) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(
        FILES["gcr"].replace("  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/tools}\n", "")
    )
    gcr.run("apply", "-f", str(file), "--yes")
    (name,) = ours(gcr)
    if call.startswith("akka") and command[0] == "list":
        pytest.skip("a listing shows what Akka shows")
    gcr.fault(f"{call}=stale")
    words = {"NAME": name, "FILE": str(file)}
    done = gcr.run(*(words.get(word, word) for word in command), *(() if "FILE" in command else SHOP))
    assert done.code == 0, done.text


def test_what_akka_shows_of_a_reference_alone_is_nothing() -> None:
    shown: dict[str, Any] = {"name": "x", "server": "", "username": "", "email": "", "status": "MISSING"}
    assert HeldCredential(**shown).empty
    assert not HeldCredential(**{**shown, "server": "https://registry.example"}).empty
