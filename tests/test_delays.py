"""Clouds that take their time: what was made is seen, holds and counts only later, here by the sandbox's
fast clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest

from bootstrap.model.errors import ExitCode
from bootstrap.sandbox.host import SandboxSettings, Sort
from bootstrap.testing.harness.credential_life import CLOUD_CALLS
from bootstrap.testing.harness.figures import count
from bootstrap.testing.harness.fork_server import Ended, ForkServer, fork_server
from bootstrap.testing.harness.stage import COMMANDS, Stage, judge, run_faulted, stage, warm

_FASTER = 20.0
_MANY = 300
"""Calls of a run that waits; one that does not makes thirty."""
_SECONDS = 90.0


@contextmanager
def time_flies(on: Stage, factor: float = _FASTER) -> Iterator[None]:
    """The sandbox's clock goes faster than the product's."""
    running = on.world.running
    begin, since = running.clock.time(), running.clock.monotonic()
    running.sandbox.clock = lambda: begin + factor * (running.clock.monotonic() - since)
    yield


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return warm(fork_server(), "gcr", "acr", "docker-hub-user")


def _counted(
    on: Stage,
    what: str,
    ended: Ended,
    wrong: list[str],
    begin: int = 0,
    good: Collection[ExitCode] = (ExitCode.DONE,),
) -> None:
    calls = len(on.world.running.sandbox.log.calls) - begin
    count(
        "eventual consistency",
        {
            what: 1,
            "of all these, not converged": int(ended.code not in good or bool(wrong)),
            f"of all these, with {_MANY} calls or more": int(calls >= _MANY),
            "calls of all these": calls,
        },
    )
    assert ended.code in good, ended.err
    assert wrong == [], ended.err
    assert calls < _MANY


def _onboarded(on: Stage, what: str) -> None:
    """Onboard, in a world in which something is late."""
    untouched = on.there()
    ended = on.run("onboard", _SECONDS)
    wrong = judge(on, "onboard", _SECONDS, ended, untouched, untouched)
    _counted(on, what, ended, wrong)


def _late(server: ForkServer, kind: str, delay: int, *sorts: Sort) -> None:
    settings = SandboxSettings(propagation=delay, spreading=sorts)
    with stage(server, kind, settings) as on, time_flies(on):
        _onboarded(
            on, f"onboardings with {' and '.join(sorts) or 'identity, grant and key'} seen after 0 to 120 s"
        )


@pytest.mark.parametrize(
    ("kind", "delay"),
    [("gcr", 0), ("gcr", 30), ("gcr", 120), ("gcr-upload", 5), ("acr", 5), ("acr", 120), ("acr-token", 30)],
)
def test_the_clouds_own_delay_is_waited_out(server: ForkServer, kind: str, delay: int) -> None:
    """Identity, grant and key are seen everywhere only after this many seconds, of which twenty go by in
    one.
    """
    _late(server, kind, delay)


SORTS: list[tuple[str, Sort]] = [
    ("gcr", "identity"),
    ("gcr", "grant"),
    ("gcr", "key"),
    ("gcr-upload", "key"),
    ("acr", "identity"),
    ("acr", "grant"),
    ("acr", "key"),
    ("acr-token", "key"),
    ("docker-hub-user", "key"),
    ("docker-hub-organization", "key"),
]


@pytest.mark.parametrize(("kind", "sort"), SORTS)
def test_one_thing_that_is_late_is_waited_for(server: ForkServer, kind: str, sort: Sort) -> None:
    _late(server, kind, 30, sort)


@pytest.mark.full
@pytest.mark.parametrize("delay", [5, 60, 120])
@pytest.mark.parametrize(("kind", "sort"), SORTS)
def test_one_thing_that_is_late_is_waited_for_however_late(
    server: ForkServer, kind: str, sort: Sort, delay: int
) -> None:
    _late(server, kind, delay, sort)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", CLOUD_CALLS)
def test_reads_may_go_back_in_time(server: ForkServer, kind: str, command: str) -> None:
    with stage(server, kind) as on:
        faulted = run_faulted(on, command, f"{CLOUD_CALLS[kind]}=stale;chance=0.4*12", 30)
        # Where answers contradict each other, what was there before and cannot be told for sure to be gone is
        # named.
        good = {ExitCode.DONE} if command == "onboard" else {ExitCode.DONE, ExitCode.LEFT_OVER}
        _counted(on, "runs in which reads went back in time", faulted.ended, faulted.wrong, good=good)


@pytest.mark.parametrize("times", [1, 6, 15])
@pytest.mark.parametrize("kind", CLOUD_CALLS)
def test_a_new_key_that_some_servers_do_not_know_yet_is_tried_until_all_do(
    server: ForkServer, kind: str, times: int
) -> None:
    with stage(server, kind) as on:
        # Before the key there is one exchange with the operator's own login, and where the cloud does not
        # tell, one with none.
        on.world.fault(f"registry.GetToken#3=401;chance=0.9*{times}")
        _onboarded(on, "onboardings whose new key was refused 1 to 15 times")
        assert on.world.running.sandbox.faults.faults[0].taken == times
        # Three good rounds in a row, since a key that is still spreading is refused at random.
        tokens = [
            call
            for call in on.world.running.sandbox.log.calls
            if call.method == "GetToken" and call.api == "registry"
        ]
        assert all(call.status == 200 for call in tokens[-9:])
