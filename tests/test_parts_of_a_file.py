"""How `--processes N` reports parts whose processes end early: each target is reported, and none as not begun
that may have been changed.
"""

from __future__ import annotations

import fcntl
import json
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bootstrap.testing.harness.kill_points import wait_until


def started(tmp_path: Path, *parts: str, failing_forks: Sequence[int] = ()) -> subprocess.Popen[str]:
    """The command for a file whose parts do this."""
    file = tmp_path / "registries.yaml"
    targets = [
        f"  - {{provider: gcr, server: europe-west1-docker.pkg.dev/acme-{n}/images, secret-name: s{n}}}"
        for n in range(len(parts))
    ]
    file.write_text("\n".join(["version: 1", "defaults: {akka-project: shop}", "targets:", *targets, ""]))
    does = json.dumps({f"s{n}": one for n, one in enumerate(parts)})
    command = ["apply", "-f", str(file), "--yes", "--processes", "2", "--output", "json"]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.harness.parts_at_work", does, json.dumps(failing_forks), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*given: Any, **more: Any) -> tuple[int, dict[str, dict[str, Any]], str]:
    """The exit code, the targets of the report by Akka secret, and stderr."""
    with started(*given, **more) as process:
        out, err = process.communicate(timeout=60)
    assert out, err
    return process.returncode, {one["name"].split("/")[1]: one for one in json.loads(out)["targets"]}, err


def is_failed(target: dict[str, Any], how: str) -> None:
    assert target["result"] == "failed"
    assert target["error"]["code"] == "PK-RUN-UNFINISHED"
    assert how in target["error"]["what"]
    assert "may have changed" in target["error"]["what"]
    assert "Run it again" in target["error"]["fix"]


def test_a_process_that_is_killed_while_it_reports_costs_no_other_report(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "killed while it writes", "done")

    assert code == 4, err
    is_failed(targets["s0"], "was killed (SIGKILL)")
    assert targets["s1"]["result"] == "done"
    assert "Run it again: it cleans up first" in err


def test_after_a_signal_a_killed_part_is_not_reported_as_not_begun(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "killed", "interrupts the command")

    assert code == 4, err
    is_failed(targets["s0"], "was killed (SIGKILL)")
    assert targets["s1"]["result"] == "done"


def test_a_part_that_no_process_has_begun_is_not_begun(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "interrupts the command", "is interrupted at work", "done")

    assert code == 130, err
    assert targets["s0"]["result"] == "done"
    assert targets["s2"]["result"] == "not-begun"


def test_a_process_that_ends_without_a_report_may_have_changed_its_targets(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "exits", "done")

    assert code == 4, err
    is_failed(targets["s0"], "exit code 130")
    assert targets["s1"]["result"] == "done"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_after_the_targets_have_ended_loses_no_report(tmp_path: Path, name: str) -> None:
    code, targets, err = ended(tmp_path, name, "done")

    assert code == 0, err
    assert targets["s0"]["result"] == "done"


def test_a_signal_between_the_changes_and_their_report_loses_no_report(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "is interrupted after its changes", "done")

    assert code == 0, err
    assert targets["s0"]["result"] == "done"


def test_a_signal_before_a_part_changes_anything_leaves_it_not_begun(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "is interrupted before its changes", "done")

    assert code == 130, err
    assert targets["s0"]["result"] == "not-begun"
    assert targets["s1"]["result"] == "done"


def test_an_error_after_the_first_change_is_not_taken_for_one_before_it(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "fails after its changes", "done")

    assert code == 4, err
    is_failed(targets["s0"], "ValueError")


@pytest.mark.skipif(sys.platform != "linux", reason="a pipe has other limits")
def test_a_signal_while_the_report_is_printed_does_not_cut_it(tmp_path: Path) -> None:
    with started(tmp_path, "much", "much") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        reader = process.stdout.fileno()
        size = fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ)
        wait_until(lambda: _waiting_in(reader) >= size, 20)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _pending(process.pid, signal.SIGTERM), 20)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert [one["result"] for one in json.loads(out)["targets"]] == ["done", "done"]
    assert "No changes were made" not in err


def _waiting_in(pipe: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0])


def _pending(pid: int, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def test_if_no_process_can_be_started_the_part_begins_when_another_has_ended(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "done", "done", "done", failing_forks=[2])

    assert code == 0, err
    assert {one["result"] for one in targets.values()} == {"done"}


def test_if_no_process_can_be_started_at_all_the_part_fails_and_the_others_continue(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "done", "done", "done", failing_forks=[1])

    assert code == 4, err
    assert targets["s0"]["result"] == "failed"
    assert targets["s0"]["exit_code"] == 1
    assert "no process could be started" in targets["s0"]["error"]["what"].lower()
    assert [targets[name]["result"] for name in ("s1", "s2")] == ["done", "done"]
    assert "--processes" in err


def test_if_a_process_can_never_be_started_every_target_is_reported(tmp_path: Path) -> None:
    code, targets, err = ended(tmp_path, "done", "done", failing_forks=[1, 2])

    assert code in (1, 4), err
    assert {one["result"] for one in targets.values()} == {"failed"}
