"""`--processes N`: parts of a file in processes of their own, with one report, and signals that reach all."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.kill_points import descendants, wait_until
from bootstrap.testing.harness.world import World
from tests.harness.google_state import account

SHOP = "europe-west1-docker.pkg.dev/acme-shop"
BASE = "europe-west1-docker.pkg.dev/acme-images/base"
PROJECTS = ("acme-shop", "acme-images")


@pytest.fixture(autouse=True)
def both_projects(gcr: World) -> None:
    """The operator may set up registries in both projects."""
    state = gcr.cloud.state
    member = f"serviceAccount:{state.operator}"
    images = state.project("acme-images")
    images.policy.grant("roles/owner", member, since=state.now() - dt.timedelta(days=1))


def file_of(tmp_path: Path, *servers: str) -> str:
    path = tmp_path / "registries.yaml"
    targets = [f"  - {{provider: gcr, server: {one}, secret-name: s{n}}}" for n, one in enumerate(servers)]
    path.write_text("\n".join(["version: 1", "defaults: {akka-project: shop}", "targets:", *targets, ""]))
    return str(path)


def keys(gcr: World) -> int:
    emails = [f"akka-docker-reader@{project}.iam.gserviceaccount.com" for project in PROJECTS]
    return sum(len(found.user_keys()) for one in emails if (found := account(gcr, one)) is not None)


@contextmanager
def at_work(gcr: World, file: str) -> Iterator[subprocess.Popen[str]]:
    """An `apply` of two parts, each of which has created a key and waits until it pulls."""
    gcr.fault("registry.GetManifest=403*forever")
    arguments = ["apply", "-f", file, "--yes", "--processes", "2", "--timeout", "60s"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bootstrap", *arguments],
        env=gcr.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: keys(gcr) == 2, 40)
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_the_parts_of_a_file_end_in_one_report(gcr: World, tmp_path: Path) -> None:
    file = file_of(tmp_path, f"{SHOP}/containers", BASE, f"{SHOP}/tools")
    more = ("--yes", "--processes", "2", "--output", "json")

    done = gcr.run("apply", "-f", file, *more)

    assert done.code == 0, done.text
    Draft202012Validator(schemas()["fleet-apply"]).validate(done.json)
    assert [one["name"] for one in done.json["targets"]] == ["shop/s0", "shop/s1", "shop/s2"]
    assert {one["result"] for one in done.json["targets"]} == {"done"}
    assert done.err.count("3 targets: 3 done.") == 1
    assert "3 targets in 2 parts, 2 processes at a time." in done.err
    assert keys(gcr) == 3

    again = gcr.run("rotate", "-f", file, "--due", *more)

    assert again.code == 0, again.text
    assert {one["result"] for one in again.json["targets"]} == {"unchanged"}
    assert again.err.count("Everything is in place; nothing was changed.") == 1


def test_the_exit_code_is_that_of_all_targets(gcr: World, tmp_path: Path) -> None:
    file = file_of(tmp_path, f"{SHOP}/containers", "europe-west1-docker.pkg.dev/acme-nowhere/tools")

    done = gcr.run("apply", "-f", file, "--yes", "--processes", "2", env={"GITHUB_ACTIONS": "true"})

    assert done.code == 4, done.text
    assert "Not done: shop/s1. The same command does only what is left." in done.err
    (marked,) = [line for line in done.err.splitlines() if line.startswith("::")]
    assert marked.startswith(f"::error file={file},line=5,col=5::shop/s1: ")


def test_a_signal_has_every_part_roll_back(gcr: World, tmp_path: Path) -> None:
    file = file_of(tmp_path, f"{SHOP}/containers", BASE)
    with at_work(gcr, file) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert err.count("then rolling back each target at work") == 2
    assert keys(gcr) == 0
    assert gcr.names() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_if_the_first_process_is_killed_the_others_roll_back(gcr: World, tmp_path: Path) -> None:
    file = file_of(tmp_path, f"{SHOP}/containers", BASE)
    with at_work(gcr, file) as process:
        parts = descendants(process.pid)
        process.kill()
        process.wait(10)
        wait_until(lambda: keys(gcr) == 0, 40)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in parts), 40)


def test_a_part_that_is_killed_is_reported_and_stops_no_other(gcr: World, tmp_path: Path) -> None:
    file = file_of(tmp_path, f"{SHOP}/containers", BASE)
    with at_work(gcr, file) as process:
        parts = [pid for pid in descendants(process.pid) if os.getpgid(pid) == pid]
        os.kill(parts[0], signal.SIGKILL)
        gcr.running.sandbox.faults.faults.clear()
        _, err = process.communicate(timeout=60)

    assert process.returncode == 4, err
    assert "was killed (SIGKILL)" in err
    assert "2 targets: 1 done, 1 failed." in err
    # The next run cleans up after it.
    done = gcr.run("apply", "-f", file, "--yes", "--processes", "2")
    assert done.code == 0, done.text
    assert keys(gcr) == 2


@pytest.mark.parametrize("command", [("apply",), ("rotate", "--due")])
def test_it_cannot_ask(gcr: World, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = gcr.run(*command, "-f", file_of(tmp_path, f"{SHOP}/containers"), "--processes", "2")
    assert done.code == 2
    assert "--processes needs --yes" in done.err


def test_a_saved_plan_is_applied_as_a_whole(gcr: World, tmp_path: Path) -> None:
    done = gcr.run("apply", str(tmp_path / "today.plan"), "--yes", "--processes", "2")
    assert done.code == 2
    assert "--processes is for a file" in done.err


@pytest.mark.parametrize("audit", ["-", "syslog:", "syslog:127.0.0.1:514"])
@pytest.mark.parametrize("command", [("apply",), ("rotate", "--due")])
def test_an_audit_trail_of_several_processes_needs_a_file(
    gcr: World, tmp_path: Path, command: tuple[str, ...], audit: str
) -> None:
    file = file_of(tmp_path, f"{SHOP}/containers", BASE)

    done = gcr.run(*command, "-f", file, "--yes", "--processes", "2", "--audit", audit)

    assert done.code == 2, done.text
    assert f"--audit {audit} cannot be combined with --processes" in done.err
    assert "Pass a file to --audit" in done.err
    assert gcr.names() == []


def test_several_processes_write_one_chain_to_a_file(gcr: World, tmp_path: Path) -> None:
    file, trail = file_of(tmp_path, f"{SHOP}/containers", BASE), str(tmp_path / "changes.jsonl")

    done = gcr.run("apply", "-f", file, "--yes", "--processes", "2", "--audit", trail)

    assert done.code == 0, done.text
    assert gcr.run("audit", "verify", trail).code == 0
