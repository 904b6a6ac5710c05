"""Whatever stands in the place of `akka`: it ends in time, with all that it has started, and is read
within bounds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.akka import process as akka_process
from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.process import PrintedTooMuch, TookTooLong, run_group
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.journal import Journal
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import StepFailed
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.testing.harness.leak_scan import holds

PASSWORD = "correct-horse-battery-staple"


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def write(body: str) -> str:
        path = tmp_path / "akka"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return write


def run(program: str, *, seconds: float = 5.0, lock: int | None = None) -> akka_process.ProcessResult:
    return asyncio.run(run_group([program], env=os.environ, seconds=seconds, lock=lock))


def is_running(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_a_wrapper_that_takes_too_long_goes_with_all_that_it_started(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    """The wrapped program has the key in its arguments, and would register it later."""
    program = script(
        f"sh -c 'echo $$ > {tmp_path}/pid; sleep 60; echo registered > {tmp_path}/late'\necho done"
    )
    begin = time.monotonic()
    with pytest.raises(TookTooLong):
        run(program, seconds=1.0)
    assert time.monotonic() - begin < 5
    assert not is_running(tmp_path / "pid")


def test_what_holds_the_pipes_open_is_not_waited_for(script: Callable[[str], str], tmp_path: Path) -> None:
    program = script(f"sh -c 'echo $$ > {tmp_path}/pid; sleep 60' &\necho listed")
    begin = time.monotonic()
    assert run(program, seconds=30).out == b"listed\n"
    assert time.monotonic() - begin < 10


def test_what_is_left_running_does_not_keep_the_lock(script: Callable[[str], str], tmp_path: Path) -> None:
    program = script("setsid sleep 60 &\nsleep 60 &\necho registered")
    journal = Journal(tmp_path / "state", "one", "target")
    with journal.locked():
        run(program, lock=journal.descriptor)
    with Journal(tmp_path / "state", "one", "target").locked():
        pass


def test_more_output_than_can_be_kept_is_refused(
    script: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(akka_process, "OUTPUT_LIMIT", 100_000)
    with pytest.raises(PrintedTooMuch):
        run(script("while :; do echo 0123456789012345678901234567890123456789; done"))
    with pytest.raises(PrintedTooMuch):
        run(script("head -c 300000 /dev/zero >&2"))
    assert len(run(script("head -c 90000 /dev/zero")).out) == 90_000


def test_an_akka_that_prints_without_end_is_told_in_a_sentence(script: Callable[[str], str]) -> None:
    cli = AkkaCli(AkkaScope(), Deadline(20), lambda _: None, script('yes \'[{"name": "x"}]\''))
    with pytest.raises(StepFailed, match="printed more than 8 MiB and was stopped"):
        asyncio.run(cli.credentials())


@pytest.mark.parametrize("output", ["[" * 100_000, "[\n" * 100_000, '{"a":' * 100_000])
def test_an_answer_that_is_nested_without_end_is_not_read(
    script: Callable[[str], str], output: str, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text(output)
    cli = AkkaCli(AkkaScope(), Deadline(20), lambda _: None, script(f"cat {tmp_path}/out"))
    begin = time.monotonic()
    with pytest.raises(StepFailed, match="cannot read"):
        asyncio.run(cli.credentials())
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "says",
    [
        'echo "$*" >&2',
        'printf "{\\"auth\\": \\"%s\\"}" "$(printf %s "user:$PASSWORD" | base64 -w0)"',
        'printf %s "$PASSWORD" | od -An -tx1 | tr -d " \\n"',
    ],
)
def test_what_it_says_of_a_failure_holds_no_form_of_the_password(
    script: Callable[[str], str], says: str
) -> None:
    credential = Credential("https://r.example", "user", Secret(PASSWORD), KeyRef("a", "key123", "d"))
    program = script(
        f'for word; do case "$word" in --docker-password=*) PASSWORD="${{word#*=}}";; esac; '
        f"done\n{says}\nexit 1"
    )
    cli = AkkaCli(AkkaScope(), Deadline(20), lambda _: None, program)
    with pytest.raises(StepFailed) as failed:
        asyncio.run(cli.add_credentials("pull", credential))
    assert holds(failed.value.what.encode(), PASSWORD) == ""
    assert "<hidden>" in failed.value.what


def test_no_try_is_begun_that_cannot_end_in_time(script: Callable[[str], str], tmp_path: Path) -> None:
    program = script(
        f"echo x >> {tmp_path}/tries\necho 'rpc error: code = Unavailable desc = busy' >&2\nexit 1"
    )
    cli = AkkaCli(AkkaScope(), Deadline(1.5), lambda _: None, program)
    begin = time.monotonic()
    with pytest.raises(StepFailed):
        asyncio.run(cli.credentials())
    assert time.monotonic() - begin < 2.5
