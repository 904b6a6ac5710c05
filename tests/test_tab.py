"""What the shell offers on Tab, and that it is never kept waiting or shown an error."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.command import pullkey
from tests.harness.google_state import NAME

GOOGLE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"


def offered(world: World, *words: str) -> list[str]:
    """What bash is told for the last word."""
    line = " ".join(("pullkey", *words))
    done = world.run(
        env={"_PULLKEY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    )
    assert done.err == ""
    return [line.partition(",")[2] for line in done.out.splitlines() if line]


class TestNames:
    def test_of_credentials(self, gcr: World) -> None:
        assert gcr.onboard().code == 0
        for command in ("rotate", "offboard", "list", "verify"):
            assert NAME in offered(gcr, command, "euro")
        assert offered(gcr, "rotate", "nothing-like-it") == []

    def test_of_another_project(self, gcr: World) -> None:
        assert offered(gcr, "rotate", "--akka-project", "billing", "docker") == ["docker-credentials"]

    def test_of_projects_and_services(self, gcr: World) -> None:
        gcr.akka.projects["shop"].services["checkout"] = GOOGLE
        assert offered(gcr, "rotate", "--akka-project", "b") == ["billing"]
        assert offered(gcr, "verify", "--service", "ch") == ["checkout"]

    def test_of_registries(self, gcr: World) -> None:
        gcr.akka.projects["shop"].services["checkout"] = GOOGLE
        assert GOOGLE in offered(gcr, "onboard", "europe")
        assert GOOGLE in offered(gcr, "onboard", "gcr", "--server", "europe")
        assert "gcr" in offered(gcr, "onboard", "g")

    def test_options_are_offered_as_before(self, gcr: World) -> None:
        assert "--keep-old" in offered(gcr, "rotate", "--keep")
        assert "--service-account" in offered(gcr, "onboard", GOOGLE, "--ser")

    def test_what_a_shell_would_take_for_something_else_is_not_offered(self, gcr: World) -> None:
        gcr.akka.projects["shop"].services.update({"$(reboot)": GOOGLE, "a b": GOOGLE, "fine": GOOGLE})
        assert offered(gcr, "verify", "--service", "") == ["fine"]


@pytest.mark.parametrize(
    "script", ["sleep 60", "exit 1", "echo nonsense", "echo '[[[['", "yes | head -c 100000", "printf '\\377'"]
)
def test_an_akka_cli_that_misbehaves_is_no_error_and_no_wait(tmp_path: Path, script: str) -> None:
    akka = tmp_path / "akka"
    akka.write_text(f"#!/bin/sh\n{script}\n")
    akka.chmod(0o755)
    begin = time.monotonic()
    for command in ("rotate", "onboard", "verify"):
        done = pullkey(
            _PULLKEY_COMPLETE="bash_complete",
            COMP_WORDS=f"pullkey {command} x",
            COMP_CWORD="2",
            PULLKEY_AKKA_CLI=str(akka),
        )
        assert (done.stdout.strip(), done.stderr) == ("", "")
    assert time.monotonic() - begin < 40


def test_an_image_that_cannot_be_one_is_no_error_either() -> None:
    done = pullkey(
        _PULLKEY_COMPLETE="bash_complete",
        COMP_WORDS="pullkey onboard gcrr --ser",
        COMP_CWORD="3",
        PULLKEY_AKKA_CLI="/nowhere",
    )
    assert done.stderr == ""
