"""Short calls of `akka` with a timeout, for shell completion and the overview.

They never raise: if the CLI is missing, slow or fails, there is no answer.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence


def program() -> str | None:
    """The path of the Akka CLI; None if it is not installed."""
    return shutil.which(os.environ.get("PULLKEY_AKKA_CLI") or "akka")


def ask(arguments: Sequence[str], *, seconds: float) -> str | None:
    """What the CLI prints; None if it fails, or does not end in time."""
    path = program()
    if path is None:
        return None
    try:
        process = subprocess.Popen(
            [path, *arguments, f"--timeout={max(int(seconds), 1)}s", "--disable-prompt"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "AKKA_DISABLE_PROMPTS": "true"},
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None
    return out.decode(errors="replace") if process.returncode == 0 else None


def current_project() -> str:
    """The default project of the commands; "" if it is not known.

    `akka config get-project` reads the CLI's own configuration. Its output is not documented: the last word
    of one line.
    """
    named = os.environ.get("PULLKEY_AKKA_PROJECT") or os.environ.get("AKKA_PROJECT")
    if named:
        return named
    lines = (ask(["config", "get-project"], seconds=2) or "").split("\n")
    words = lines[0].split() if len([line for line in lines if line.strip()]) == 1 else []
    return "".join(one for one in words[-1] if one.isprintable()) if words else ""
