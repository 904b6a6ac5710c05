"""What a run may cost, counted and not timed: calls, calls one after another, modules. It fails when one of
them grows.

What it takes in seconds is measured by `scripts/benchmark.py`, and stands in docs/performance.md.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from bootstrap.plugin.conformance import ConformanceCase
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.clock import VARIABLE
from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.world import World, make_world
from tests.harness.call_chain import chain, span

_LONG = 0.5
"""Seconds that each call takes, so that what is not a call does not count."""

# Calls of the clouds, the registry and Akka; and how many of them wait one for another.
# Google is asked how long a key may last, too. What the last rotation has replaced is asked for by its id as
# well, and a second time, before it counts as gone. An onboarding with an image looks at it first: Google
# takes the login's token; Azure exchanges one, and is asked for deleted applications. Akka is asked for the
# project's services, beside all else. An offboarding asks for its permissions and for Akka's record once more
# before the first change, and for keys of other runs before it removes a role and an identity. That Google's
# account is gone is asked for four times, since Akka's record names it.
BUDGET: dict[str, dict[str, tuple[int, int]]] = {
    "gcr": {"onboard": (35, 11), "again": (14, 2), "rotate": (34, 18), "offboard": (41, 26)},
    "acr": {"onboard": (34, 15), "again": (15, 4), "rotate": (33, 18), "offboard": (37, 22)},
    "private": {"onboard": (13, 8), "again": (13, 8)},
    "harbor": {"onboard": (38, 22), "again": (18, 10), "rotate": (39, 32), "offboard": (27, 21)},
    "gitlab": {"onboard": (38, 23), "again": (18, 11), "rotate": (36, 29), "offboard": (26, 20)},
}
# Of the product's process, by the lock's libraries on Linux; the most of Python 3.11, 3.12 and 3.13. Of the
# standard library only what can be imported by one public name counts: each Python divides it differently.
MODULES = {
    "--help": 64,
    "gcr": 828,
    "acr": 818,
    "private": 371,
    "docker-hub": 380,
    "harbor": 385,
    "gitlab": 387,
}
_TRIES = 3
"""A machine that is busy makes a run look once more where it waits; what a run needs is the least of some."""


def spent(world: World, *arguments: str, stdin: str | None = None) -> tuple[int, int]:
    """The calls of one command that ends well, and the longest chain of them."""
    log = world.running.sandbox.log.calls
    begin = len(log)
    # By the machine's time: where pauses are short and calls are not, more is asked beside a call.
    done = world.run(*arguments, "--yes", stdin=stdin, env={"PULLKEY_OVERLAP": "0", VARIABLE: ""})
    assert done.code == 0, done.text
    calls = log[begin:]
    return len(calls), chain(span(call.time, call.ms) for call in calls)


def spent_by_each(kind: ConformanceCase) -> dict[str, tuple[int, int]]:
    """What each command of a credential's life spends, in a sandbox of its own."""
    found: dict[str, tuple[int, int]] = {}
    for world in make_world(kind.provider, SandboxSettings(latency=_LONG)):
        world.run("plan", kind.provider, *kind.options)  # so that the libraries are imported
        onboard = ("onboard", kind.provider, *kind.options)
        found["onboard"] = spent(world, *onboard, stdin=kind.stdin)
        found["again"] = spent(world, *onboard, stdin=kind.stdin)
        if kind.creates_key:
            later = ("--secret-stdin",) if kind.later_stdin else ()
            for command, *more in (("rotate", "--keep-old", "0"), ("offboard",)):
                arguments = (command, world.names()[0], *more, *later)
                found[command] = spent(world, *arguments, stdin=kind.later_stdin)
    return found


@pytest.mark.parametrize("name", BUDGET)
def test_no_command_makes_more_calls_than_it_did_nor_waits_for_more(name: str) -> None:
    over = dict.fromkeys(BUDGET[name], "not counted")
    for _ in range(_TRIES):
        for command, counted in spent_by_each(KINDS[name]).items():
            allowed = BUDGET[name][command]
            if all(one <= most for one, most in zip(counted, allowed, strict=True)):
                over.pop(command, None)
            elif command in over:
                over[command] = f"{counted}, and allowed {allowed}"
        if not over:
            return

    pytest.fail(f"calls, and calls one after another: {over}")


@pytest.mark.parametrize("what", MODULES)
def test_no_process_imports_more_than_it_did(what: str) -> None:
    code = (
        "import atexit, sys\n"
        # What the environment loads at the start of any process: more where pip has made it than where uv
        # has.
        "before = set(sys.modules)\n"
        "from bootstrap.cli import main\n"
        "def counts(name):\n"
        "    top = name.partition('.')[0]\n"
        "    return top not in sys.stdlib_module_names or (top == name and not name.startswith('_'))\n"
        # One that is None was kept from being imported.
        "imported = lambda: [name for name, one in list(sys.modules.items())\n"
        "                    if name not in before and one is not None and counts(name)]\n"
        "atexit.register(lambda: print('IMPORTED', len(imported())))\n"
        "main()"
    )

    def count(arguments: list[str], env: dict[str, str] | None = None, stdin: str | None = None) -> int:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=env,
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout.rpartition("IMPORTED")[2])

    if what == "--help":
        assert count(["--help"]) <= MODULES[what]
        return
    kind = KINDS.get(what, KINDS["docker-hub-user"])
    for world in make_world(kind.provider):
        counted = count(
            ["onboard", kind.provider, "--yes", *kind.options],
            world.running.process_environment(),
            kind.stdin,
        )
        assert counted <= MODULES[what]
