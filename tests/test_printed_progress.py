"""What a run prints as it goes on: titles in the past tense, one line each, nothing twice, and a sign of
life while it waits.
"""

from __future__ import annotations

import asyncio
import io
import re

import pytest

from bootstrap.cli.heartbeat import ticking
from bootstrap.model.tense import VERBS
from bootstrap.output.fleet_progress import PlainFleetReporter
from bootstrap.output.plain_progress import PlainReporter
from bootstrap.plugin.step import Done, State, StepStatus
from bootstrap.testing.harness.world import World
from tests.harness.terminal import Terminal

NAME = "europe-west1-docker-pkg-dev-acme-shop-containers"
IMAGE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
STEP_IDS = re.compile(
    r"(done|failed): (identity|grant|key|handshake|handoff|retire|clear|reference|secret)\b"
)


def test_a_pipe_gets_what_was_done_once_each(gcr: World) -> None:
    done = gcr.run("onboard", IMAGE, "--yes")
    assert done.code == 0, done.text
    lines = [line.strip() for line in done.err.splitlines()]
    account = "service account akka-docker-reader@acme-shop.iam.gserviceaccount.com"
    assert sum(account in line for line in lines) == 1, done.err
    assert any(line.startswith(f"Created {account}") for line in lines), done.err
    assert any(
        line.startswith("Granted roles/artifactregistry.reader on repository containers") for line in lines
    )
    assert not STEP_IDS.search(done.err), done.err


def test_a_plan_shows_signs_before_what_is_to_be_done(gcr: World) -> None:
    planned = gcr.run("plan", IMAGE)
    assert "  + Create service account akka-docker-reader@" in planned.err
    gcr.onboard()
    planned = gcr.run("plan", IMAGE)
    assert "  = Service account akka-docker-reader@" in planned.err
    assert "Verify the key" not in planned.err  # there is no new one
    gone = gcr.run("offboard", NAME, "--dry-run")
    assert "  - Remove service account akka-docker-reader@" in gone.err


def test_an_offboarding_says_what_it_removed(gcr: World) -> None:
    gcr.onboard()
    done = gcr.run("offboard", NAME, "--yes")
    assert "Deleted the service account akka-docker-reader@" in done.err
    assert not STEP_IDS.search(done.err), done.err


def test_in_a_terminal_one_list_turns_from_planned_to_done(gcr: World) -> None:
    with Terminal(gcr, "onboard", IMAGE) as terminal:
        planned = terminal.until("[y/N]")
        assert "+ Create service account" in " ".join(planned.split())
        terminal.press("y\n")
        assert terminal.ended() == 0
        assert "✓ Created service account" in " ".join(terminal.text.split())


def test_an_offboarding_in_a_terminal_shows_what_became_of_each(gcr: World) -> None:
    gcr.onboard()
    with Terminal(gcr, "offboard", NAME, "--yes") as terminal:
        assert terminal.ended() == 0
        assert "✓ Deleted the service account" in " ".join(terminal.text.split())


@pytest.mark.parametrize("provider", ["gcr", "acr", "docker-hub", "private"])
def test_every_title_begins_with_a_verb_that_has_a_past(provider: str) -> None:
    from bootstrap.model.deadline import Deadline
    from bootstrap.plugin import entry_points as plugins
    from bootstrap.plugin.context import RunContext

    values: dict[str, str | None] = {option.name: None for option in plugins.load(provider).options}
    values |= {
        "gcr": {"server": IMAGE},
        "acr": {"registry": "acmeshop"},
        "docker-hub": {"organization": "acme", "repository": "acme/checkout", "hub_user": "owner"},
        "private": {"server": "registry.example.com", "username": "ops"},
    }[provider]
    loaded = plugins.load(provider)
    session = loaded.open(loaded.target(values), RunContext(Deadline(0), lambda _: None, lambda _: None))
    assert {step.title.partition(" ")[0] for step in session.steps} <= VERBS


def test_a_result_says_no_more_than_what_was_done() -> None:
    title = "Create the token akka-reader in the registry acme"
    assert Done("").sentence(title) == "Created the token akka-reader in the registry acme"
    assert (
        Done("another run has just created it", unneeded=True).sentence(title)
        == "Token akka-reader in the registry acme: another run has just created it"
    )


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_long_wait_in_a_pipe_speaks_every_30_seconds() -> None:
    clock, stream = _Clock(), io.StringIO()
    reporter = PlainReporter(stream, verbose=False, plan=False, clock=clock)
    reporter.connected("acmeshop", "me")
    reporter.planned([("handshake", "Verify the key", StepStatus(State.MISSING))])
    reporter.begin("handshake", "Verify the key")
    reporter.waiting("the role has not spread yet")
    said = stream.getvalue()
    for clock.now in range(1, 91):
        reporter.tick()
    spoken = stream.getvalue().removeprefix(said).splitlines()
    assert spoken == [
        f"  Verifying the key, for {time} so far: the role has not spread yet"
        for time in ("30 s", "1 min 0 s", "1 min 30 s")
    ]
    reporter.finish("handshake", "Verified the key", 91)
    clock.now = 500
    before = stream.getvalue()
    reporter.tick()
    assert stream.getvalue() == before  # nothing is being done


def test_a_long_wait_for_a_file_of_registries_speaks_too() -> None:
    clock, stream = _Clock(), io.StringIO()
    reporter = PlainFleetReporter(stream, name="registries.yaml", verbose=False, clock=clock)
    reporter.begin("changing", 300)
    clock.now = 29
    reporter.tick()
    assert len(stream.getvalue().splitlines()) == 1
    clock.now = 30
    reporter.tick()
    assert stream.getvalue().splitlines()[-1] == "  30 s so far: 0 of 300 done, 0 in progress"


def test_ticks_come_while_a_run_goes_on() -> None:
    class Shown:
        def __init__(self) -> None:
            self.ticks = 0
            self.enough = asyncio.Event()

        def tick(self) -> None:
            self.ticks += 1
            if self.ticks == 3:
                self.enough.set()

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    async def run() -> None:
        shown = Shown()
        with ticking(shown, at_once):
            await asyncio.wait_for(shown.enough.wait(), 5)

    asyncio.run(run())
