"""Two credentials of Akka's with one token of an Azure registry, and reads that do not show the other's
password yet.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import World
from providers.acr.emulator.scoped_tokens import ScopedTokens
from tests.harness.azure_state import NAME, ONLY_CHECKOUT, TOKEN, shop


def slot_of(world: World, name: str) -> str:
    link = KeyRef.parse(world.held(name).email)
    assert link is not None
    return link.key_id.partition("-")[0]


def works(world: World, name: str) -> bool:
    return pulls(world.running.environment, world.held(name), patience=0)


@contextmanager
def not_shown(*slots: str) -> Iterator[None]:
    """No read shows the passwords in these slots."""
    show = ScopedTokens._shown_passwords

    def hide(arm: ScopedTokens, token: Any) -> list[Any]:
        return [one for one in show(arm, token) if one.name not in slots]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScopedTokens, "_shown_passwords", hide)
        yield


def test_a_password_that_another_record_names_is_not_written_over(acr: World) -> None:
    assert acr.onboard(*ONLY_CHECKOUT).code == 0

    with not_shown(slot_of(acr, NAME)):
        second = acr.onboard(*ONLY_CHECKOUT, "--secret-name", "other")

    assert works(acr, NAME), second.text
    assert second.code == 0, second.text
    assert works(acr, "other")
    assert slot_of(acr, "other") != slot_of(acr, NAME)


def test_a_password_that_another_record_names_stays_when_the_other_one_goes(acr: World) -> None:
    assert acr.onboard(*ONLY_CHECKOUT).code == 0
    assert acr.onboard(*ONLY_CHECKOUT, "--secret-name", "other").code == 0

    with not_shown(slot_of(acr, "other")):
        gone = acr.run("offboard", NAME, "--yes", "--timeout", "20s")

    assert TOKEN in shop(acr).tokens, gone.text
    assert works(acr, "other"), gone.text


def test_a_password_that_a_record_names_is_not_offered_for_removal(acr: World) -> None:
    assert acr.onboard(*ONLY_CHECKOUT).code == 0
    assert acr.onboard(*ONLY_CHECKOUT, "--secret-name", "other").code == 0

    third = acr.onboard(*ONLY_CHECKOUT, "--secret-name", "third")

    assert third.code == 3, third.text
    assert "credential delete" not in third.text
    assert "--app-name" in third.text


@pytest.mark.parametrize("how", [("--keep-old", "0"), ()], ids=["delete", "keep"])
def test_a_replaced_password_that_another_record_has_is_not_written_over(
    acr: World, how: tuple[str, ...]
) -> None:
    """Somebody has registered it in another project by hand. There is no third slot for a second rotation."""
    half_an_hour = dt.timedelta(minutes=30)  # a record's newer password is not written over anyhow
    acr.running.sandbox.advance(-half_an_hour)
    assert acr.onboard(*ONLY_CHECKOUT).code == 0
    copy = acr.held(NAME)
    acr.akka.projects["billing"].put_credential("copied", copy, acr.running.sandbox.now())
    assert acr.run("rotate", NAME, "--yes", *how).code == 0
    acr.running.sandbox.advance(half_an_hour)

    again = acr.run("rotate", NAME, "--yes", *how)

    assert pulls(acr.running.environment, copy, patience=0), again.text
    assert again.code == 3, again.text
    assert "Akka uses both passwords of the token" in again.err
    assert works(acr, NAME)
