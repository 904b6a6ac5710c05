"""What an `akka` starts in a session of its own is reached too, and nothing of anybody else's is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap.akka import process_tree
from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import OutcomeUnknown, StepFailed
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret

PASSWORD = f"correct-horse-{os.getpid()}-staple"  # other tests run at the same time
# Each is started with the key in its arguments, waits, and registers then.
LATE = 'sh -c \'echo $$ > "$0/pid"; sleep 3; echo registered > "$0/late"\' {folder} "$@"'
DAEMONS = {
    "a session of its own": f"setsid {LATE} &\nsleep 60",
    "a daemon": f"(setsid {LATE} & )\nsleep 60",
    "without environment": f"(env -i PATH=$PATH setsid {LATE} & )\nsleep 60",
    "without its pipes": f"(setsid {LATE} >/dev/null 2>&1 </dev/null & )\nsleep 60",
    "the wrapper fails": f"(setsid {LATE} >/dev/null 2>&1 & )\nexit 1",
    "the wrapper ends": f"(setsid {LATE} >/dev/null 2>&1 & )\nexit 0",
}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[str], AkkaCli]]:
    """An `akka` that is this script; what it has left running is ended after the test."""

    def cli(body: str, seconds: float = 1.0) -> AkkaCli:
        program = tmp_path / "akka"
        program.write_text(f"#!/bin/sh\n{body.format(folder=tmp_path)}\n")
        program.chmod(0o755)
        return AkkaCli(
            AkkaScope(),
            Deadline(seconds),
            lambda _: None,
            str(program),
            lock=lambda: os.open(tmp_path, os.O_RDONLY),
        )

    yield cli
    if (tmp_path / "pid").exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def credential(password: str = PASSWORD) -> Credential:
    return Credential("https://r.example", "user", Secret(password), KeyRef("a", "key123", "d"))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def bearers(password: str) -> list[str]:
    """The processes that show the password in their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if password.encode() in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("body", DAEMONS.values(), ids=DAEMONS)
def test_what_left_the_group_does_not_register_after_the_end(
    started: Callable[[str], AkkaCli], tmp_path: Path, body: str
) -> None:
    with contextlib.suppress(StepFailed):  # however it ends
        asyncio.run(started(body).add_credentials("pull", credential()))
    pid = tmp_path / "pid"
    assert bearers(PASSWORD) == []
    assert not pid.exists() or not is_running(int(pid.read_text()))


def test_what_left_the_group_is_reached_without_the_key_in_its_arguments(
    started: Callable[[str], AkkaCli], tmp_path: Path
) -> None:
    body = '(printf %s "$*" | setsid sh -c \'echo $$ > "$0/pid"; cat; sleep 60\' {folder} & )\nsleep 60'
    with pytest.raises(OutcomeUnknown):
        asyncio.run(started(body).add_credentials("pull", credential()))
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_call_for_the_same_password_goes_on(tmp_path: Path, started: Callable[..., AkkaCli]) -> None:
    """Several projects may be given one password at the same time."""
    program = tmp_path / "other"
    program.write_text("#!/bin/sh\nsleep 1.5\necho registered\n")
    program.chmod(0o755)
    other = AkkaCli(
        AkkaScope(), Deadline(20), lambda _: None, str(program), lock=lambda: os.open(tmp_path, os.O_RDONLY)
    )

    async def both() -> tuple[BaseException | None, BaseException | None]:
        return await asyncio.gather(
            started("exit 1", 20).add_credentials("pull", credential()),
            other.add_credentials("pull", credential()),
            return_exceptions=True,
        )

    failed, registered = asyncio.run(both())
    assert isinstance(failed, StepFailed)
    assert registered is None


@pytest.mark.parametrize("password", ["1", "test", PASSWORD], ids=["one character", "a word", "a key"])
def test_a_process_of_somebody_elses_stays(started: Callable[[str], AkkaCli], password: str) -> None:
    """A short password may stand in any program's arguments."""
    bystander = subprocess.Popen(["/bin/sh", "-c", "sleep 30; true", password], start_new_session=True)
    try:
        with pytest.raises(OutcomeUnknown):
            asyncio.run(started("sleep 60").add_credentials("pull", credential(password)))
        assert bystander.poll() is None
    finally:
        os.killpg(bystander.pid, signal.SIGKILL)
        bystander.wait()


def test_it_is_found_where_there_is_no_proc(
    started: Callable[[str], AkkaCli], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_tree, "_PROC", tmp_path / "none")
    with pytest.raises(OutcomeUnknown):
        asyncio.run(started(DAEMONS["a session of its own"]).add_credentials("pull", credential()))
    assert bearers(PASSWORD) == []


def test_it_is_over_soon_though_a_wrapper_starts_anew_what_is_killed(
    started: Callable[[str], AkkaCli],
) -> None:
    body = (
        '(setsid sh -c \'while :; do setsid sh -c "sleep 30" x "$@" & sleep 0.05; done\' x "$@" & )\nsleep 60'
    )
    begin = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        asyncio.run(started(body).add_credentials("pull", credential()))
    assert time.monotonic() - begin < 8
    assert bearers(PASSWORD) == []
