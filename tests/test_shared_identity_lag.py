"""Two credentials of Akka's with one identity, and a cloud that does not show the other's key yet."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.inventory import inventory
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import World
from tests.harness.azure_state import NAME as AZURE_NAME
from tests.harness.azure_state import applications
from tests.harness.concurrent_change import MEMBER, create_key, meanwhile, register_key
from tests.harness.google_state import NAME, account, repository_members


def works(world: World, name: str) -> bool:
    return pulls(world.running.environment, world.held(name), patience=0)


def of_ours(gcr: World) -> list[str]:
    """The service accounts that pullkey has made."""
    return [line for line in inventory(gcr.cloud, gcr.akka) if "akka-docker-reader" in line]


def test_a_service_account_stays_whose_other_key_only_akka_shows(gcr: World) -> None:
    assert gcr.onboard().code == 0
    assert gcr.onboard("--secret-name", "other").code == 0
    keys = account(gcr).keys
    (theirs,) = [key for key in keys if key in gcr.held("other").email]

    hidden = keys.pop(theirs)
    left = gcr.run("offboard", NAME, "--yes", "--timeout", "20s")
    keys[theirs] = hidden

    assert works(gcr, "other"), left.text
    assert left.code == 6, left.text
    assert theirs in left.text

    gone = gcr.run("offboard", "other", "--yes", "--timeout", "20s")
    assert gone.code == 0, gone.text
    assert not of_ours(gcr)


def test_an_application_stays_whose_other_secret_only_akka_shows(acr: World) -> None:
    assert acr.onboard().code == 0
    assert acr.onboard("--secret-name", "other").code == 0
    (application,) = applications(acr)
    (theirs,) = [one for one in application.secrets if one.key_id in acr.held("other").email]

    application.secrets.remove(theirs)
    left = acr.run("offboard", AZURE_NAME, "--yes", "--timeout", "20s")
    application.secrets.append(theirs)

    assert applications(acr) == [application], left.text
    assert works(acr, "other"), left.text
    assert left.code == 6, left.text


def test_all_of_an_identity_goes_at_once_though_akkas_list_lags(gcr: World) -> None:
    assert gcr.onboard().code == 0
    assert gcr.onboard("--secret-name", "other").code == 0
    gcr.akka.listing.lag = 300

    gone = gcr.run("offboard", "--all", "--yes", "--timeout", "60s")

    assert gone.code == 0, gone.text
    assert not of_ours(gcr)


@pytest.mark.parametrize("silent", ["akka.docker.list-credentials", "iam.ListServiceAccountKeys"])
def test_an_account_stays_for_another_runs_key_though_one_of_both_lists_fails(
    gcr: World, silent: str
) -> None:
    """Another run has found the account that this one has created, and is registered while this one fails."""
    theirs: list[str] = []

    def another() -> None:
        theirs.append(create_key(gcr).id)
        register_key(gcr, theirs[0])
        gcr.fault(f"{silent}=400*forever")

    # When this run has its own key; the first one looks for the image.
    meanwhile(gcr, "registry.GetManifest#2", another)

    failed = gcr.onboard()

    assert failed.code in (1, 6), failed.text
    assert [key.id for key in account(gcr).user_keys() if key.id in theirs] == theirs, failed.text
    assert MEMBER in repository_members(gcr), failed.text


def test_a_key_that_another_run_has_registered_is_not_taken_for_a_lost_one(gcr: World) -> None:
    """The creation of this run's key goes unanswered, and the key that has appeared since is another
    run's.
    """
    theirs: list[str] = []

    def another() -> None:
        theirs.append(create_key(gcr).id)
        register_key(gcr, theirs[0])

    meanwhile(gcr, "iam.CreateServiceAccountKey", another)
    gcr.fault("iam.CreateServiceAccountKey=503")

    failed = gcr.onboard()

    assert failed.code == 1, failed.text
    assert [key.id for key in account(gcr).user_keys()] == theirs, failed.text
    assert "keys delete" not in failed.text
    assert MEMBER in repository_members(gcr), failed.text
