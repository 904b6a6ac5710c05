"""A key that lasts for years is rotated as one without expiry: `--key-source auto` creates ten-year keys."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from bootstrap.engine.due import due, due_by_policy, due_on
from bootstrap.model import clock
from bootstrap.model.key_facts import KeyFacts
from bootstrap.testing.harness.world import World

SERVER = "europe-west1-docker.pkg.dev/acme-shop/containers"


def key(age: int, life: int) -> KeyFacts:
    """A key of this age that expires after `life`, both in days."""
    created = clock.now() - dt.timedelta(days=age)
    return KeyFacts("key", created=created, expires=created + dt.timedelta(days=life))


@pytest.mark.parametrize(
    ("age", "life", "why"),
    [
        (89, 3650, ""),
        (91, 3650, "it is 91 days old"),
        (91, 1826, "it is 91 days old"),
        (91, 1825, ""),
        (91, 365, ""),
        (61, 90, "28 days of its 90 days are left"),
    ],
)
def test_a_key_of_more_than_five_years_is_due_at_90_days(age: int, life: int, why: str) -> None:
    one = key(age, life)
    assert due(one) == due_by_policy(one, None) == why
    on = due_on(one)
    assert on is not None
    assert (on <= clock.now()) is bool(why)


def test_rotate_after_and_older_than_come_first() -> None:
    one = key(91, 3650)
    assert due_by_policy(one, dt.timedelta(days=120)) == ""
    assert due(one, dt.timedelta(days=60)) == "it is 91 days old"


def test_the_default_key_of_a_file_is_due_within_months(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(f"version: 1\ntargets:\n  - {{provider: gcr, server: {SERVER}, akka-project: shop}}\n")
    assert gcr.run("apply", str(file), "--yes").code == 0
    listed = gcr.run("list", "-f", str(file), "--output", "json").json["targets"][0]["credential"]
    on = dt.datetime.fromisoformat(listed["due_on"])
    assert on - clock.now() < dt.timedelta(days=91)
