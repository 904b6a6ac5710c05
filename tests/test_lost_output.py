"""stderr or stdout is lost in the middle of a run: a closed pipe, a full disk, a terminal that is gone."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World
from tests.harness.fleet_sandbox import fleet
from tests.harness.google_state import NAME, cloud_picture

FULL = "/dev/full"


@contextlib.contextmanager
def closed_pipe() -> Iterator[int]:
    """A pipe that nobody reads: the first write is EPIPE, as after `| head` has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextlib.contextmanager
def full_disk() -> Iterator[int]:
    writer = os.open(FULL, os.O_WRONLY)
    yield writer
    os.close(writer)


@contextlib.contextmanager
def lost_terminal() -> Iterator[int]:
    """A terminal whose window was closed: it still is a terminal, and writing to it is EIO."""
    master, terminal = pty.openpty()
    os.close(master)
    yield terminal
    os.close(terminal)


@contextlib.contextmanager
def closed() -> Iterator[None]:
    """`2>&-`"""
    yield None


WAYS = [closed_pipe, full_disk, lost_terminal, closed]
Way = Callable[[], contextlib.AbstractContextManager[int | None]]


def run(env: dict[str, str], lost: int, way: Way, *arguments: str) -> tuple[int, str]:
    """Run the command with one of its streams lost; its exit code, and what it said on the other."""
    with way() as stream:
        other = 3 - lost
        # By a shell: to run Python between fork and exec is not safe beside the emulators' threads.
        closing = ["sh", "-c", f'exec "$@" {lost}>&-', "sh"] if stream is None else []
        done = subprocess.run(
            [*closing, sys.executable, "-m", "bootstrap", *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if other == 1 else stream,
            stderr=subprocess.PIPE if other == 2 else stream,
            text=True,
            timeout=120,
            check=False,
        )
    return done.returncode, (done.stdout if other == 1 else done.stderr)


def journals(world: World) -> list[str]:
    directory = Path(world.running.environment["PULLKEY_STATE_DIR"], "journal")
    return [path.name for path in directory.glob("*.json")]


ONBOARD = ("onboard", "gcr", "--yes", "--timeout", "20s")


@pytest.mark.parametrize("way", WAYS)
def test_a_run_goes_on_without_stderr(gcr: World, way: Way) -> None:
    before = cloud_picture(gcr)
    env = gcr.environment()

    code, out = run(env, 2, way, *ONBOARD, "--output", "json")
    assert (code, json.loads(out)["result"]) == (0, "done")
    first = gcr.held(NAME)
    code, out = run(
        env, 2, way, "rotate", NAME, "--yes", "--keep-old", "0", "--overlap", "0s", "--output", "json"
    )
    assert (code, json.loads(out)["results"][0]["result"]) == (0, "done")
    assert gcr.held(NAME).password != first.password
    code, _ = run(env, 2, way, "offboard", NAME, "--yes")
    assert code == 0
    assert (cloud_picture(gcr), gcr.names(), journals(gcr)) == (before, [], [])


@pytest.mark.parametrize("way", WAYS)
def test_a_failing_run_is_undone_without_stderr(gcr: World, way: Way) -> None:
    before = cloud_picture(gcr)
    gcr.fault("akka.docker.add-credentials=403*forever")
    code, _ = run(gcr.environment(), 2, way, *ONBOARD)
    assert code == 1
    assert (cloud_picture(gcr), gcr.names(), journals(gcr)) == (before, [], [])


@pytest.mark.parametrize("way", [closed_pipe, full_disk])
def test_a_file_is_applied_without_stderr(way: Way) -> None:
    with fleet(3, SandboxSettings()) as (running, file):
        env = running.process_environment()
        code, out = run(env, 2, way, "apply", "-f", str(file), "--yes", "--output", "json")
        assert (code, {one["result"] for one in json.loads(out)["targets"]}) == (0, {"done"})


def test_what_a_full_disk_takes_from_stdout_is_an_error_and_the_run_stays_done(gcr: World) -> None:
    env = gcr.environment()
    code, err = run(env, 1, full_disk, *ONBOARD, "--output", "json")
    assert code == 1
    assert "Registered " in err
    assert "pullkey: Not all of the output could be written to stdout: No space left on device." in err
    assert (gcr.names(), journals(gcr)) == ([NAME], [])
    code, err = run(env, 1, closed, "list", "--output", "json")
    assert code == 1
    assert "could be written to stdout: Bad file descriptor" in err
    # Nothing was to be printed there.
    assert run(env, 1, closed, "offboard", NAME, "--yes")[0] == 0


def test_a_full_stdout_does_not_hide_how_a_run_ended(gcr: World) -> None:
    gcr.fault("akka.docker.add-credentials=403*forever")
    gcr.fault("iam.DeleteServiceAccountKey=403*forever")
    code, err = run(gcr.environment(), 1, full_disk, *ONBOARD, "--output", "json")
    assert code == 6
    assert "could not be written" not in err.partition("Not all of the output")[0]
    assert "Not all of the output could be written to stdout" in err


def test_a_reader_who_has_seen_enough_is_no_error_and_no_success_either(gcr: World) -> None:
    env = gcr.environment()
    assert run(env, 1, closed_pipe, *ONBOARD, "--output", "json")[0] == 0
    gcr.fault("akka.docker.add-credentials=403*forever")
    assert run(env, 1, closed_pipe, *ONBOARD, "--new-key", "--output", "json")[0] == 1


def test_no_stream_at_all_is_no_error_of_a_run(gcr: World) -> None:
    """Daemons and cron start programs like this; a file that is opened must not become stdout."""
    shell = f"exec {sys.executable} -m bootstrap {' '.join(ONBOARD)} 0<&- 1>&- 2>&-"
    done = subprocess.run(["sh", "-c", shell], env=gcr.environment(), timeout=120, check=False)
    assert done.returncode == 0
    assert (gcr.names(), journals(gcr)) == ([NAME], [])


def test_a_question_that_nobody_can_see_is_not_answered(gcr: World) -> None:
    shell = f"exec {sys.executable} -m bootstrap onboard gcr 0<&- 2>&-"
    done = subprocess.run(["sh", "-c", shell], env=gcr.environment(), timeout=120, check=False)
    assert done.returncode == 2
    assert gcr.changes() == []
