"""What `verify` prints about a credential that does not pull leads to one that does: each fix is a command
that works.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import pytest

from bootstrap.testing.harness.world import Result, World
from tests.harness.azure_state import NAME as ACR_NAME
from tests.harness.azure_state import applications, disable_principal, remove_roles
from tests.harness.google_state import NAME as GCR_NAME
from tests.harness.google_state import account

IMAGE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"


def repair_of(result: Result) -> list[str]:
    """The arguments of the `pullkey` command below the text."""
    text = result.err.replace(" \\\n", " ")
    found = re.findall(r"^ +pullkey (onboard .*)$", text, re.MULTILINE)
    assert len(found) == 1, result.err
    return shlex.split(found[0])


WAYS_GCR = [("verify", GCR_NAME), ("verify", "gcr"), ("verify", "--service", "checkout")]


@pytest.mark.parametrize("way", WAYS_GCR, ids=" ".join)
def test_a_disabled_account_is_reported_with_the_command_that_enables_it(
    gcr: World, way: tuple[str, ...]
) -> None:
    gcr.akka.projects["shop"].services["checkout"] = IMAGE
    assert gcr.onboard().code == 0
    account(gcr).disabled = True

    verified = gcr.run(*way)

    assert verified.code == 5, verified.text
    assert "[PK-IDENTITY-DISABLED]" in verified.err
    enable = "gcloud iam service-accounts enable akka-docker-reader@acme-shop.iam.gserviceaccount.com"
    assert f"{enable}\n" in verified.err
    # `onboard` enables no account, so it is not the advice.
    assert "pullkey onboard" not in verified.err
    assert "Preflight" not in verified.err


def test_a_disabled_principal_is_reported_with_its_fix(acr: World) -> None:
    assert acr.onboard().code == 0
    disable_principal(acr, applications(acr)[0])

    verified = acr.run("verify", ACR_NAME)

    assert verified.code == 5, verified.text
    assert "[PK-IDENTITY-DISABLED]" in verified.err
    assert "pullkey onboard" not in verified.err


def disable_key(world: World) -> None:
    account(world).user_keys()[0].disabled = True


def take_google_role(world: World) -> None:
    from providers.gcr.emulator.policy import AllowPolicy

    world.cloud.state.projects["acme-shop"].repositories["europe-west1", "containers"].policy = AllowPolicy()


@pytest.mark.parametrize("damage", [disable_key, take_google_role])
@pytest.mark.parametrize("way", WAYS_GCR, ids=" ".join)
def test_what_it_prints_repairs_a_google_credential(
    gcr: World, damage: Callable[[World], None], way: tuple[str, ...]
) -> None:
    gcr.akka.projects["shop"].services["checkout"] = IMAGE
    assert gcr.onboard().code == 0
    damage(gcr)

    verified = gcr.run(*way)
    assert verified.code == 5, verified.text
    repaired = gcr.run(*repair_of(verified), "--yes")

    assert repaired.code == 0, repaired.text
    assert gcr.run(*way).code == 0


@pytest.mark.parametrize("way", [("verify", ACR_NAME), ("verify", "acr")], ids=" ".join)
def test_what_it_prints_repairs_an_azure_credential(acr: World, way: tuple[str, ...]) -> None:
    assert acr.onboard().code == 0
    remove_roles(acr, applications(acr)[0])

    verified = acr.run(*way)
    assert verified.code == 5, verified.text
    repaired = acr.run(*repair_of(verified), "--yes")

    assert repaired.code == 0, repaired.text
    assert acr.run(*way).code == 0


def test_the_command_names_the_akka_project_and_a_secret_of_another_name(gcr: World) -> None:
    named = ("--akka-project", "billing", "--secret-name", "pull-from-google")
    assert gcr.onboard(*named).code == 0
    take_google_role(gcr)

    verified = gcr.run("verify", "pull-from-google", "--akka-project", "billing", "--image", IMAGE)
    assert verified.code == 5, verified.text
    repair = repair_of(verified)
    assert gcr.run(*repair, "--yes").code == 0

    assert gcr.run("verify", "pull-from-google", "--akka-project", "billing", "--image", IMAGE).code == 0


def test_a_check_prints_nothing_of_a_change_that_is_not_made(gcr: World) -> None:
    assert gcr.onboard().code == 0
    disable_key(gcr)

    verified = gcr.run("verify", GCR_NAME)

    assert verified.code == 5
    for of_a_plan in (
        "will be replaced",
        "does not expire",
        "before it is registered",
        "once the new key pulls",
    ):
        assert of_a_plan not in verified.err
    assert verified.json if verified.out else True
