"""SIGTERM before pullkey has begun, as `docker stop` or the end of a Pod sends it: also as the first process
of a container, which ignores a signal that it has no handler for.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World

ROOT = Path(__file__).resolve().parent.parent
ARGUMENTS = ("onboard", "gcr", "--yes", "--timeout", "60s")
PULLKEY = (sys.executable, "-m", "bootstrap", *ARGUMENTS)
BLOCKED = re.search(
    r'^ENTRYPOINT \["env", "(\S+)",', (ROOT / "deploy/Containerfile").read_text(), re.MULTILINE
)
AT_IMPORT = """
import os, signal, sys
NUMBER, NAME = int(sys.argv.pop(1)), sys.argv.pop(1)
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == NAME:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), NUMBER)
sys.meta_path.insert(0, Hook())
import runpy
runpy.run_module("bootstrap", run_name="__main__", alter_sys=True)
"""


def started(world: World, *command: str, wrapped: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*wrapped, *command],
        env=world.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(process: subprocess.Popen[str], world: World) -> None:
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.count("No changes were made") == 1, err
    assert "Traceback" not in err
    assert world.names() == []
    assert world.changes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_that_came_before_python_was_started(gcr: World, number: signal.Signals) -> None:
    """The image starts it with these signals blocked."""
    assert BLOCKED is not None
    with started(
        gcr, *PULLKEY, wrapped=("env", BLOCKED[1], "sh", "-c", 'kill -"$0" $$; exec "$@"', str(int(number)))
    ) as process:
        interrupted(process, gcr)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "module",
    [
        "bootstrap.cli",
        "click",
        "bootstrap.cli.target",
        "asyncio",
        "bootstrap.engine.assembly",
        "providers.gcr.session",
    ],
)
def test_one_that_comes_while_it_imports(gcr: World, module: str, number: signal.Signals) -> None:
    with started(gcr, sys.executable, "-c", AT_IMPORT, str(int(number)), module, *ARGUMENTS) as process:
        interrupted(process, gcr)


def _as_the_first_process() -> list[str]:
    """What runs a command as process 1 of a namespace of its own; nothing where that is not permitted."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return []
    for rights in ([], ["--map-root-user"]):
        command = [unshare, *rights, "--pid", "--fork", "--kill-child"]
        if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
            return command
    return []


@pytest.mark.parametrize("module", ["bootstrap.cli", "asyncio", "providers.gcr.session"])
def test_the_first_process_of_a_container_while_it_imports(gcr: World, module: str) -> None:
    wrapped = tuple(_as_the_first_process())
    if not wrapped:
        pytest.skip("this user may not create a namespace")
    program = (sys.executable, "-c", AT_IMPORT, str(int(signal.SIGTERM)), module)
    with started(gcr, *program, *ARGUMENTS, wrapped=wrapped) as process:
        interrupted(process, gcr)


def test_the_first_process_of_a_container_at_its_entry_point(gcr: World, tmp_path: Path) -> None:
    assert BLOCKED is not None
    wrapped = _as_the_first_process()
    if not wrapped:
        pytest.skip("this user may not create a namespace")
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    # It says when the signals are blocked, which is what the entry point does first.
    entry = (
        "env",
        BLOCKED[1],
        "sh",
        "-c",
        ': > "$0"; exec "$@"',
        str(ready),
        str(ROOT / "deploy/entrypoint"),
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "pullkey").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bootstrap "$@"\n')
    (programs / "pullkey").chmod(0o755)
    gcr.extra["PATH"] = f"{programs}:{gcr.environment()['PATH']}"
    with started(gcr, *entry, *ARGUMENTS, wrapped=tuple(wrapped)) as outer:
        ready.read_bytes()
        (child,) = _children(outer.pid)
        os.kill(child, signal.SIGTERM)
        interrupted(outer, gcr)


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
