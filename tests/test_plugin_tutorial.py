"""The tutorial of docs/providers.md: its code is the package in tests/demo_provider, and that works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.sandbox.akka import AkkaEmulator
from bootstrap.testing.harness.running_sandbox import RunningSandbox
from bootstrap.testing.harness.world import World
from tests.harness.demo_provider import DEMO, installed
from tests.harness.documents import ROOT
from tests.harness.plugins import imported_from

NAME = "registry-acme-example"


def test_its_code_is_that_of_the_package() -> None:
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    blocks = re.compile(r"^`acme-pullkey/([\w./]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    shown = dict(blocks.findall(page))
    files = [path for path in DEMO.rglob("*") if path.suffix in (".py", ".toml")]

    assert shown == {str(path.relative_to(DEMO)): path.read_text(encoding="utf-8") for path in files}


def test_the_provider_has_less_than_175_lines_of_code() -> None:
    """Beside its emulator; without blank lines and docstrings."""
    lines = [
        line.strip()
        for path in DEMO.rglob("*.py")
        if path.name != "emulator.py"
        for line in path.read_text(encoding="utf-8").splitlines()
    ]

    assert sum(bool(line) and not line.startswith(('"""', "#")) for line in lines) < 175


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(DEMO, tmp_path_factory.mktemp("demo"))


@pytest.fixture
def acme(place: Path) -> Iterator[World]:
    """A sandbox of Akka and of the Acme registry, for processes that find the package installed."""
    with imported_from(place):
        from acme_pullkey.emulator import AcmeEmulator  # type: ignore[import-not-found]

        with RunningSandbox({"akka": AkkaEmulator, "cloud": AcmeEmulator}) as running:
            akka = running.sandbox.emulators["akka"]
            assert isinstance(akka, AkkaEmulator)
            world = World(running, running.sandbox.emulators["cloud"], akka, "acme", anew=True)
            paths = [str(place), world.environment()["PYTHONPATH"]]
            world.extra["PYTHONPATH"] = os.pathsep.join(paths)
            try:
                yield world
                assert world.leaks() == []
            finally:
                world.close()
        for name in [one for one in sys.modules if one.partition(".")[0] == "acme_pullkey"]:
            del sys.modules[name]


def ours(acme: World) -> list[str]:
    """The robot accounts that pullkey created; beside them there is one of another user."""
    notes = {key_id: one["note"] for key_id, one in acme.cloud.robots.items()}
    assert list(notes.values()).count("of another user") == 1
    return [key_id for key_id, note in notes.items() if note != "of another user"]


def held(acme: World) -> str:
    """The key that Akka holds, by its e-mail; it is the one robot account there is of pullkey's."""
    (key_id,) = ours(acme)
    assert acme.held(NAME).email.endswith("registry.acme.example")
    assert key_id in acme.held(NAME).email
    return str(key_id)


def test_a_credential_from_onboarding_to_offboarding(acme: World) -> None:
    assert acme.onboard().code == 0
    first = held(acme)

    again = acme.onboard()
    assert again.code == 0
    assert "nothing was changed" in again.text
    assert held(acme) == first

    listed = acme.run("list", "--output", "json")
    assert listed.code == 0
    assert [(one["name"], one["provider"], one["state"]) for one in listed.json["credentials"]] == [
        (NAME, "acme", "ok")
    ]

    rotated = acme.run(
        "rotate", NAME, "--yes", "--keep-old", "0", "--image", "registry.acme.example/shop/checkout:1.0"
    )
    assert rotated.code == 0, rotated.text
    assert "Verified" in rotated.text
    assert held(acme) != first

    assert acme.run("verify", NAME).code == 0
    assert acme.run("offboard", NAME, "--yes").code == 0
    assert ours(acme) == []
    assert acme.names() == []


@pytest.mark.parametrize("fault", ["acme.CreateRobot=lost", "acme.CreateRobot=503", "acme.ListRobots=503"])
def test_a_fault_leaves_one_robot_account(acme: World, fault: str) -> None:
    acme.fault(fault)
    done = acme.onboard()

    assert done.code == 0, done.text
    held(acme)


def test_an_answer_that_is_not_as_documented_leaves_one_robot_account(acme: World) -> None:
    """It is as good as none: what it answers was done."""
    for fault in ("CreateRobot=types", "ListRobots=types", "CreateRobot=empty", "ListRobots=empty"):
        acme.fault(f"acme.{fault}")
    done = acme.onboard()
    assert done.code == 0, done.text
    first = held(acme)

    for fault in ("ListRobots=types", "DeleteRobot=types", "ListRobots=empty", "DeleteRobot=empty"):
        acme.fault(f"acme.{fault}")
    done = acme.run("rotate", NAME, "--yes", "--keep-old", "0", "--timeout", "20s")
    assert done.code == 0, done.text
    assert held(acme) != first


def test_a_failing_onboarding_leaves_none(acme: World) -> None:
    acme.fault("akka.docker.add-credentials=403*9")
    done = acme.onboard()

    assert done.code == 1, done.text
    assert ours(acme) == []


def test_without_a_login_nothing_is_created(acme: World) -> None:
    done = acme.onboard(env={"ACME_TOKEN_FILE": "/no/such/file"})

    assert done.code == 3, done.text
    assert "There is no login of registry.acme.example at /no/such/file" in done.text
    assert acme.changes() == []


def test_its_package_is_listed(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", "providers", "--output", "json"],
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    (acme,) = [one for one in json.loads(done.stdout)["providers"] if one["name"] == "acme"]

    assert (acme["distribution"], acme["version"], acme["hosts"], acme["problem"]) == (
        "acme-pullkey",
        "1.0.0",
        ["registry.acme.example"],
        None,
    )
    assert acme["installed_from"].endswith("demo_provider-source")
