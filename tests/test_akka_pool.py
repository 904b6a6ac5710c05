"""What the targets of a file share of Akka's answers, and what they do not share: their time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.akka.process import ProcessResult, TookTooLong
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.unrecorded_keys import unrecorded_keys
from bootstrap.fleet.akka_pool import AkkaPool, PooledAkkaCli
from bootstrap.fleet.scheduler import TurnDeadline
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_facts import KeyFacts
from tests.harness.virtual_time import Play

TURN = 10.0
"""The `--timeout` of each target, in seconds."""
KEY = "0123abcd"
CALL = 4.0
"""How long a call of the Akka CLI takes."""


class Calls:
    """The calls of the Akka CLI; a listing shows their number as the name of its only credential.

    Attributes:
        listed: what each next listing of a project shows instead; the last one is repeated.
        asked: how often each command was run.
    """

    def __init__(self) -> None:
        self.seconds = CALL
        self.count = 0
        self.listed: dict[str, list[list[dict[str, str]]]] = {}
        self.asked: Counter[tuple[str, ...]] = Counter()

    async def run_group(self, argv: Sequence[str], *, seconds: float, **_: Any) -> ProcessResult:
        self.count += 1
        number = self.count
        await asyncio.sleep(min(self.seconds, seconds))
        if seconds < self.seconds:
            raise TookTooLong
        self.asked[tuple(argv)] += 1
        if argv[1:3] == ["projects", "list"]:
            return _prints(
                [{"friendly_name": name, "owner": {"friendly_name": "acme"}} for name in self.listed]
            )
        for name, listings in self.listed.items():
            if f"--project={name}" in argv:
                return _prints(listings[min(self.asked[tuple(argv)], len(listings)) - 1])
        return ProcessResult(0, f'[{{"name": "n{number}", "server": "s", "username": "u"}}]'.encode(), b"")


def _prints(rows: list[dict[str, Any]]) -> ProcessResult:
    return ProcessResult(0, json.dumps(rows).encode(), b"")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr("bootstrap.akka.runner.run_group", calls.run_group)
    return calls


class Targets:
    """Targets of one Akka project: each reads its credentials when so much of its turn is over."""

    def __init__(self) -> None:
        self.deadline = TurnDeadline(TURN)
        self.pool = AkkaPool(8)

    async def one(self, *, over: float = 0.0) -> str:
        """The name that the listing shows, or why there is none."""
        try:
            return await self.listed(over=over)
        except PullkeyError as error:
            return str(error.code)

    async def listed(self, *, over: float) -> str:
        self.deadline.begin()
        await asyncio.sleep(over)
        akka = PooledAkkaCli(AkkaScope("shop"), self.deadline, lambda _: None, "akka", pool=self.pool)
        return (await akka.credentials())[0].name

    async def later(self, seconds: float, **named: float) -> str:
        await asyncio.sleep(seconds)
        return await self.one(**named)


def test_a_target_whose_time_is_over_does_not_fail_those_that_share_its_listing(
    calls: Calls, play: Play
) -> None:
    async def three() -> Sequence[str]:
        targets = Targets()
        # The second has a second left when it asks for the listing that begins after the first.
        return await asyncio.gather(targets.later(8.9), targets.one(over=9.0), targets.later(9.1))

    assert play(three()) == ["n1", Code.AKKA_TIMEOUT, "n2"]
    assert calls.count == 2


def test_nor_those_that_share_the_listing_of_a_command_that_reads(calls: Calls, play: Play) -> None:
    async def three() -> Sequence[str]:
        targets = Targets()
        with targets.pool.reading():
            # The first asks with a second left, and the last one after that second.
            return await asyncio.gather(targets.one(over=9.0), targets.later(9.1), targets.later(11.0))

    assert play(three()) == [Code.AKKA_TIMEOUT, "n1", "n1"]
    assert calls.count == 1


@pytest.mark.parametrize("reading", [False, True])
def test_a_call_that_goes_on_for_others_is_not_said_to_be_stopped(
    calls: Calls, play: Play, reading: bool
) -> None:
    calls.seconds = 3.0

    async def two() -> list[str | BaseException]:
        targets = Targets()
        with targets.pool.reading() if reading else contextlib.nullcontext():
            both = targets.listed(over=9.0), targets.later(9.0)
            return list(await asyncio.gather(*both, return_exceptions=True))

    late, shown = play(two())
    assert isinstance(late, PullkeyError)
    assert "did not end within the 1 s that were left of this target's --timeout" in late.what
    assert "stopped" not in late.what
    assert str(shown).startswith("n")


@pytest.mark.parametrize("reading", [False, True])
def test_each_target_waits_for_a_shared_listing_as_long_as_its_own_time_lasts(
    calls: Calls, play: Play, reading: bool
) -> None:
    calls.seconds = 60.0

    async def seconds() -> float:
        targets = Targets()
        with targets.pool.reading() if reading else contextlib.nullcontext():
            first = asyncio.create_task(targets.one())
            begin = clock.monotonic()
            assert await targets.later(0.1, over=9.0) == Code.AKKA_TIMEOUT
            waited = clock.monotonic() - begin
            await first
        return waited

    assert play(seconds()) <= 0.1 + TURN


class _Identity:
    """The session of an identity that has one key, `KEY`."""

    def __init__(self, deadline: TurnDeadline) -> None:
        self.context = SimpleNamespace(deadline=deadline)
        self.key = SimpleNamespace(
            deleted=set(),
            list_ours=self._list_ours,
            owns=lambda link: link.name == "reader",
            delete_command=lambda key_id: f"delete {key_id}",
        )

    async def _list_ours(self) -> list[KeyFacts]:
        return [KeyFacts(KEY, None, None)]

    async def identity(self) -> str:
        return "reader"


@pytest.mark.parametrize("project", ["shop", "billing"])
def test_a_key_that_one_listing_passes_over_is_not_reported_at_the_end_of_a_file(
    calls: Calls, play: Play, project: str
) -> None:
    row = {"name": "n", "server": "s", "username": "u", "email": f"reader+{KEY}@acme.example"}
    calls.listed = {"shop": [[], []], "billing": [[], []]}
    calls.listed[project] = [[], [row]]

    async def reported() -> Sequence[str]:
        deadline = TurnDeadline(60)
        pool = AkkaPool(8)
        akka = PooledAkkaCli(AkkaScope("shop", "acme"), deadline, lambda _: None, "akka", pool=pool)
        session: Any = _Identity(deadline)
        with pool.reading():
            return await unrecorded_keys(session, akka, set(), "")

    assert play(reported()) == []


def test_a_shared_listing_is_parsed_once_and_its_list_is_each_reader_s_own(calls: Calls, play: Play) -> None:
    """With thousands of targets in one Akka project, parsing it for each would take most of the time."""

    async def two() -> tuple[list[HeldCredential], list[HeldCredential]]:
        akka = PooledAkkaCli(AkkaScope("shop"), TurnDeadline(TURN), lambda _: None, "akka", pool=AkkaPool(8))
        with akka.pool.reading():
            return await akka.credentials(), await akka.credentials()

    first, second = play(two())
    assert first[0] is second[0]
    first.clear()
    assert [one.name for one in second] == ["n1"]
