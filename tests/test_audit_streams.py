"""An audit trail on stdout, and in syslog."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine import audit_syslog
from bootstrap.engine.audit_chain import verify
from bootstrap.engine.audit_log import Audited, Trail
from bootstrap.engine.audit_syslog import AuditSyslog
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.errors import UsageProblem
from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME

TARGET = Audited("gcr", "gcr.io", lambda: AkkaScope("shop"), NAME)
# RFC 5424, section 6: PRI VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP NILVALUE SP MSG.
RFC_5424 = re.compile(
    rb"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 [!-~]{1,255} pullkey \d+ audit - (.*)",
    re.DOTALL,
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
        local.bind(str(tmp_path / "log"))
        local.settimeout(5)
        yield local


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as remote:
        remote.bind(("127.0.0.1", 0))
        remote.settimeout(5)
        yield remote


def record(address: str, *changes: Change, command: str = "pullkey onboard gcr") -> Trail:
    trail = Trail(AuditSyslog(address), command)
    take = trail.of("0123456789ab", TARGET)
    for change in changes:
        take(change)
    trail.close()
    return trail


def as_schema_says(line: bytes | str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(line)
    Draft202012Validator(schemas()["audit"]).validate(document)
    return document


class TestStdout:
    def test_stdout_holds_the_lines_and_nothing_else(self, gcr: World) -> None:
        done = gcr.onboard("--audit", "-")
        assert done.code == 0, done.text
        lines = done.out.splitlines()
        assert sorted(as_schema_says(line)["step"] for line in lines) == [
            "grant",
            "handoff",
            "identity",
            "key",
        ]
        assert verify(line.encode() + b"\n" for line in lines).mismatch is None

    def test_it_is_refused_beside_the_document(self, gcr: World, tmp_path: Path) -> None:
        file = tmp_path / "registries.yaml"
        file.write_text("version: 1\ntargets:\n  - {provider: gcr, server: gcr.io/acme-shop}\n")
        for command in ("onboard gcr", f"apply -f {file}", f"offboard {NAME}"):
            done = gcr.run(*command.split(), "--yes", "--audit", "-", "--output", "json")
            assert done.code == 2
            assert "--audit - and --output json would both write to stdout" in done.err
        assert gcr.changes() == []


class TestSyslog:
    def test_the_local_daemon_gets_one_line_a_message(self, tmp_path: Path, daemon: socket.socket) -> None:
        changes = [
            Change("key", "key ab\ncd ✓", ChangeOutcome.DONE),
            Change("key", "key ab", ChangeOutcome.LEFT_OVER),
        ]
        assert record(f"syslog:{tmp_path / 'log'}", *changes).lost == ""
        messages = [daemon.recv(65_536) for _ in changes]
        heads = [message.partition(b"{")[0] for message in messages]
        # authpriv.notice and authpriv.warning: facility 10, severities 5 and 4.
        assert [re.sub(rb"\d+\]", b"PID]", head) for head in heads] == [
            b"<85>pullkey[PID]: ",
            b"<84>pullkey[PID]: ",
        ]
        lines = [message[len(head) :] for message, head in zip(messages, heads, strict=True)]
        assert all(re.fullmatch(rb"[ -~]+", line) for line in lines)
        assert verify(line + b"\n" for line in lines).mismatch is None
        assert as_schema_says(lines[1])["outcome"] == "left over"

    def test_a_server_gets_messages_of_rfc_5424(self, server: socket.socket) -> None:
        port = server.getsockname()[1]
        assert record(f"syslog:127.0.0.1:{port}", Change("key", "key ab", ChangeOutcome.DONE)).lost == ""
        found = RFC_5424.fullmatch(server.recv(65_536))
        assert found
        assert found[1] == b"85"
        assert as_schema_says(found[2])["what"] == "key ab"

    def test_no_message_is_longer_than_every_receiver_accepts(self, server: socket.socket) -> None:
        port = server.getsockname()[1]
        long = Change("key", "✓" * 900, ChangeOutcome.DONE)
        record(f"syslog:127.0.0.1:{port}", long, long, command="pullkey onboard " + "x" * 3_000)
        lines = []
        for _ in range(2):
            message = server.recv(65_536)
            assert len(message) <= 2_048
            found = RFC_5424.fullmatch(message)
            assert found
            assert as_schema_says(found[2])["command"].endswith("...")
            lines.append(found[2] + b"\n")
        assert verify(lines).mismatch is None

    def test_a_daemon_that_hangs_does_not_hold_up_the_run(
        self, tmp_path: Path, daemon: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once the queue of its socket is full, a send blocks: signals would not be handled either."""
        monkeypatch.setattr(audit_syslog, "_PATIENCE_SECONDS", 0.01)
        trail = Trail(AuditSyslog(f"syslog:{tmp_path / 'log'}"), "pullkey rotate")
        take = trail.of("0123456789ab", TARGET)
        while not trail.lost:
            take(Change("key", "key ab", ChangeOutcome.DONE))
        assert trail.lost == "the daemon takes no messages"
        daemon.settimeout(0)
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines.append(b"{" + daemon.recv(65_536).partition(b"{")[2] + b"\n")
        take(Change("key", "key cd", ChangeOutcome.LEFT_OVER))  # it takes messages again
        lines.append(b"{" + daemon.recv(65_536).partition(b"{")[2] + b"\n")
        assert b"key cd" in lines[-1]
        assert verify(lines).mismatch is None

    def test_a_daemon_that_was_restarted_gets_the_next_line(
        self, tmp_path: Path, daemon: socket.socket
    ) -> None:
        trail = Trail(AuditSyslog(f"syslog:{tmp_path / 'log'}"), "pullkey")
        daemon.close()
        (tmp_path / "log").unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
            again.bind(str(tmp_path / "log"))
            again.settimeout(5)
            trail.of("0123456789ab", TARGET)(Change("key", "key ab", ChangeOutcome.DONE))
            assert b"key ab" in again.recv(65_536)
        assert trail.lost == ""

    def test_a_daemon_at_a_stream_gets_one_line_a_message(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local:
            local.bind(str(tmp_path / "stream"))
            local.listen()
            local.settimeout(5)
            changes = [
                Change("key", "key ab", ChangeOutcome.DONE),
                Change("key", "key cd", ChangeOutcome.DONE),
            ]
            assert record(f"syslog:{tmp_path / 'stream'}", *changes).lost == ""
            connection, _ = local.accept()
            with connection, connection.makefile("rb") as stream:
                received = stream.read().splitlines()
        assert [as_schema_says(one.partition(b": ")[2])["what"] for one in received] == ["key ab", "key cd"]

    def test_the_name_of_a_server_is_looked_up_once(
        self, server: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        changes = [Change("key", "key ab", ChangeOutcome.DONE)] * 2
        trail = record(f"syslog:log.acme.example:{server.getsockname()[1]}", *changes)
        assert (trail.lost, asked) == ("", ["log.acme.example"])
        assert RFC_5424.fullmatch(server.recv(65_536))

    def test_a_daemon_that_is_gone_is_reported(self, tmp_path: Path, daemon: socket.socket) -> None:
        trail = Trail(AuditSyslog(f"syslog:{tmp_path / 'log'}"), "pullkey")
        daemon.close()
        trail.of("0123456789ab", TARGET)(Change("key", "key ab", ChangeOutcome.DONE))
        assert trail.lost == "Connection refused"

    @pytest.mark.parametrize(
        ("address", "says"),
        [
            ("syslog:somewhere", "is not a valid address"),
            ("syslog:host:port", "is not a valid address"),
            ("syslog:127.0.0.1:99999", "is not a valid address"),
            ("syslog:/nowhere/log", "cannot be reached: No such file"),
        ],
    )
    def test_an_address_that_cannot_be_used(self, address: str, says: str) -> None:
        with pytest.raises(UsageProblem, match=says):
            AuditSyslog(address)

    def test_a_run_writes_there(self, gcr: World, tmp_path: Path, daemon: socket.socket) -> None:
        refused = gcr.onboard("--audit", f"syslog:{tmp_path / 'nowhere'}")
        assert refused.code == 2
        assert gcr.changes() == []
        done = gcr.onboard("--audit", f"syslog:{tmp_path / 'log'}")
        assert done.code == 0, done.text
        assert b'"step": "identity"' in daemon.recv(65_536)
