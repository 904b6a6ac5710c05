"""The chain of an audit trail: what `pullkey audit verify` accepts, and the line that it names."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from bootstrap.akka.scope import AkkaScope
from bootstrap.cli.audit_verify import audit
from bootstrap.engine.audit_log import Audited, Trail
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.errors import UsageProblem
from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME

TARGET = Audited("gcr", "gcr.io", lambda: AkkaScope("shop", user="jo@acme.example"), NAME)
WRITER = """
import sys
from pathlib import Path
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.audit_log import Audited, Trail
from bootstrap.model.change import Change, ChangeOutcome
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    trail = Trail.open(Path(sys.argv[1]), "pullkey")
    take = trail.of("0123456789ab", Audited("gcr", "gcr.io", AkkaScope, "name"))
    take(Change("key", f"{sys.argv[2]}-{number} {'x' * 500}", ChangeOutcome.DONE))
    trail.close()
    sys.exit(1) if trail.lost else None
"""


def record(path: Path, *whats: str) -> None:
    trail = Trail.open(path, "pullkey onboard gcr")
    take = trail.of("0123456789ab", TARGET)
    for what in whats:
        take(Change("key", what, ChangeOutcome.DONE, who="jo@acme.example"))
    trail.close()
    assert trail.lost == ""


def verify(*files: Path | str, stdin: bytes = b"", more: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(
        audit, ["verify", *map(str, files), *more], input=stdin, standalone_mode=False, catch_exceptions=False
    )


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    path = tmp_path / "changes.jsonl"
    record(path, "one", "two")
    record(path, "three", "four", "five")
    return path


def test_lines_of_several_commands_are_one_chain(trail: Path) -> None:
    lines = trail.read_bytes().splitlines()
    assert json.loads(lines[0])["prev"] == "0" * 64
    for before, line in itertools.pairwise(lines):
        assert json.loads(line)["prev"] == hashlib.sha256(before).hexdigest()
    done = verify(trail)
    assert done.return_value == 0
    last = hashlib.sha256(lines[-1]).hexdigest()
    assert done.output == f"{trail}: verified 5 lines; SHA-256 of the last: {last}\n"


@pytest.mark.parametrize(
    ("line", "tamper"),
    [
        (3, lambda lines: lines[1].replace("two", "TWO").join([lines[0], "".join(lines[2:])])),
        (2, lambda lines: "".join([lines[0], *lines[2:]])),  # removed
        (1, lambda lines: "".join(lines[1:])),  # the first ones were removed
        (3, lambda lines: "".join([*lines[:2], lines[1], *lines[2:]])),  # repeated
        (2, lambda lines: "".join([lines[0], lines[2], lines[1], *lines[3:]])),  # in another order
        (3, lambda lines: "".join([*lines[:2], lines[2].replace('"prev"', '"other"'), *lines[3:]])),
        (3, lambda lines: "".join([*lines[:2], "something else\n", *lines[2:]])),
        (4, lambda lines: "".join([*lines[:2], '{"time": "2026\n', *lines[2:]])),  # as if it were torn
    ],
)
def test_the_first_line_that_does_not_fit_is_named(
    trail: Path, line: int, tamper: Callable[[list[str]], str]
) -> None:
    trail.write_text(tamper(trail.read_text().splitlines(keepends=True)))
    done = verify(trail)
    assert done.return_value == 5
    assert f"{trail}, line {line}: " in done.output


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,  # deeper than the parser goes
        '{"time": "2020-01-01T00:00:00", "prev": "' + "0" * 64 + '"}',  # no time zone
    ],
)
def test_a_line_of_somebody_else_s_is_named(trail: Path, tmp_path: Path, line: str) -> None:
    forged = tmp_path / "changes.jsonl.0"
    forged.write_text(f"{line}\n")
    done = verify(trail, forged)
    assert done.return_value == 5
    assert f"{forged}, line 1: " in done.output


def test_a_file_that_stays_locked_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a process that is stopped: not ten seconds for each line."""
    path = tmp_path / "changes.jsonl"
    waited: list[float] = []
    monkeypatch.setattr("bootstrap.engine.audit_sinks.time.sleep", waited.append)
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        record(path, "one", "two", "three")
    assert len(waited) == pytest.approx(1_000, abs=5)
    assert "verified 3 lines" in verify(path).output


def test_a_torn_line_is_named_and_still_covered(trail: Path) -> None:
    text = trail.read_bytes()
    trail.write_bytes(text[:-40])
    assert verify(trail).output.startswith(f"{trail}, line 5: torn;")
    record(trail, "after it")
    done = verify(trail)
    assert done.return_value == 0
    assert f"{trail}, line 5: torn;" in done.output
    assert "verified 6 lines" in done.output
    # What is left of it names the line before it, and the line after it covers it.
    trail.write_bytes(trail.read_bytes().replace(b'"four"', b'"FOUR"'))
    assert f"{trail}, line 5: its `prev`" in verify(trail).output


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    root = Path(__file__).parents[1]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for one in writers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    assert [one.wait(60) for one in writers] == [0, 0, 0]
    assert len(path.read_text().splitlines()) == 600
    assert verify(path).return_value == 0


def test_a_line_that_is_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    long = Trail.open(path, "pullkey " + "x" * 200_000)
    long.of("0123456789ab", TARGET)(Change("key", "one", ChangeOutcome.DONE))
    long.close()
    record(path, "two")
    assert verify(path).return_value == 0


class TestRotation:
    def test_a_command_that_is_running_goes_on_in_the_new_file(self, tmp_path: Path) -> None:
        path, old = tmp_path / "changes.jsonl", tmp_path / "changes.jsonl.1"
        trail = Trail.open(path, "pullkey apply")
        take = trail.of("0123456789ab", TARGET)
        for what in ("one", "two"):
            take(Change("key", what, ChangeOutcome.DONE))
        path.rename(old)
        for what in ("three", "four"):
            take(Change("key", what, ChangeOutcome.DONE))
        trail.close()
        assert trail.lost == ""
        assert [json.loads(line)["what"] for line in old.read_text().splitlines()] == ["one", "two"]
        assert [json.loads(line)["what"] for line in path.read_text().splitlines()] == ["three", "four"]
        done = verify(old, path)
        assert done.return_value == 0
        assert [line.partition(": ")[0] for line in done.output.splitlines()] == [str(old), str(path)]

    def test_a_line_is_not_lost_where_there_can_be_no_new_file(self, tmp_path: Path) -> None:
        path, old = tmp_path / "changes.jsonl", tmp_path / "changes.jsonl.1"
        trail = Trail.open(path, "pullkey apply")
        path.rename(old)
        path.mkdir()
        trail.of("0123456789ab", TARGET)(Change("key", "one", ChangeOutcome.DONE))
        trail.close()
        assert trail.lost == ""
        assert verify(old).return_value == 0

    def test_files_in_another_order_do_not_fit(self, tmp_path: Path) -> None:
        old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
        for path, year in ((old, 2025), (new, 2026)):
            record(path, "one")
            line = json.loads(path.read_text())
            path.write_text(json.dumps({**line, "time": f"{year}-01-01T00:00:00.000+00:00"}) + "\n")
        assert verify(old, new).return_value == 0
        done = verify(new, old)
        assert done.return_value == 5
        assert f"{old}, line 1: it is older than the first line of the file before it" in done.output

    def test_the_file_with_the_line_is_named(self, trail: Path, tmp_path: Path) -> None:
        old = tmp_path / "old.jsonl"
        trail.rename(old)
        record(trail, "six", "seven")
        trail.write_text(trail.read_text().replace("six", "SIX"))
        done = verify(old, trail)
        assert done.return_value == 5
        assert f"{old}: verified 5 lines" in done.output
        assert f"{trail}, line 2: " in done.output


def test_the_document(trail: Path) -> None:
    good = verify("-", stdin=trail.read_bytes(), more=("--output", "json"))
    trail.write_text(trail.read_text().replace("two", "TWO"))
    bad = verify(trail, more=("--output", "json"))
    for done in (good, bad):
        document = json.loads(done.output)
        Draft202012Validator(schemas()["audit-verify"]).validate(document)
        assert document["exit_code"] == done.return_value
    assert json.loads(good.output)["files"][0]["mismatch"] is None
    assert json.loads(bad.output)["files"][0]["mismatch"]["line"] == 3


def test_an_empty_trail(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    record(path)
    assert verify(path).output == f"{path}: empty\n"


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_what_cannot_be_read(trail: Path, name: str) -> None:
    with pytest.raises(UsageProblem, match="cannot be read"):
        verify(trail, trail.parent / name)


def test_what_a_run_writes_is_as_the_schema_says_and_fits(gcr: World, tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    assert gcr.onboard("--audit", str(path)).code == 0
    assert gcr.run("offboard", NAME, "--yes", "--audit", str(path)).code == 0
    for line in path.read_text().splitlines():
        Draft202012Validator(schemas()["audit"]).validate(json.loads(line))
    assert gcr.run("audit", "verify", str(path)).code == 0
    path.write_text(path.read_text().replace('"done"', '"failed"', 1))
    done = gcr.run("audit", "verify", str(path))
    assert done.code == 5
    assert f"{path}, line 2: " in done.out
