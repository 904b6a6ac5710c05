"""`doctor` beside a run that is still at work."""

from __future__ import annotations

from pathlib import Path

from bootstrap.engine.journal import Journal
from bootstrap.testing.harness.world import World


def test_a_run_that_is_at_work_is_not_one_that_did_not_end(gcr: World) -> None:
    journal = Journal(Path(gcr.running.environment["PULLKEY_STATE_DIR"]), "shop gcr-io", "gcr gcr.io")
    with journal.locked():
        journal.begin("abc", "pullkey onboard gcr --server gcr.io")
        journal.about_to("identity", {})
        at_work = gcr.run("doctor", "private")
    killed = gcr.run("doctor", "private")

    assert "did not end" not in at_work.out
    assert "ok    journal: run abc of" in at_work.out
    assert killed.code == 3
    assert "did not end" in killed.out
