"""The Akka CLI is missing, old, logged out, asks, hangs, prints what nobody documented, or does half of what
it is told.

Whatever it does, the end is safe and told: what Akka holds pulls, what it does not hold is gone or named.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bootstrap.sandbox.akka_platform import Mode
from bootstrap.testing.harness.figures import count
from bootstrap.testing.harness.fork_server import Ended, ForkServer, fork_server
from bootstrap.testing.harness.stage import COMMANDS, Stage, judge, prepare, run_prepared, stage, warm
from tests.harness.concurrent_change import meanwhile

pytestmark = pytest.mark.full

TIMEOUT = 10.0


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return warm(fork_server(), "gcr")


@dataclass(frozen=True)
class Manner:
    """How the CLI misbehaves in one command of its own, and how ours may end then."""

    mode: Mode
    where: str
    codes: dict[str, set[int]]
    says: str = ""


ADD, LIST, REMOVE, DELETE = (
    "docker.add-credentials",
    "docker.list-credentials",
    "docker.remove-credentials",
    "secrets.delete",
)
FINE, REFUSED, UNDONE, NAMED = {0}, {1, 2, 3}, {1}, {6}
MANNERS = [
    Manner("hangs", ADD, {"onboard": UNDONE, "rotate": NAMED, "offboard": FINE}, "did not end within"),
    Manner("hangs", LIST, {"onboard": REFUSED, "rotate": REFUSED, "offboard": REFUSED}, "did not end within"),
    Manner("hangs", REMOVE, {"offboard": UNDONE}, "did not end within"),
    Manner("hangs", DELETE, {"offboard": NAMED}, "did not end within"),
    Manner("hangs", "*", dict.fromkeys(COMMANDS, REFUSED), "did not end within"),
    Manner("asks", ADD, {"onboard": UNDONE, "rotate": UNDONE}, "add-credentials failed"),
    Manner("asks", LIST, dict.fromkeys(COMMANDS, REFUSED), "list-credentials"),
    Manner("asks", REMOVE, {"offboard": UNDONE}, "remove-credentials failed"),
    Manner("asks", DELETE, {"offboard": NAMED}, "secrets delete failed"),
    Manner("babbles", ADD, {"onboard": FINE, "rotate": FINE}),
    Manner("babbles", LIST, dict.fromkeys(COMMANDS, REFUSED), "cannot read"),
    Manner("babbles", REMOVE, {"offboard": FINE}),
    Manner("babbles", DELETE, {"offboard": FINE}),
    Manner("notices", "*", dict.fromkeys(COMMANDS, FINE)),
    Manner("half-done", ADD, {"onboard": UNDONE, "rotate": FINE}, "not allowed to change"),
    Manner("logged-out", "*", dict.fromkeys(COMMANDS, REFUSED), "not logged in"),
    Manner("not-ok", LIST, {"onboard": UNDONE, "rotate": NAMED, "offboard": FINE}),
    Manner("old", "*", {"onboard": REFUSED, "rotate": REFUSED}, "too old"),
]


@pytest.mark.parametrize(
    ("manner", "command"),
    [(manner, command) for manner in MANNERS for command in manner.codes],
    ids=lambda one: one if isinstance(one, str) else f"{one.mode} {one.where}",
)
def test_the_end_is_safe_and_told(server: ForkServer, manner: Manner, command: str) -> None:
    with stage(server, "gcr") as on:
        untouched = on.there()
        prepare(on, command)
        before = on.there()
        on.world.akka.mode, on.world.akka.mode_applies_to = manner.mode, manner.where
        ended = on.run(command, TIMEOUT)
        on.world.akka.mode = "current"

        assert ended.code in manner.codes[command], ended.err
        if ended.code:
            assert manner.says in ended.err
        assert judge(on, command, TIMEOUT, ended, untouched, before) == []
        _and_the_next_run_fixes_it(on, command, ended)


def _and_the_next_run_fixes_it(on: Stage, command: str, ended: Ended) -> None:
    again = on.run(command, 30) if command != "offboard" or on.held() else None
    if again is not None:
        assert again.code in (0, 6), again.err
        assert (on.held() is None) == (command == "offboard")
    if on.held():
        assert on.pulls()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_cli_that_is_missing_is_told_and_nothing_is_changed(server: ForkServer, command: str) -> None:
    with stage(server, "gcr") as on:
        prepare(on, command)
        before, changes = on.there(), len(on.world.changes())
        on.world.extra["PULLKEY_AKKA_CLI"] = "/nowhere/akka"
        ended = on.run(command, TIMEOUT)
        assert ended.code in (2, 3), ended.err
        assert "The Akka CLI is not installed" in ended.err
        assert on.there() == before
        assert len(on.world.changes()) == changes


@pytest.mark.parametrize("fault", ["lost", "cut", "503", "lost*2"])
def test_a_registration_whose_answer_was_lost_is_made_again(server: ForkServer, fault: str) -> None:
    """It creates or replaces, so that twice is as good as once; to undo it would cost a key."""
    with stage(server, "gcr") as on:
        untouched = on.there()
        prepare(on, "rotate")
        before = on.there()
        on.world.fault(f"akka.{ADD}={fault}")
        ended = on.run("rotate", 30)
        assert ended.code == 0, ended.err
        assert judge(on, "rotate", 30, ended, untouched, before) == []


def test_a_record_that_cannot_be_read_is_not_overwritten(server: ForkServer) -> None:
    """What the CLI shows was once taken for nothing: the run then undid its registration over a credential
    in use.
    """
    with stage(server, "gcr") as on:
        prepare(on, "rotate")
        held = on.world.held(on.held() or "")
        on.world.akka.mode, on.world.akka.mode_applies_to = "babbles", LIST
        ended = on.run("onboard", TIMEOUT)
        assert ended.code in (1, 3), ended.err
        assert on.world.held(on.held() or "") == held
        assert on.world.calls(f"akka.{ADD}") == 1
        assert on.world.calls(f"akka.{REMOVE}") == 0


@pytest.mark.parametrize("kind", ["gcr", "acr", "docker-hub-organization"])
def test_a_list_that_lags_takes_no_key_from_akka(server: ForkServer, kind: str) -> None:
    """It still shows the key from before, which is no sign that Akka did not take the new one."""
    with stage(server, kind) as on:
        untouched = on.there()
        prepare(on, "rotate")
        meanwhile(on.world, f"akka.{ADD}", lambda: on.world.fault(f"akka.{LIST}=stale*forever"))
        faulted = run_prepared(on, "rotate", f"akka.{ADD}=slow=0.1", 60, untouched)

        count(
            "eventual consistency",
            {
                "rotations after which Akka's list lagged for good": 1,
                "of these, not with the new key kept and named, exit code 6": int(
                    faulted.ended.code != 6 or bool(faulted.wrong)
                ),
            },
        )
        assert faulted.ended.code == 6, faulted.ended.err
        assert "though it shows the one before it" in faulted.ended.err
        assert faulted.wrong == []
        assert on.pulls()
        again = on.run("rotate", 60)
        assert again.code == 0, again.err
        assert on.pulls()
