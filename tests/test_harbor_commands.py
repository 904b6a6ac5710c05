"""What each command sees of a robot account: by image, by name, in Akka's records, with a real client."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.engine.locate import provider_of
from bootstrap.model.akka_record import HeldCredential
from bootstrap.plugin.routing import providers_for
from bootstrap.sandbox.distribution import DistributionImages
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import World, make_world
from providers.harbor.emulator.seed import HOST, PASSWORD
from tests.harness.harbor_state import NAME, later, onboard, our_robots, state_of
from tests.harness.private_registry import onboard_with_password

IMAGE = f"{HOST}/shop/checkout:1.0"
NO_TARGET = {f"PULLKEY_HARBOR_{name}": "" for name in ("REGISTRY", "PROJECT", "IMAGE")}


# -- which provider ------------------------------------------------------------------------------------------


def test_an_image_is_enough(harbor: World) -> None:
    done = harbor.run(
        "onboard", IMAGE, "--user", "jo", "--login-stdin", "--yes", stdin=PASSWORD, env=NO_TARGET
    )
    assert done.code == 0, done.text
    assert harbor.held(NAME).password == our_robots(harbor)[0].secret


@pytest.mark.parametrize(
    ("host", "configured", "name"),
    [
        ("harbor.example.com", "", "harbor"),
        ("images.example.com", "", "private"),
        ("images.example.com", "images.example.com", "harbor"),
        ("images.example.com:8443", "https://images.example.com:8443", "harbor"),
        ("ghcr.io", "images.example.com", "private"),
    ],
)
def test_which_provider_an_image_is_of(
    monkeypatch: pytest.MonkeyPatch, host: str, configured: str, name: str
) -> None:
    monkeypatch.setenv("PULLKEY_HARBOR_REGISTRY", configured)
    assert [one.name for one in providers_for(host)] == [name]


@pytest.mark.parametrize(
    ("username", "email", "ours"),
    [
        ("robot$shop+pullkey-0123456789ab", f"harbor+robot-17-0123456789ab@{HOST}", True),
        ("bot-shop+pullkey-0123456789ab", f"harbor+robot-17-0123456789ab@{HOST}", True),
        (
            "robot$pullkey-0123456789ab",
            f"robot-8-0123456789ab@harbor-system.was-robot-7-ba9876543210.{HOST}",
            True,
        ),
        ("robot$shop+ci", "jo@example.com", True),  # created by hand
        ("robot$shop+ci", f"pullkey+0123456789ab-1764000000@{HOST}", False),  # registered with `private`
        ("acme+robot", "jo@example.com", False),  # as at Quay
        ("jo", f"harbor+17@{HOST}", False),
    ],
)
def test_which_records_are_of_harbor(username: str, email: str, ours: bool) -> None:
    held = HeldCredential("name", f"https://{HOST}/v1/", username, email, "OK")
    assert (provider_of(held).name == "harbor") is ours


def test_a_password_for_a_harbor_is_registered_with_a_hint_at_this_provider(harbor: World) -> None:
    robot = state_of(harbor).robots[1]
    harbor.passwords.append(robot.secret)
    server = ("--server", f"https://{HOST}/v1/", "--username", "robot$shop+ci", "--image", IMAGE)
    done = harbor.run(
        "onboard", "private", *server, "--password-stdin", "--yes", stdin=robot.secret, env=NO_TARGET
    )
    assert done.code == 0, done.text
    assert "`pullkey onboard harbor` creates a key" in done.err


def test_no_hint_for_another_registry(private: World) -> None:
    assert "pullkey onboard harbor" not in onboard_with_password(private).err


# -- what is seen later --------------------------------------------------------------------------------------


def test_without_a_login_the_record_is_believed_and_that_is_reported(harbor: World) -> None:
    onboard(harbor)
    again = harbor.onboard("--output", "json")
    assert again.json["result"] == "unchanged", again.text
    assert "not checked at Harbor" in again.json["steps"][0]["reason"]
    listed = harbor.run("list")
    assert listed.code == 0
    assert "no login was supplied" in listed.out


def test_a_list_shows_the_account_where_a_login_is_supplied(harbor: World) -> None:
    onboard(harbor)
    file = harbor.place / "registries.yaml"
    target = f"provider: harbor, registry: {HOST}, project: shop, user: jo, login: 'env:HARBOR_LOGIN'"
    file.write_text(f"version: 1\ntargets:\n  - {{{target}}}\n")
    env = {"HARBOR_LOGIN": PASSWORD}
    seen = harbor.run("list", "-f", str(file), "--output", "json", env=env).json["targets"][0]["credential"]
    (robot,) = our_robots(harbor)
    assert (seen["state"], seen["key_id"]) == ("ok", f"robot-{robot.number}-{robot.stored[-12:]}")
    state_of(harbor).prefix = "bot$"
    renamed = harbor.run("list", "-f", str(file), "--check", env=env)
    assert renamed.code == 5
    assert "is named bot$shop+pullkey-" in renamed.out


def test_a_source_that_is_not_set_is_reported_and_prevents_no_list(harbor: World) -> None:
    onboard(harbor)
    file = harbor.place / "registries.yaml"
    target = f"provider: harbor, registry: {HOST}, project: shop, user: jo, login: 'env:NOT_SET'"
    file.write_text(f"version: 1\ntargets:\n  - {{{target}}}\n")
    listed = harbor.run("list", "-f", str(file))
    assert listed.code == 0, listed.text
    assert "env:NOT_SET" in listed.text
    again = harbor.run("apply", "-f", str(file), "--yes")
    assert again.code == 0, again.text
    assert len(our_robots(harbor)) == 1


def test_a_credential_is_verified_by_its_own_user_name(harbor: World) -> None:
    onboard(harbor)
    verify = ("verify", NAME, "--image", IMAGE, "--credential-stdin")
    good = harbor.run(*verify, stdin=harbor.held(NAME).password)
    assert (good.code, "reads the manifest" in good.text) == (0, True), good.text
    wrong = harbor.run(*verify, stdin="Wrong-password-1")
    assert wrong.code == 5, wrong.text
    assert f"{HOST} refuses" in wrong.err or "does not pull" in wrong.err


def test_an_import_is_a_file_that_apply_takes(harbor: World) -> None:
    onboard(harbor)
    file = harbor.place / "registries.yaml"
    imported = harbor.run("import", "shop", "--to", str(file))
    assert imported.code in (0, 5), imported.text
    text = file.read_text()
    assert f"- provider: harbor\n    registry: {HOST}\n    project: shop\n    user: jo\n" in text
    applied = harbor.run("apply", "-f", str(file), "--yes")
    assert applied.code == 0, applied.text
    assert "unchanged" in applied.text or "nothing" in applied.text.lower()


def test_a_doctor_checks_the_harbor_that_is_set(harbor: World) -> None:
    done = harbor.run("doctor", "harbor", "--output", "json")
    checks = {one["what"]: one for one in done.json["checks"] if one["about"] == "harbor"}
    assert checks.keys() == {"API", "clock", "registry", "login"}
    assert checks["API"]["good"] is True
    assert checks["registry"]["good"] is True
    bare = harbor.run("doctor", "harbor", "--output", "json", env=NO_TARGET)
    assert [one["good"] for one in bare.json["checks"] if one["about"] == "harbor"] == [None, None]


def test_two_projects_of_one_harbor_are_two_credentials(harbor: World) -> None:
    """Neither is taken for the other's key, though both are of one host."""
    state_of(harbor).projects[2].members["jo"] = "projectAdmin"
    assert onboard(harbor).code == 0
    assert onboard(harbor, "--project", "press", env={"PULLKEY_HARBOR_IMAGE": ""}).code == 0
    press = "harbor-sandbox-example-press"
    assert harbor.held(press).username.startswith("robot$press+")
    gone = later(harbor, "offboard", press)
    assert gone.code == 0, gone.text
    assert harbor.names() == [NAME]
    assert [one.stored.partition("+")[0] for one in our_robots(harbor)] == ["shop"]


# -- pulls ---------------------------------------------------------------------------------------------------


def test_what_akka_holds_pulls_until_the_account_is_deleted(harbor: World) -> None:
    onboard(harbor)
    held = harbor.held(NAME)
    assert pulls(harbor.running.environment, held, patience=0)
    assert later(harbor, "rotate", NAME, "--keep-old", "0").code == 0
    assert not pulls(harbor.running.environment, held, patience=0)
    assert pulls(harbor.running.environment, harbor.held(NAME), patience=0)


@pytest.fixture
def stored() -> Iterator[World]:
    for world in make_world("harbor", images=DistributionImages()):
        world.passwords.append(PASSWORD)
        yield world


@pytest.mark.needs_debian
def test_skopeo_copies_the_image_until_the_account_is_disabled(stored: World, tmp_path: Path) -> None:
    done = onboard(stored)
    assert done.code == 0, done.text
    first = stored.held(NAME)
    assert _copied(stored, tmp_path / "first", first.username, first.password)

    assert later(stored, "rotate", NAME).code == 0
    second = stored.held(NAME)
    assert _copied(stored, tmp_path / "second", second.username, second.password)
    assert not _copied(stored, tmp_path / "third", first.username, first.password)


def _copied(world: World, into: Path, username: str, password: str) -> bool:
    """Whether `skopeo copy` gets the image, from the registry's own port."""
    into.mkdir()
    host = f"127.0.0.1:{world.cloud.port}"
    env = {**os.environ, **world.running.environment}
    auth = ["--authfile", str(into / "auth.json")]
    login = subprocess.run(
        ["skopeo", "login", *auth, "--username", username, "--password-stdin", host],
        env=env,
        input=password,
        capture_output=True,
        text=True,
        check=False,
    )
    copy = subprocess.run(
        [
            "skopeo",
            "copy",
            "--src-" + auth[0][2:],
            auth[1],
            f"docker://{host}/shop/checkout:1.0",
            f"dir:{into}/image",
        ],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return login.returncode == 0 and copy.returncode == 0
