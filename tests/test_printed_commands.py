"""The commands that a plan prints are run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import World, make_world
from providers.acr.emulator.roles import ACR_PULL
from providers.acr.roles import unassign_nobody_command
from providers.docker_hub.emulator.seed import OWNER, PASSWORD, USER
from providers.gitlab.emulator.seed import MAINTAINER_TOKEN
from tests.harness.docker_hub_state import ORGANIZATION, add_external_pat, our_oats, our_pats
from tests.harness.google_state import KEY_FILE as GOOGLE_KEY

needs_az = pytest.mark.needs_cloud_cli("az")
needs_gcloud = pytest.mark.needs_cloud_cli("gcloud")

IMAGE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
NAME = "europe-west1-docker-pkg-dev-acme-shop-containers"
AZURE = "acmeshop-azurecr-io"
TOKEN = ("--auth-kind", "token", "--repository", "checkout")
# A password with everything that JSON and the shell know.
AWKWARD = 'a "b" \\ $c `d`%s'


@pytest.fixture
def hub() -> Iterator[World]:
    for world in make_world("docker-hub"):
        for user in (USER, OWNER):
            world.cloud.state.user(user).password = AWKWARD
        world.passwords += [PASSWORD, AWKWARD]
        yield world


def commands_of(plan: str) -> str:
    """What stands below "The same by hand:", as it would be copied."""
    below = plan.partition("The same by hand:\n")[2].partition("\nPlan: ")[0]
    assert below, plan
    return "\n".join(line.removeprefix("  ") for line in below.splitlines())


def typed(world: World, script: str, place: Path, *, stdin: str = "") -> None:
    """Type commands in a new shell; there is no docker here, so it is one that takes any password."""
    tools = place / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "docker").write_text("#!/bin/sh\ncat >/dev/null\n")
    (tools / "docker").chmod(0o755)
    environment = world.running.process_environment()
    environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        input=stdin,
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    world.said += [done.stdout, done.stderr]
    assert done.returncode == 0, script + done.stderr
    for line in script.splitlines():
        # printf is the shell's own, so its arguments are in no process.
        if re.search(r"\$\{?(SECRET|TOKEN|PASSWORD|HUB_PASSWORD|BEARER|MADE)\b", line):
            assert re.search(r"printf|--docker-password=|^HUB_PASSWORD=", line), line


def nothing_to_do(world: World, *arguments: str) -> None:
    again = world.run("plan", world.provider, *arguments, "--output", "json")
    assert again.code == 0, again.text
    assert [step["state"] for step in again.json["steps"]] == ["done"] * len(again.json["steps"]), again.out


@needs_gcloud
@pytest.mark.parametrize(
    "how", [(), ("--key-source", "upload", "--expires-in", "90d")], ids=["create", "upload"]
)
def test_those_for_artifact_registry_register_a_credential(
    gcr: World, tmp_path: Path, how: tuple[str, ...]
) -> None:
    script = commands_of(gcr.run("plan", IMAGE, *how).err)
    assert script.count("docker login") == 1
    typed(gcr, script, tmp_path)
    assert gcr.held(NAME).username == "_json_key"
    assert pulls(gcr.running.environment, gcr.held(NAME))
    verified = gcr.run("verify", NAME)
    assert verified.code == 0, verified.text


@needs_az
@pytest.mark.parametrize(
    "how", [("--registry", "acmeshop"), ("--registry", "acmeshop", *TOKEN)], ids=["principal", "token"]
)
def test_those_for_azure_end_as_onboard_does(acr: World, tmp_path: Path, how: tuple[str, ...]) -> None:
    typed(acr, commands_of(acr.run("plan", "acr", *how).err), tmp_path)
    nothing_to_do(acr, *how)
    assert pulls(acr.running.environment, acr.held(AZURE))
    assert acr.run("verify", AZURE).code == 0


@needs_az
def test_those_for_what_is_missing_look_up_the_rest(acr: World, tmp_path: Path) -> None:
    assert acr.onboard().code == 0
    given = acr.cloud.state.role_assignments
    given[:] = [
        one
        for one in given
        if "Pulls images" not in str(one.description) and "pullkey" not in str(one.description)
    ]
    script = commands_of(acr.run("plan", "acr").err)
    assert "az ad sp create" not in script
    assert script.count("az role assignment create") == 1
    typed(acr, script, tmp_path)
    nothing_to_do(acr)


@needs_az
def test_an_application_in_the_deleted_items_is_restored(acr: World, tmp_path: Path) -> None:
    assert acr.onboard().code == 0
    assert acr.run("offboard", AZURE, "--yes").code == 0
    typed(acr, commands_of(acr.run("plan", "acr").err), tmp_path)
    nothing_to_do(acr)


@needs_az
def test_roles_of_a_deleted_application_are_removed_and_no_others(acr: World, tmp_path: Path) -> None:
    state = acr.cloud.state
    scope = state.registry("acmeshop").id
    theirs = state.add_assignment(str(uuid.uuid4()), ACR_PULL, scope)  # not shown to this login
    ours = state.add_assignment(str(uuid.uuid4()), ACR_PULL, scope)
    ours.description = "Pulls images for Akka. Made by pullkey, run 0123456789ab."

    typed(acr, unassign_nobody_command(scope, "AcrPull"), tmp_path)

    assert (theirs.lifetime.exists, ours.lifetime.exists) == (True, False)


@needs_az
def test_a_token_keeps_the_password_that_is_in_use(acr: World, tmp_path: Path) -> None:
    assert acr.onboard(*TOKEN).code == 0
    before = acr.held(AZURE)
    other = ("--secret-name", "second")
    typed(acr, commands_of(acr.run("plan", "acr", *TOKEN, *other).err), tmp_path)
    assert acr.held("second").password != before.password
    assert pulls(acr.running.environment, acr.held("second"))
    assert pulls(acr.running.environment, before)


@pytest.mark.parametrize("kind", ["brought", "personal", "organisation"])
def test_those_for_docker_hub(hub: World, tmp_path: Path, kind: str) -> None:
    how = {
        "brought": ("--hub-user", USER),
        "personal": ("--hub-user", USER, "--mint"),
        "organisation": (*ORGANIZATION[:4], "--repository", "acme/checkout"),
    }[kind]
    given = add_external_pat(hub).text if kind == "brought" else AWKWARD
    typed(hub, commands_of(hub.run("plan", "docker-hub", *how).err), tmp_path, stdin=f"{given}\n")
    held = hub.held("docker-hub-acme" if kind == "organisation" else f"docker-hub-{USER}")
    assert pulls(hub.running.environment, held)
    assert len(our_pats(hub)) == (kind == "personal")
    assert len(our_oats(hub)) == (kind == "organisation")
    nothing_to_do(hub, *how)


@pytest.mark.parametrize("how", [(), ("--project", "acme/shop")], ids=["image", "project"])
def test_those_for_gitlab(gitlab: World, tmp_path: Path, how: tuple[str, ...]) -> None:
    commands = commands_of(gitlab.run("plan", "gitlab", *how).err)
    typed(gitlab, commands, tmp_path, stdin=f"{MAINTAINER_TOKEN}\n")
    (name,) = gitlab.names()
    assert pulls(gitlab.running.environment, gitlab.held(name))
    nothing_to_do(gitlab, *how)


@pytest.mark.parametrize("user", ["ops", "robot$shop+pull", "o'neil"])
def test_those_for_any_other_registry(private: World, tmp_path: Path, user: str) -> None:
    how = ("--server", "registry.sandbox.example", "--username", user)
    typed(private, commands_of(private.run("plan", "private", *how).err), tmp_path, stdin=f"{AWKWARD}\n")
    held = private.held("registry-sandbox-example")
    assert (held.username, held.password) == (user, AWKWARD)
    nothing_to_do(private, *how)


def test_that_for_a_google_key_file(private: World, tmp_path: Path) -> None:
    (tmp_path / "keyfile.json").write_text(GOOGLE_KEY)
    private.passwords.append(GOOGLE_KEY)
    how = ("--server", "registry.sandbox.example", "--username", "_json_key")
    typed(private, commands_of(private.run("plan", "private", *how).err), tmp_path)
    assert private.held("registry-sandbox-example").password == GOOGLE_KEY.rstrip("\n")


@pytest.mark.parametrize(
    "how",
    [
        ("gcr",),
        ("acr",),
        ("acr", *TOKEN),
        ("docker-hub", "--hub-user", USER, "--mint"),
        ("gitlab",),
        ("private",),
    ],
)
def test_the_json_of_a_plan_has_the_same_commands(how: tuple[str, ...]) -> None:
    for world in make_world(how[0]):
        shown = commands_of(world.run("plan", *how).err)
        steps = world.run("plan", *how, "--output", "json").json["steps"]
        commands = "\n".join(step["command"] for step in steps)
        moment = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z")
        kept = [line for line in shown.splitlines() if line and not line.startswith("# ")]
        assert [moment.sub("", line) for line in kept] == [
            moment.sub("", line) for line in commands.splitlines() if not line.startswith("# ")
        ]
