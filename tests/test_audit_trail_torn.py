"""An audit trail on a full disk, and one that several processes write."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.akka.scope import AkkaScope
from bootstrap.cli.file_work import _end
from bootstrap.engine.audit_chain import verify
from bootstrap.engine.audit_log import Audited, Trail
from bootstrap.engine.audit_sinks import AuditFile
from bootstrap.fleet.registries import Registries
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.errors import UsageProblem
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME

TARGET = Audited("gcr", "gcr.io", lambda: AkkaScope("shop"), NAME)


def _record(trail: Trail, *whats: str) -> None:
    record = trail.of("0123456789ab", TARGET)
    for what in whats:
        record(Change("key", what, ChangeOutcome.DONE))


def _lines(path: Path) -> list[str]:
    """What a reader gets of each line that it can read."""
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line)["what"])
        except ValueError:
            found.append("torn")
    return found


def test_a_line_after_a_torn_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = Trail.open(path, "pullkey")
    _record(trail, "one", "two")
    trail.close()
    os.truncate(path, path.stat().st_size - 20)
    trail = Trail.open(path, "pullkey")
    _record(trail, "three", "four")
    trail.close()
    assert trail.lost == ""
    assert _lines(path) == ["one", "torn", "three", "four"]
    report = verify(path.read_bytes().splitlines(keepends=True))
    assert (report.mismatch, report.lines, report.torn) == (None, 4, [2])


def test_a_line_that_a_full_disk_tears_does_not_swallow_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    trail = Trail(file, "pullkey")
    real, room = os.write, 30

    def write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if descriptor != file.descriptor:
            return real(descriptor, data)
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real(descriptor, data[:room])
        room -= count
        return count

    monkeypatch.setattr(os, "write", write)
    _record(trail, "torn by the disk")
    assert trail.lost == "No space left on device"
    room = 10_000
    _record(trail, "there is room again")
    trail.close()
    assert _lines(path) == ["torn", "there is room again"]
    assert verify(path.read_bytes().splitlines(keepends=True)).mismatch is None


def test_lines_of_several_writers_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trails = [Trail.open(path, "pullkey") for _ in range(4)]
    threads = [
        threading.Thread(target=_record, args=(trail, *("x" * 500 for _ in range(50)))) for trail in trails
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for trail in trails:
        trail.close()
    assert _lines(path) == ["x" * 500] * 200
    assert verify(path.read_bytes().splitlines(keepends=True)).mismatch is None


@pytest.mark.parametrize("text", ["precious\n", "version: 1\n", '{"version": 1}\n'])
def test_what_is_no_trail_is_not_appended_to(tmp_path: Path, text: str) -> None:
    path = tmp_path / "registries.yaml"
    path.write_text(text)
    with pytest.raises(UsageProblem, match="is not an audit trail"):
        Trail.open(path, "pullkey")
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text", ["", "\n", '{"ti', '{"time": "2026-01-01T00:00:00"}\n', '{"ti\n{"time": "x"}\n']
)
def test_what_is_one_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text(text)
    Trail.open(path, "pullkey").close()


def test_a_change_that_is_not_in_the_trail_is_told_and_shows_in_the_exit_code(
    gcr: World, tmp_path: Path
) -> None:
    """The run is through; only its trail is not whole."""
    path = tmp_path / "audit.jsonl"
    path.write_text('{"time": "' + "x" * 5_000 + "\n")
    env = gcr.environment()

    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from bootstrap.engine.audit_log import Trail\n"
        "real = Trail._write\n"
        "def write(self, line):\n"
        "    before = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (5_100, before[1]))\n"
        "    real(self, line)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, before)\n"
        "Trail._write = write\n"
        "sys.argv = ['pullkey', *sys.argv[1:]]\n"
        "from bootstrap.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "onboard", "gcr", "--yes", "--audit", str(path), "--output", "json"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 1, done.stderr
    assert "Registered " in done.stderr
    assert f"Not all changes could be written to {path}: File too large." in done.stderr
    assert gcr.names() == [NAME]


def test_the_lines_are_synced_before_the_result_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems report only then that there was no room: a full quota on NFS, for example."""
    synced, full = [], False

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        if full:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", fsync)
    file = AuditFile(tmp_path / "audit.jsonl")
    trail = Trail(file, "pullkey")
    _record(trail, "one")
    assert synced == []
    trail.sync()
    assert (synced, trail.lost) == ([file.descriptor], "")
    full = True
    trail.close()
    assert trail.lost == os.strerror(errno.EDQUOT)

    full = False
    job: Any = SimpleNamespace(
        registries=Registries("it"),
        workspace=SimpleNamespace(
            scope=lambda entry: entry.scope,
            assembly=SimpleNamespace(trail=Trail.open(tmp_path / "audit.jsonl", "pullkey")),
        ),
        as_json=False,
        values={},
    )
    reported = []
    job.values["deliver"] = lambda _ends, complete: reported.append(complete)
    _end(job, "apply", [])
    full = True
    _end(job, "apply", [])
    assert reported == [True, False]
