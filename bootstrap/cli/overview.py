"""What pullkey without arguments shows besides its help: the logins, the Akka CLI and its project."""

from __future__ import annotations

import contextlib
import sys

from bootstrap.cli import quick_akka
from bootstrap.output.terminal import say
from bootstrap.plugin import entry_points as plugins


def print_overview() -> None:
    """Print a line for each login and for the Akka CLI. Calls no cloud."""
    say("Found here:", sys.stdout)
    for what, seen in [*_logins(), ("Akka CLI", _akka())]:
        say(f"  {what:14}{seen}", sys.stdout, further=14)
    say("For a full check, run: pullkey doctor", sys.stdout)


def _logins() -> list[tuple[str, str]]:
    found: list[tuple[str, str] | None] = []
    for provider in plugins.loaded():
        with contextlib.suppress(Exception):  # a third party's plugin may fail in any way
            found.append(provider.login_at_a_glance())
    return [one for one in found if one is not None]


def _akka() -> str:
    path = quick_akka.program()
    if path is None:
        return "not found: https://doc.akka.io/operations/cli/installation.html"
    project = quick_akka.current_project()
    return f"{path}, {f'project {project}' if project else 'no project set; see `akka projects list`'}"
