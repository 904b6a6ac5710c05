"""Azure: an identity that gets no tokens is not valid, however much of it is in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.azure_state import NAME, ONLY_CHECKOUT, applications, disable_principal, remove_roles


def disable_application(_world: World, application: Any) -> None:
    application.properties["isDisabled"] = True


def disabled_by_microsoft(_world: World, application: Any) -> None:
    application.properties["disabledByMicrosoftStatus"] = "DisabledDueToViolationOfServicesAgreement"


def not_disabled(_world: World, application: Any) -> None:
    application.properties["disabledByMicrosoftStatus"] = "NotDisabled"


def delete(world: World, application: Any) -> None:
    state = world.cloud.state
    state.principal_by_app_id(application.app_id).lifetime.removed = state.now()
    application.lifetime.removed = state.now()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (disable_principal, "disabled"),
        (disable_application, "disabled"),
        (disabled_by_microsoft, "DisabledDueToViolation"),
        (delete, "deleted"),
        (remove_roles, "not granted"),
    ],
)
def test_every_command_that_looks_says_so(
    acr: World, damage: Callable[[World, Any], None], said: str
) -> None:
    assert acr.onboard().code == 0
    damage(acr, applications(acr)[0])

    verified = acr.run("verify", "acr")
    listed = acr.run("list", "--check")

    assert verified.code == 5, verified.text
    assert listed.code == 5, listed.text
    assert said in verified.text
    assert said in acr.run("list", "--output", "json").text


def test_an_application_that_is_not_disabled_is_valid(acr: World) -> None:
    assert acr.onboard().code == 0
    not_disabled(acr, applications(acr)[0])
    assert acr.run("verify", "acr").code == 0


@pytest.mark.parametrize("damage", [disable_principal, disable_application, disabled_by_microsoft])
def test_no_key_is_added_to_what_gets_no_tokens(acr: World, damage: Callable[[World, Any], None]) -> None:
    assert acr.onboard().code == 0
    (application,) = applications(acr)
    damage(acr, application)
    refused = acr.run("rotate", NAME, "--yes")
    assert refused.code == 3, refused.text
    assert len(application.secrets) == 1


def test_a_disabled_token_is_not_valid(acr: World) -> None:
    assert acr.onboard(*ONLY_CHECKOUT).code == 0
    (token,) = acr.cloud.state.registry("acmeshop").tokens.values()
    token.status = "disabled"
    listed = acr.run("list", "--check")
    assert listed.code == 5, listed.text
    assert acr.run("verify", "acr", *ONLY_CHECKOUT).code == 5
    assert NAME in listed.text
