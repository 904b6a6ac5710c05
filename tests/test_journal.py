"""Whatever stands in the journal's file, and whatever becomes of its directory, nobody's key is lost or
left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import errno
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.errors import TargetBusy
from bootstrap.engine.handoff import HandoffStep
from bootstrap.engine.journal import Journal, Record, journal_of
from bootstrap.engine.recovery import Recovery
from bootstrap.engine.reporter import quiet
from bootstrap.engine.result import Result
from bootstrap.engine.run import Run
from bootstrap.engine.transaction import Transaction
from bootstrap.files.private_directory import PrivateDirectory
from bootstrap.model.codes import Code
from bootstrap.model.errors import ProviderFault, PullkeyError, UsageProblem
from bootstrap.model.secret import Secret
from bootstrap.plugin.step import Done, Intent, Script, Step, StepStatus
from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import JOURNAL, Point, Victim, scene
from bootstrap.testing.harness.world import World

KEPT = {"run_id": "0123456789ab", "target": "gcr gcr.io", "command": "pullkey", "begun": "now", "entries": []}


@pytest.fixture(scope="module")
def lost() -> Iterator[tuple[Victim, Path]]:
    """A run that was killed, and the file of its journal."""
    with scene(fork_server(), "gcr", "onboard") as victim:
        assert victim.killed(Point("iam.CreateServiceAccountKey", 1, "after"))
        (path,) = _state(victim).rglob("*.json")
        yield victim, path


def _state(victim: Victim) -> Path:
    return Path(victim.life.world.running.environment["PULLKEY_STATE_DIR"])


def _mangled(whole: bytes) -> st.SearchStrategy[bytes]:
    """Anything at all; and what a disk, an editor or another version might make of a whole file."""
    document = json.loads(whole)
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )
    return st.one_of(
        st.binary(max_size=200),
        st.integers(0, len(whole) - 1).map(lambda end: whole[:end]),
        st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)).map(
            lambda at: whole[: at[0]] + bytes([whole[at[0]] ^ at[1]]) + whole[at[0] + 1 :]
        ),
        st.tuples(st.sampled_from(sorted(document)), values)
        .filter(lambda change: document[change[0]] != change[1])
        .map(lambda change: json.dumps({**document, change[0]: change[1]}).encode()),
        st.sampled_from(sorted(document)).map(
            lambda name: json.dumps({key: one for key, one in document.items() if key != name}).encode()
        ),
        values.map(lambda value: json.dumps(value).encode()),
        values.map(
            lambda value: json.dumps({**KEPT, "entries": [{"step": "key", "intent": value}]}).encode()
        ),
        st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\x00" * 4096, b"\xff\xfe{}"]),
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_does_not_say_what_was_written_is_one_sentence(
    data: st.DataObject, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        journal.about_to("key", {"account": "a", "before": ["b"], "at": 1})
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(data.draw(_mangled(path.read_bytes())))

    with pytest.raises(PullkeyError) as raised:
        journal.left_behind()
    assert str(path) in raised.value.what
    assert "\n" not in raised.value.what
    (told,) = Journal.all_left_behind(tmp_path)
    assert isinstance(told, PullkeyError)


def test_what_was_written_is_read_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    assert journal.left_behind() is None
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        first = journal.about_to("identity", {"account": "é"})
        second = journal.about_to("key", {"before": [], "grace": 86400.0})
        journal.has_made(second, {"key_id": "k"})
    again = Journal(tmp_path, "a place", "gcr gcr.io")
    assert again.left_behind() == journal.record
    journal.drop(first)
    record = again.left_behind()
    assert record is not None
    assert [entry.known for entry in record.entries] == [
        {"before": [], "grace": 86400.0, "key_id": "k", "answered": True}
    ]
    journal.end()
    assert again.left_behind() is None
    assert Journal.all_left_behind(tmp_path) == []
    journal.end()  # what is gone already is ended


def test_a_run_goes_on_with_what_an_earlier_one_left_in_the_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        entry = journal.about_to("identity", {})
        journal.begin("ba9876543210", "pullkey rotate")
        journal.about_to("key", {})
        record = journal.left_behind()
    assert record is not None
    assert (record.run_id, record.command) == ("ba9876543210", "pullkey rotate")
    assert [one.step for one in record.entries] == [entry.step, "key"]


def test_one_at_a_time_is_at_a_target_and_each_has_its_own_file(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path, "a place", "gcr gcr.io"), Journal(tmp_path, "another", "gcr gcr.io")
    with journal.locked():
        assert journal.descriptor is not None
        with (
            pytest.raises(TargetBusy, match="at work on a place on this machine"),
            Journal(tmp_path, "a place", "").locked(),
        ):
            pass
        with other.locked():
            journal.begin("0123456789ab", "pullkey onboard gcr")
            journal.about_to("identity", {})
            assert other.left_behind() is None
        # It is for nobody else to read, and no program that is started gets hold of it by itself.
        assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.*")} == {0o600}
        assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
        assert not os.get_inheritable(journal.descriptor)
    assert journal.descriptor is None
    with journal.locked():  # given back, though what was begun is still there
        record = journal.left_behind()
    assert record is not None
    with pytest.raises(PullkeyError, match="has this same Akka secret"):
        Journal(tmp_path, "a place", "gcr us.gcr.io").check_target(record)
    journal.check_target(record)
    assert Journal.all_left_behind(tmp_path) == [record]


def test_a_step_is_not_begun_whose_intent_cannot_be_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        first = journal.about_to("identity", {})
        open_files = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            journal.has_made(first, {"id": 1})
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files
        shutil.rmtree(tmp_path / "journal")
        (tmp_path / "journal").touch()
        with pytest.raises(PullkeyError, match="cannot be written"):
            journal.about_to("key", {})
        with pytest.raises(PullkeyError, match="cannot be written"):
            journal.has_made(first, {"id": 2})
        # What was made is known all the same, for its undo; what was not begun is not.
        assert journal.record is not None
        assert [entry.known for entry in journal.record.entries] == [{"id": 2, "answered": True}]
        journal.drop(first)
        assert journal.record.entries == []
        journal.end()


def test_what_is_not_json_ends_its_own_step_and_keeps_no_other_from_being_recorded(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        for intent in (
            {"at": dt.datetime.now(dt.UTC)},
            {"password": Secret("hunter2hunter2")},
            {"a": {1, 2}},
        ):
            with pytest.raises(ProviderFault, match="The step key names something that is not JSON"):
                journal.about_to("key", intent)
        key = journal.about_to("key", {"account": "a"})
        with pytest.raises(ProviderFault, match="not JSON"):
            journal.has_made(key, {"key_id": "abc123", "at": dt.datetime.now(dt.UTC)})
        journal.drop(journal.about_to("grant", {}))
        # What is known of it is enough to undo it, now or in the next run.
        assert key.known == {"account": "a", "key_id": "abc123", "answered": True}
        record = journal.left_behind()
    assert record is not None
    assert [one.known for one in record.entries] == [key.known]


def test_a_disk_that_is_full_after_the_registration_is_no_reason_to_undo_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    nobody: Any = SimpleNamespace(audit=lambda _: None, who="", note_login=AsyncMock())
    changes = Transaction(nobody, nobody, nobody, journal, nobody, nobody, nobody)

    async def end(step: Step) -> None:
        entry = await changes.begin(step)
        shutil.rmtree(tmp_path / "journal")
        (tmp_path / "journal").touch()
        try:
            await changes.done(step, entry, Done("it is done", {}))
        finally:
            (tmp_path / "journal").unlink()

    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        asyncio.run(end(_Handoff()))
        with pytest.raises(PullkeyError, match="cannot be written"):
            asyncio.run(end(_Other()))


class _Handoff(HandoffStep):
    def __init__(self) -> None:
        """Of no session."""

    def intent(self) -> Intent:
        return {}


class _Other(Step):
    name, title = "other", "Do something else"

    async def look(self) -> StepStatus:
        raise NotImplementedError

    async def do(self) -> Done:
        raise NotImplementedError

    def script(self) -> Script:
        raise NotImplementedError


# -- another version -----------------------------------------------------------------------------------------


HELD = {"name": "n", "server": "s", "username": "u", "email": "e", "status": "OK"}
LEFT = {"what": "key k", "command": "delete k"}


@pytest.mark.parametrize(
    ("step", "changed"),
    [
        ("record", {}),
        ("key", {"shards": 2}),
        ("key", {"intent": []}),
        ("key", {"left": [{**LEFT, "shards": 2}]}),
        ("key", {"left": [{"what": "key k", "command": None}]}),
        ("offboard", {"intent": {"held": {**HELD, "shards": 2}}}),
        ("offboard", {"intent": {"held": {**HELD, "email": None}}}),
        ("offboard", {"intent": {"credential": HELD}}),
    ],
)
def test_a_record_of_another_version_is_left_to_that_version(
    tmp_path: Path, step: str, changed: dict[str, Any]
) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr --image gcr.io/a/b")
        entry = journal.about_to(step, {"held": HELD})
        vars(entry).update(changed)
        vars(journal.record).update({"shards": 2} if step == "record" else {})
        journal.drop(journal.about_to("grant", {}))
        with pytest.raises(PullkeyError, match="has fields that this version does not know") as raised:
            journal.left_behind()
    assert raised.value.fix.endswith("pullkey onboard gcr --image gcr.io/a/b")
    assert [type(one) for one in Journal.all_left_behind(tmp_path)] == [PullkeyError]


def test_an_error_of_a_provider_in_a_cleanup_is_not_said_to_be_the_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def clear_up(*_: Any, **__: Any) -> None:
        raise KeyError("answer")

    monkeypatch.setattr(Recovery, "clear_up", clear_up)
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    stub: Any = SimpleNamespace(akka=None, reporter=quiet(), result=Result(), _remove_replaced=None)
    lost = Record(**{**KEPT, "command": "pullkey rotate n"})  # type: ignore[arg-type]
    with pytest.raises(PullkeyError, match=r"went wrong \(KeyError\), in the cleanup after") as raised:
        asyncio.run(Run._clear_up(stub, stub, journal, lost, None, secret_name="n", ask=False))
    assert raised.value.code is Code.UNEXPECTED
    assert "Run it again with --verbose, and report what it shows. Unless another version" in raised.value.fix
    assert raised.value.fix.endswith("with that version: pullkey rotate n")


def test_a_step_that_this_version_does_not_know_is_not_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    nobody: Any = SimpleNamespace(steps=[])
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        journal.about_to("webhook", {"id": "17"})
        lost = journal.left_behind()
        assert lost is not None
        recovery = Recovery(nobody, nobody, "acme", journal, quiet(), nobody)
        with pytest.raises(PullkeyError, match="has a step, 'webhook', that this version does not know"):
            asyncio.run(recovery.clear_up(lost, None))
        assert journal.left_behind() == lost


# -- file systems --------------------------------------------------------------------------------------------


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        pass
    monkeypatch.setattr("bootstrap.engine.journal.fcntl.flock", flock)
    with (
        pytest.raises(UsageProblem, match=r"cannot be written in .*lock \(No locks available\)") as raised,
        journal.locked(),
    ):
        pass
    assert "PULLKEY_STATE_DIR" in raised.value.fix
    assert not journal.at_work


def test_a_directory_that_cannot_be_synced_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(why, os.strerror(why))

    monkeypatch.setattr(os, "fsync", fsync)
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        why = errno.EINVAL  # of CIFS before Linux 4.17
        journal.about_to("key", {})
        why = errno.EIO
        with pytest.raises(PullkeyError, match="cannot be written"):
            journal.about_to("grant", {})


@settings(
    max_examples=8,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_run_that_finds_such_a_file_changes_nothing(data: st.DataObject, lost: tuple[Victim, Path]) -> None:
    _changes_nothing(data, *lost)


@pytest.mark.full
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_run_that_finds_any_such_file_changes_nothing(
    data: st.DataObject, lost: tuple[Victim, Path]
) -> None:
    _changes_nothing(data, *lost)


def _changes_nothing(data: st.DataObject, victim: Victim, path: Path) -> None:
    world, whole = victim.life.world, path.read_bytes()
    damaged = data.draw(_mangled(whole))
    there, changes = victim.life.there(), world.changes()
    try:
        path.write_bytes(damaged)
        ended = victim.run()
        assert path.read_bytes() == damaged
    finally:
        path.write_bytes(whole)
    assert ended.code == 1, ended.text
    (sentence,) = [line for line in ended.err.splitlines() if line.startswith("pullkey: ")]
    assert str(path) in sentence
    assert victim.life.there() == there
    assert world.changes() == changes


def test_whoever_offboards_is_told_of_such_a_file_too(lost: tuple[Victim, Path]) -> None:
    victim, path = lost
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-9])
        name = "europe-west1-docker-pkg-dev-acme-shop-containers"
        ended = victim.life.world.run("offboard", name, "--yes")
    finally:
        path.write_bytes(whole)
    assert ended.code == 1, ended.text
    assert f"cannot be read: {path}" in ended.err


# -- the directory goes away under a run ---------------------------------------------------------------------


class _DirectoryGoes(Fault):
    """In the middle of a call the journal's directory turns into something that cannot be written."""

    directory: Path

    def hits(self) -> bool:
        hit = super().hits()
        while hit and self.directory.is_dir():
            self.directory.rename(self.directory.with_name(f"gone-{uuid.uuid4()}"))
            with contextlib.suppress(IsADirectoryError):  # the product has just created it to write in it
                self.directory.touch()
        return hit


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("iam.CreateServiceAccount", marks=pytest.mark.full),
        pytest.param("artifactregistry.SetIamPolicy", marks=pytest.mark.full),
        "iam.CreateServiceAccountKey",
    ],
)
def test_a_journal_that_can_be_written_no_more_ends_the_run_and_nothing_is_left(call: str) -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        directory = _state(victim) / "journal"
        with _going(victim.life.world, directory, call):
            ended = victim.run()
        assert ended.code == 1, ended.text
        assert f"The journal cannot be written in {directory} any more" in ended.err
        assert victim.life.there() == victim.life.before, ended.text
        refused = victim.run()
        assert refused.code == 2, refused.text
        assert "PULLKEY_STATE_DIR" in refused.err
        directory.unlink()
        assert victim.run().code == 0


@pytest.mark.full
def test_a_journal_that_can_be_written_no_more_keeps_an_offboarding_from_beginning() -> None:
    with scene(fork_server(), "gcr", "offboard") as victim:
        there = victim.life.there()
        directory = _state(victim) / "journal"
        # It is asked once to find what stands behind the name, then to see what goes.
        with _going(victim.life.world, directory, "artifactregistry.GetIamPolicy", 2):
            ended = victim.run()
        assert ended.code == 1, ended.text
        assert "cannot be written" in ended.err
        assert victim.life.there() == there


@pytest.mark.full
def test_a_rotation_whose_journal_goes_leaves_akka_a_key_that_pulls() -> None:
    for call in ("iam.CreateServiceAccountKey", "akka.docker.add-credentials"):
        with scene(fork_server(), "gcr", "rotate") as victim:
            life = victim.life
            directory = _state(victim) / "journal"
            with _going(life.world, directory, call):
                ended = victim.run()
            if call == "akka.docker.add-credentials":
                assert ended.code == 0, ended.text  # Akka has the new key
            else:
                assert ended.code in (1, 6), ended.text
                assert "cannot be written" in ended.err
            directory.unlink()
            password = life.world.held(victim.name).password
            pulled = life.world.run("verify", victim.name, "--credential-stdin", stdin=password)
            assert "Pull verified" in pulled.err, ended.text + pulled.text


@contextlib.contextmanager
def _going(world: World, directory: Path, call: str, number: int = 1) -> Iterator[None]:
    fault = _DirectoryGoes(call, "slow", skips=number - 1)
    fault.directory = directory
    plan = world.running.sandbox.faults.faults
    plan.append(fault)
    yield
    assert fault.taken
    plan.remove(fault)


def test_a_killed_run_leaves_no_draft_that_is_taken_for_a_record() -> None:
    with scene(fork_server(), "private", "onboard") as victim:
        assert victim.killed(Point(JOURNAL, 1, "after"))
        (path,) = _state(victim).rglob("*.json")
        path.with_suffix(".new").write_bytes(path.read_bytes()[:20])
        ended = victim.run()
        assert ended.code == 0, ended.text
        assert "did not end" in ended.err


def test_a_record_that_changes_while_it_is_written_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step's intent is written in a thread while the answer to another step arrives."""
    tmp_path.chmod(0o700)
    one = Journal(tmp_path, "place", "target")
    one.begin("0123456789ab", "pullkey onboard")
    entry = one.about_to("key", {})
    dumps = json.dumps

    def answered_meanwhile(*arguments: Any, **how: Any) -> str:
        text = dumps(*arguments, **how)
        entry.made = {"key_id": "key-001"}
        return text

    monkeypatch.setattr(json, "dumps", answered_meanwhile)
    one.about_to("grant", {})
    monkeypatch.undo()
    lost = one.left_behind()
    assert lost is not None
    assert [it.step for it in lost.entries] == ["key", "grant"]


def test_the_records_of_others_are_read_once_for_all_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be hundreds, and a journal for each of thousands of targets."""
    tmp_path.chmod(0o700)

    def left(secret: str) -> None:
        with (journal := Journal(tmp_path, f"Akka's {secret} of acme/shop", "gcr gcr.io")).locked():
            journal.begin("0123456789ab", "pullkey")
            journal.about_to("key", {"key_id": secret})

    for number in range(20):
        left(f"pull-{number}")
    reads = []
    real = PrivateDirectory.read

    def read(self: PrivateDirectory, name: str) -> bytes | None:
        found = real(self, name)
        if found is not None:
            reads.append(name)
        return found

    monkeypatch.setattr(PrivateDirectory, "read", read)

    def found(secret: str) -> str | None:
        scope = AkkaScope("shop")
        record = journal_of(tmp_path, scope, secret, "gcr gcr.io").left_behind()
        return record.place if record is not None else None

    assert [found(f"other-{number}") for number in range(50)] == [None] * 50
    assert len(reads) <= 20
    # One that was written later, by whichever process, is found.
    left("other-7")
    assert found("other-7") == "Akka's other-7 of acme/shop"
    assert found("pull-3") == "Akka's pull-3 of acme/shop"
