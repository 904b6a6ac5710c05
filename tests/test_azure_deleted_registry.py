"""Azure: a credential whose registry was deleted is offboarded; one that this login does not see is not taken
for deleted.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_state import NAME, ONLY_CHECKOUT, applications, shop


def delete_registry(world: World) -> None:
    state, registry = world.cloud.state, shop(world)
    state.registries.remove(registry)
    for one in state.role_assignments:
        if one.scope == registry.id:
            one.lifetime.removed = state.now()


@pytest.mark.parametrize("kind", [(), ONLY_CHECKOUT])
def test_a_credential_of_a_deleted_registry_is_offboarded(acr: World, kind: tuple[str, ...]) -> None:
    assert acr.onboard(*kind).code == 0
    delete_registry(acr)

    done = acr.run("offboard", NAME, "--yes")

    assert done.code == 0, done.text
    assert "left over" not in done.text
    assert applications(acr) == []
    assert NAME not in acr.names()
    assert acr.run("list").code == 0


def test_a_role_elsewhere_keeps_the_application(acr: World) -> None:
    assert acr.onboard().code == 0
    (application,) = applications(acr)
    state = acr.cloud.state
    state.add_assignment(
        state.principal_by_app_id(application.app_id).id, ACR_PULL, state.registry("acmeabac").id
    )
    delete_registry(acr)

    done = acr.run("offboard", NAME, "--yes")

    assert done.code == 0, done.text
    assert "it also has a role on registry acmeabac" in done.text
    assert applications(acr) == [application]


def test_a_registry_that_is_not_seen_may_still_be_there(acr: World) -> None:
    """What is kept is named as the thing that it is, with the command that removes it."""
    assert acr.onboard().code == 0
    (application,) = applications(acr)
    acr.fault("arm.CheckNameAvailability=403;code=AuthorizationFailed*forever")
    delete_registry(acr)

    done = acr.run("offboard", NAME, "--yes")

    assert done.code == 6, done.text
    assert applications(acr) == [application]
    listed = acr.run("list", "--output", "json").json["left_over"]
    left = {one["what"].partition(" (")[0]: one["command"] for one in listed}
    assert set(left) == {
        "AcrPull of akka-docker-reader on acmeshop",
        "application akka-docker-reader",
    }
    assert left["application akka-docker-reader"] == f"az ad app delete --id {application.app_id}"
