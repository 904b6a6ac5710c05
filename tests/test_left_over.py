"""What a command leaves over is named by every later one, with what removes it, until it is seen to be
gone.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bootstrap.akka.scope import AkkaScope
from bootstrap.cli.listing import _show
from bootstrap.model.errors import ExitCode, exit_code_of_many
from bootstrap.testing.harness.world import World
from tests.harness.registries_file import CONTAINERS, TOOLS, TWO_TARGETS

ACCOUNT = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
SHOP = ("--akka-project", "shop")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registries.yaml"
    path.write_text(TWO_TARGETS)
    return path


def key_of(world: World, name: str) -> str:
    found: str = json.loads(world.held(name).password)["private_key_id"]
    return found


def works(world: World, key: str) -> bool:
    """Whether a key of the account is there and switched on."""
    found = world.cloud.state.account(ACCOUNT).keys.get(key)
    return found is not None and not found.disabled


def killed(world: World, when: str, *arguments: str) -> None:
    """A run that dies in the middle."""
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap.testing.harness.journal_crash", *arguments],
        env={**world.environment(), "PULLKEY_TEST_DIES": when},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    world.said += [done.stdout, done.stderr]
    world._remember_passwords()
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_name_of_which_only_left_overs_are_there_is_not_all_that_akka_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show([], ["gone"], AkkaScope("shop"))
    assert capsys.readouterr().out == "Akka has no credential named gone in Akka project shop.\n"
    _show([], [], AkkaScope("shop"))
    assert capsys.readouterr().out == "Akka has no registry credentials in Akka project shop.\n"


# -- one target ----------------------------------------------------------------------------------------------


def test_an_old_key_that_is_left_over_is_named_until_it_is_gone(gcr: World, tmp_path: Path) -> None:
    assert gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers", *SHOP).code == 0
    old = key_of(gcr, CONTAINERS)
    gcr.fault("iam.DisableServiceAccountKey=403*forever")
    trail = tmp_path / "audit.jsonl"
    done = gcr.run("rotate", CONTAINERS, "--yes", *SHOP, "--audit", str(trail))
    assert done.code == 6, done.text
    lines = [json.loads(line) for line in trail.read_text().splitlines()]
    assert [one["key_id"] for one in lines if one["outcome"] == "left over"] == [old]
    command = f"gcloud iam service-accounts keys delete {old} --iam-account={ACCOUNT}"
    for again in (
        ("rotate", "--all", "--due", "--yes", *SHOP),
        ("verify", CONTAINERS, *SHOP),
        ("list", "--check", *SHOP),
        ("list", *SHOP),
        ("list", CONTAINERS, *SHOP),
        ("report", "--html", str(tmp_path / "page.html"), *SHOP),
        ("onboard", "gcr", "--server", "europe-west1-docker.pkg.dev/acme-shop/containers", "--yes", *SHOP),
        ("plan", "gcr", "--server", "europe-west1-docker.pkg.dev/acme-shop/containers", *SHOP),
    ):
        told = gcr.run(*again)
        assert told.code == 6, (again, told.text)
        shown = (tmp_path / "page.html").read_text() if again[0] == "report" else told.text
        assert command in " ".join(shown.split()), (again, told.text)
        assert "Everything is in place" not in told.text, again
    doctor = gcr.run("doctor", "gcr", *SHOP)
    assert doctor.code == 3
    assert command in doctor.out
    assert works(gcr, old)
    gcr.running.sandbox.faults.faults.clear()
    done = gcr.run("rotate", "--all", "--due", "--yes", *SHOP)
    assert done.code == 0, done.text
    assert not works(gcr, old)
    for again in (("list", "--check", *SHOP), ("verify", CONTAINERS, *SHOP)):
        told = gcr.run(*again)
        assert told.code == 0, told.text
        assert command not in told.text


def test_a_left_over_key_that_somebody_has_deleted_by_hand_is_no_longer_named(gcr: World) -> None:
    assert gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers", *SHOP).code == 0
    old = key_of(gcr, CONTAINERS)
    gcr.fault("iam.DisableServiceAccountKey=403")
    assert gcr.run("rotate", CONTAINERS, "--yes", *SHOP).code == 6
    del gcr.cloud.state.account(ACCOUNT).keys[old]
    for again in (
        ("list", "--check", *SHOP),
        ("verify", CONTAINERS, *SHOP),
        ("rotate", "--all", "--due", "--yes", *SHOP),
    ):
        told = gcr.run(*again)
        assert told.code == 0, told.text
    assert "no run was left unfinished" in gcr.run("doctor", "gcr", *SHOP).out


def test_what_an_offboarding_leaves_over_is_gone_on_with(gcr: World) -> None:
    assert gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers", *SHOP).code == 0
    gcr.fault("iam.DeleteServiceAccount=403*forever")
    assert gcr.run("offboard", CONTAINERS, "--yes", *SHOP).code == 6
    command = f"gcloud iam service-accounts delete {ACCOUNT}"
    for again in (("offboard", CONTAINERS, "--yes", *SHOP), ("list", *SHOP), ("list", "--check", *SHOP)):
        told = gcr.run(*again)
        assert told.code == 6, (again, told.text)
        assert command in " ".join(told.text.split()), (again, told.text)
    gcr.running.sandbox.faults.faults.clear()
    done = gcr.run("offboard", CONTAINERS, "--yes", *SHOP)
    assert done.code == 0, done.text
    assert ACCOUNT not in gcr.cloud.state.projects["acme-shop"].accounts
    assert gcr.run("list", "--check", *SHOP).code == 0


def test_what_could_not_be_undone_is_still_named_after_the_next_run_has_succeeded(gcr: World) -> None:
    server = ("--server", "europe-west1-docker.pkg.dev/acme-shop/containers", *SHOP)
    gcr.fault("akka.docker.add-credentials=403")
    gcr.fault("iam.DeleteServiceAccountKey=403*forever")
    gcr.fault("iam.DeleteServiceAccount=403*forever")
    failed = gcr.onboard(*server)
    assert failed.code == 6, failed.text
    (lost,) = [key for key, one in gcr.cloud.state.account(ACCOUNT).keys.items() if not one.system_managed]
    for _ in range(2):
        told = gcr.onboard(*server)
        assert told.code == 6, told.text
        assert f"keys delete {lost}" in told.text
    assert gcr.run("list", *SHOP).code == 6
    gcr.running.sandbox.faults.faults.clear()
    assert gcr.onboard(*server).code == 0
    assert lost not in gcr.cloud.state.account(ACCOUNT).keys


# -- a file --------------------------------------------------------------------------------------------------


def test_in_a_file_what_is_left_over_wins_over_what_failed_and_is_not_forgotten(
    gcr: World, file: Path
) -> None:
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    old = [key_of(gcr, CONTAINERS), key_of(gcr, TOOLS)]
    gcr.fault("iam.DisableServiceAccountKey=403*forever")
    gcr.fault("akka.docker.add-credentials#2=403")
    done = gcr.run("rotate", "-f", str(file), "--yes", "--output", "json")
    assert done.code == 6, done.text
    assert done.json["exit_code"] == 6
    (kept,) = [one for one in done.json["targets"] if one["left_over"]]
    assert kept["result"] == "done"
    assert "failed" in {one["result"] for one in done.json["targets"]}
    left = next(key for key in old if key in kept["left_over"][0]["what"])
    command = f"gcloud iam service-accounts keys delete {left} --iam-account={ACCOUNT}"
    for again in (
        ("rotate", "-f", str(file), "--due", "--yes"),
        ("apply", "-f", str(file), "--yes"),
        ("plan", "-f", str(file)),
        ("plan", "-f", str(file), "--check"),
        ("list", "-f", str(file)),
        ("list", "-f", str(file), "--check"),
        ("report", "-f", str(file), "--html", str(file.with_suffix(".html"))),
    ):
        told = gcr.run(*again)
        assert told.code == 6, (again, told.text)
        if again[0] != "report":
            assert command in " ".join(told.text.split()), (again, told.text)
        assert "Everything is in place" not in told.text, again
    gcr.running.sandbox.faults.faults.clear()
    done = gcr.run("rotate", "-f", str(file), "--due", "--yes")
    assert done.code == 0, done.text
    assert not works(gcr, left)
    assert gcr.run("list", "-f", str(file), "--check").code == 0


def test_only_what_was_not_done_is_said_to_be_left_for_the_same_command(gcr: World, file: Path) -> None:
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    gcr.fault("iam.DisableServiceAccountKey=403")
    done = gcr.run("rotate", "-f", str(file), "--yes")
    assert done.code == 6, done.text
    assert "2 targets: 2 done." in done.err
    assert "Not done:" not in done.err
    assert "does only what is left" not in done.err, "all keys would be replaced once more"
    assert "1 target has something left over" in done.err


@pytest.mark.parametrize("single", [True, False])
def test_a_rotation_that_was_killed_is_gone_on_with(gcr: World, file: Path, single: bool) -> None:
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    old = key_of(gcr, CONTAINERS)
    what = (CONTAINERS, *SHOP) if single else ("-f", str(file), "--only", CONTAINERS)
    # The last writing before the old key is taken out of use: Akka has the new one.
    killed(gcr, "after 6", "rotate", *what, "--yes")
    assert key_of(gcr, CONTAINERS) != old
    assert works(gcr, old)
    again = ("rotate", "--all", "--due", *SHOP) if single else ("rotate", "-f", str(file), "--due")
    told = gcr.run("list", *(SHOP if single else ("-f", str(file))), "--check")
    assert told.code == 5, told.text
    assert "did not end" in told.text
    assert gcr.run("plan", "-f", str(file), "--check").code == 5
    done = gcr.run(*again, "--yes")
    assert done.code == 0, done.text
    assert not works(gcr, old)
    assert "Everything is in place" not in done.text or single
    assert gcr.run("list", *SHOP, "--check").code == 0


def test_a_wrong_login_of_akkas_for_all_targets_is_a_preflight_that_failed(gcr: World, file: Path) -> None:
    for arguments in (
        ("apply", "-f", str(file), "--yes"),
        ("rotate", "-f", str(file), "--due", "--yes"),
        ("plan", "-f", str(file)),
    ):
        gcr.fault("akka.projects.get=403*forever")
        done = gcr.run(*arguments, env={"AKKA_TOKEN": "wrong"})
        assert done.code == 3, (arguments, done.text)
        assert gcr.changes() == []


def test_what_a_file_removes_and_leaves_over_is_gone_on_with(gcr: World, file: Path) -> None:
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    gcr.fault("iam.DeleteServiceAccount=403*forever")
    assert gcr.run("offboard", "-f", str(file), "--all", "--yes").code == 6
    for again in (("offboard", "-f", str(file), "--all", "--yes"),):
        told = gcr.run(*again)
        assert told.code == 6, told.text
        assert f"gcloud iam service-accounts delete {ACCOUNT}" in told.text
    gcr.running.sandbox.faults.faults.clear()
    assert gcr.run("offboard", "-f", str(file), "--all", "--yes").code == 0
    assert ACCOUNT not in gcr.cloud.state.projects["acme-shop"].accounts


# -- the rule ------------------------------------------------------------------------------------------------

DONE, FAILED, USAGE, REFUSED, SOME, DRIFT, LEFT, CUT = (
    ExitCode.DONE,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.REFUSED,
    ExitCode.SOME_FAILED,
    ExitCode.DRIFT,
    ExitCode.LEFT_OVER,
    ExitCode.INTERRUPTED,
)


@pytest.mark.parametrize(
    ("codes", "together"),
    [
        ([], DONE),
        ([DONE, DONE], DONE),
        ([FAILED], FAILED),
        ([FAILED, DONE], SOME),
        ([FAILED, FAILED], SOME),
        ([REFUSED, REFUSED], REFUSED),
        ([REFUSED, DONE], SOME),
        ([REFUSED, FAILED], SOME),
        ([USAGE, USAGE], USAGE),
        ([DRIFT, DONE], DRIFT),
        ([DRIFT, FAILED], SOME),
        ([DRIFT, REFUSED], SOME),
        ([LEFT, FAILED, REFUSED, DRIFT], LEFT),
        ([CUT, LEFT], LEFT),
        ([CUT, FAILED], CUT),
    ],
)
def test_how_many_targets_end_together(codes: list[Any], together: ExitCode) -> None:
    assert exit_code_of_many(codes) is together
