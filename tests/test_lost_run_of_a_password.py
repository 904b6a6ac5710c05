"""A password that you supplied is yours to revoke: a run that was killed leaves no task because of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.journal import OFFBOARD, Journal
from bootstrap.engine.recovery import Recovery
from bootstrap.engine.removal_entry import as_intent
from bootstrap.engine.reporter import quiet
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.key_ref import KeyRef, supplied_id
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import EngineStep
from providers.private import provider
from tests.harness.virtual_time import Play

HOST = "registry.acme.example"
NAME = "registry-acme-example"


def _record(run_id: str) -> HeldCredential:
    link = KeyRef("pullkey", supplied_id(run_id), HOST)
    return HeldCredential(NAME, f"https://{HOST}/v1/", "ops", str(link), "OK")


OLD, NEW = _record("0123456789ab"), _record("ba9876543210")


class _Akka:
    """Holds the new password."""

    resolved = AkkaScope("shop")
    scope = resolved

    async def credentials(self) -> list[HeldCredential]:
        return [NEW]

    async def credential(self, _name: str) -> HeldCredential:
        return NEW

    async def shown(self) -> AkkaScope:
        return self.resolved

    async def projects(self) -> list[AkkaScope]:
        return [self.resolved]


@pytest.mark.parametrize("killed", ["before it retired the replaced password", "in an offboarding"])
def test_the_next_run_does_not_report_it_as_left_over(tmp_path: Path, play: Play, killed: str) -> None:
    async def held() -> HeldCredential:
        return NEW

    assert OLD.link is not None
    target = provider.target({"server": OLD.server, "username": OLD.username})
    context = RunContext(Deadline(60.0), lambda _: None, lambda _: None, held=held)
    akka: Any = _Akka()

    async def clear_up(journal: Journal) -> Recovery:
        lost = journal.left_behind()
        assert lost is not None
        replaced: Any = None
        recovery = Recovery(provider.open(target, context), akka, NAME, journal, quiet(), replaced)
        await recovery.clear_up(lost, NEW)
        return recovery

    journal = Journal(tmp_path, NAME, target.lock_key)
    with journal.locked():
        journal.begin("0123456789ab", "pullkey rotate")
        if killed == "in an offboarding":
            journal.about_to(OFFBOARD, as_intent(OLD))
        else:
            journal.about_to(EngineStep.RETIRE, {"key_id": OLD.link.key_id, "grace": 0.0})
        recovery = play(clear_up(journal))
        assert (recovery.left_over, recovery.undone) == ([], [])
        kept = journal.left_behind()
    assert kept is None or not kept.entries
