"""Programs in a process of their own: `pullkey` in a new interpreter, a script that pullkey has written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bootstrap.testing.harness.world import Result, World

SDKS = ("google", "azure", "msgraph", "grpc", "aiohttp", "httpx", "rich", "cryptography")


def pullkey(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bootstrap", *arguments],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def modules_imported_by(*arguments: str) -> set[str]:
    code = (
        "import sys, bootstrap.cli as c\n"
        f"sys.argv = ['pullkey', *{list(arguments)!r}]\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "print('IMPORTED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.rpartition("IMPORTED")[2].split())


def run_script(world: World, script: Path, *arguments: str, typed: str = "", **env: str) -> Result:
    """Run a script in the sandbox's environment, without trying a login, and without long pauses; `typed`
    is its stdin.
    """
    done = subprocess.run(
        ["bash", script, *arguments],
        env=world.running.process_environment(PULLKEY_RUNBOOK_LOGIN="no", PULLKEY_RUNBOOK_PAUSE="1", **env),
        input=typed,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    world.said += [done.stdout, done.stderr]
    return Result(done.returncode, done.stdout, done.stderr)


def start_onboarding(world: World, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bootstrap", "onboard", "gcr", "--yes", *arguments],
        env={**world.running.process_environment(), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
