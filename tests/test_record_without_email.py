"""Akka shows no e-mail, so its record does not say which key it holds: what the journal knows of it is
used.
"""

from __future__ import annotations

import pytest

from bootstrap.sandbox.akka_platform import Listing
from bootstrap.testing.harness.credential_life import akka_pulls, living, new_keys, secret_name

SHORT = ("--timeout", "15s")


@pytest.mark.parametrize(
    ("kind", "shown"), [("gcr", Listing(email_length=20)), ("acr", Listing(shows_email=False))]
)
def test_a_record_without_an_e_mail_gets_no_second_key(kind: str, shown: Listing) -> None:
    with living(kind) as life:
        life.world.akka.listing = shown
        assert life.onboard(*SHORT).code == 6
        (key,) = new_keys(life)
        again = life.onboard(*SHORT)
        assert again.code == 6, again.text
        assert key in again.err
        assert new_keys(life) == {key}
        assert akka_pulls(life)

        life.world.akka.listing = Listing()
        seen = life.onboard()
        assert seen.code == 0, seen.text
        assert new_keys(life) == {key}


def test_a_new_key_that_is_asked_for_replaces_the_one_that_is_not_shown() -> None:
    with living("gcr") as life:
        life.world.akka.listing = Listing(shows_email=False)
        assert life.onboard(*SHORT).code == 6
        (key,) = new_keys(life)
        done = life.onboard("--new-key", *SHORT)
        assert done.code == 6, done.text
        assert akka_pulls(life)
        (new,) = new_keys(life) - {key}
        assert new in done.err
        assert key in done.err

        life.world.akka.listing = Listing()
        settled = life.command("rotate", secret_name(life))
        assert settled.code == 0, settled.text
        assert key not in new_keys(life)
        assert akka_pulls(life)
