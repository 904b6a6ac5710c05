"""Akka has accepted a key, and shows it late, cut, blank or not at all: the key that it may pull with is
never taken away.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bootstrap.sandbox.akka_platform import Listing
from bootstrap.testing.harness.credential_life import Life, akka_pulls, living, new_keys, secret_name
from tests.harness.concurrent_change import meanwhile
from tests.harness.marks import full_case

SHORT = ("--timeout", "15s")
SHOWN = {
    "no record": Listing(lag=math.inf),
    "an e-mail cut at 64": Listing(email_length=64),
    "an e-mail cut at 40": Listing(email_length=40),
    "no e-mail": Listing(shows_email=False),
    "no user": Listing(shows_user=False),
    "neither": Listing(shows_email=False, shows_user=False),
}
LIVES = ("gcr", "acr", "acr-token")
IN_EACH_RUN = {
    ("gcr", "no record"),
    ("acr", "an e-mail cut at 64"),
    ("acr-token", "no e-mail"),
    ("gcr", "no user"),
}
# Each is waited for, for seconds: each way with one kind of key, and the rest in scripts/test-full.
FORMS = [
    (life, shown) if (life, shown) in IN_EACH_RUN else full_case(life, shown)
    for shown in SHOWN
    for life in LIVES
]


@pytest.fixture(params=LIVES)
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    with living(request.param) as one:
        yield one


@contextmanager
def shown_from_the_registration_on(life: Life, listing: Listing) -> Iterator[None]:
    """What was there before the registration was shown as it is."""
    akka = life.world.akka
    secrets = akka.projects["shop"].secrets
    write = secrets.write

    def then_hide(*arguments: Any) -> bool:
        akka.listing = listing
        return write(*arguments)

    if listing.lag:
        akka.listing = listing
    else:
        secrets.write = then_hide  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        secrets.write = write  # type: ignore[method-assign]


@pytest.mark.parametrize(("life", "shown"), FORMS, indirect=["life"])
def test_a_first_onboarding_keeps_the_key_and_names_it(life: Life, shown: str) -> None:
    life.world.akka.listing = SHOWN[shown]
    done = life.onboard(*SHORT)
    assert done.code == 6, done.text
    assert akka_pulls(life)
    (key,) = new_keys(life)
    assert key in done.err
    assert "This run left nothing behind" not in done.err
    assert "another run" not in done.err.lower()

    life.world.akka.listing = Listing()
    again = life.onboard()
    assert again.code == 0, again.text
    assert new_keys(life) == {key}
    assert akka_pulls(life)


@pytest.mark.parametrize(("life", "shown"), FORMS, indirect=["life"])
def test_a_rotation_keeps_the_new_key_and_names_both(life: Life, shown: str, tmp_path: Path) -> None:
    assert life.onboard().code == 0
    (old,) = new_keys(life)
    name = secret_name(life)
    with shown_from_the_registration_on(life, SHOWN[shown]):
        audit = ("--audit", str(tmp_path / "trail.jsonl"))
        done = life.world.run("rotate", name, "--yes", *SHORT, *audit, env={"PULLKEY_OVERLAP": "0"})
    assert done.code == 6, done.text
    assert akka_pulls(life)
    new = new_keys(life) - {old}
    assert len(new) == 1
    lines = map(json.loads, (tmp_path / "trail.jsonl").read_text().splitlines())
    assert {line["key_id"] for line in lines if line["outcome"] == "left over"} == {old, *new}
    assert {old, *new} <= new_keys(life)
    assert all(key in done.err for key in (old, *new))
    assert "another run" not in done.err.lower()

    life.world.akka.listing = Listing()
    again = life.command("rotate", name)
    assert again.code == 0, again.text
    assert akka_pulls(life)


@pytest.mark.parametrize(("life", "shown"), FORMS, indirect=["life"])
def test_a_record_that_was_shown_so_before_is_not_taken_for_anothers(life: Life, shown: str) -> None:
    """What is not known of a record must not cost the key that Akka pulls with."""
    assert life.onboard().code == 0
    (old,) = new_keys(life)
    name = secret_name(life)
    life.world.akka.listing = SHOWN[shown]
    life.world.run("rotate", name, "--yes", *SHORT, env={"PULLKEY_OVERLAP": "0"})
    assert akka_pulls(life)
    assert old in new_keys(life)


def test_an_akka_that_cuts_every_e_mail_can_be_lived_with() -> None:
    """What is left of a rotated key's e-mail still names the key; a second run registers no other."""
    with living("gcr") as life:
        life.world.akka.listing = Listing(email_length=100)
        assert life.onboard().code == 0
        name = secret_name(life)
        rotated = life.world.run("rotate", name, "--yes", *SHORT, env={"PULLKEY_OVERLAP": "0"})
        assert rotated.code == 6, rotated.text
        assert akka_pulls(life)
        there = new_keys(life)
        assert len(there) == 2
        assert life.onboard(*SHORT).code in (0, 6)
        assert new_keys(life) == there
        assert akka_pulls(life)


def test_a_record_that_is_cut_too_short_is_not_rotated_and_says_so() -> None:
    with living("gcr") as life:
        life.world.akka.listing = Listing(email_length=64)
        assert life.onboard().code == 6
        there = new_keys(life)
        assert life.onboard().code == 0
        refused = life.world.run("rotate", secret_name(life), "--yes", *SHORT)
        assert refused.code == 1, refused.text
        assert "cut" in refused.err
        assert new_keys(life) == there
        assert akka_pulls(life)


@pytest.mark.parametrize("command", ["onboard", "rotate"])
def test_a_cli_that_fails_after_it_wrote_has_registered(life: Life, command: str) -> None:
    if command == "rotate":
        assert life.onboard().code == 0
    before = new_keys(life)
    life.world.akka.mode, life.world.akka.mode_applies_to = "fails-after", "docker.add-credentials"
    done = (
        life.onboard()
        if command == "onboard"
        else life.command("rotate", secret_name(life), "--keep-old", "0")
    )
    assert done.code == 0, done.text
    assert "left over" not in done.err
    assert len(new_keys(life)) == 1
    assert not new_keys(life) & before
    assert akka_pulls(life)


def test_a_refusal_is_not_believed_where_akka_could_not_be_asked_after_it() -> None:
    """It wrote, then failed; the first list after that fails too, and the next ones lag."""
    with living("gcr") as life:
        assert life.onboard().code == 0
        (old,) = new_keys(life)
        name = secret_name(life)
        akka = life.world.akka
        akka.mode, akka.mode_applies_to = "fails-after", "docker.add-credentials"
        akka.listing.lag = math.inf

        def silent() -> None:
            life.world.fault("akka.docker.list-credentials=400*2")

        meanwhile(life.world, "akka.docker.add-credentials", silent)
        done = life.world.run("rotate", name, "--yes", *SHORT, env={"PULLKEY_OVERLAP": "0"})

        assert akka_pulls(life), done.text
        assert done.code == 6, done.text
        (new,) = new_keys(life) - {old}
        assert new in done.err
