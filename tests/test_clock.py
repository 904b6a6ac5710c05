"""Time is asked of one clock, which a test can set: hours pass at once."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from bootstrap.engine.key_retirement import grace_over
from bootstrap.model import clock
from bootstrap.model.deadline import Deadline
from bootstrap.model.key_facts import KeyFacts

ROOT = Path(__file__).parent.parent
OF_ITS_OWN = {
    "bootstrap/model/clock.py",
    # Waits for other programs of this machine, or shows the user that time passes.
    "bootstrap/akka/process_tree.py",
    "bootstrap/files/input_file.py",
    "bootstrap/output/plain_progress.py",
    "bootstrap/output/fleet_progress.py",
}
ASKING = [
    path
    for folder in ("bootstrap", "providers")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not {"sandbox", "emulator", "harness"} & set(path.parts)
    and str(path.relative_to(ROOT)) not in OF_ITS_OWN
]


class _Still(clock.Clock):
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.seconds)


def test_a_deadline_passes_when_the_clock_is_set() -> None:
    still = _Still()
    with clock.use(still):
        deadline = Deadline(3600)
        assert deadline.left == 3600
        still.seconds = 3599
        assert not deadline.passed
        still.seconds = 3600
        assert deadline.passed


def test_a_grace_period_ends_when_the_clock_is_set() -> None:
    still = _Still()
    with clock.use(still):
        key = KeyFacts("abc123", created=clock.now())
        still.seconds = 86_399
        assert not grace_over(key, dt.timedelta(days=1))
        still.seconds = 86_400
        assert grace_over(key, dt.timedelta(days=1))


def test_a_grace_period_does_not_end_while_the_current_key_is_not_shown() -> None:
    assert not grace_over(None, dt.timedelta(days=1))


def test_the_clock_of_the_machine_is_back_afterwards() -> None:
    with clock.use(_Still()):
        pass
    assert abs(clock.now() - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_jitter_stays_within_its_bound() -> None:
    assert all(0 <= clock.jitter(0.5) <= 0.5 for _ in range(100))


def test_a_product_module_asks_no_other_clock() -> None:
    """What measured by another one would not go with a test's time, nor with the simulation's."""
    found = re.compile(r"\btime\.(?:monotonic|time)\b|\brandom\.uniform\b|\bdt\.datetime\.now\(")
    assert len(ASKING) > 300
    assert not [
        f"{path.relative_to(ROOT)}: {asked}" for path in ASKING for asked in found.findall(path.read_text())
    ]
