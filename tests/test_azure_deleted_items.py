"""Azure: a deleted application keeps its unique name for 30 days. Onboarding still works, and undoing
gives the name back.
"""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.testing.harness.world import World
from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_state import APP, NAME, applications, cloud_picture, roles, secrets, shop

UNIQUE_NAME = "pullkey-akka-docker-reader"


def deleted(world: World) -> list[str]:
    """The unique names that the directory's deleted items keep."""
    return [
        one.unique_name
        for one in world.cloud.state.applications
        if not one.lifetime.exists and one.lifetime.purged is None and one.unique_name
    ]


def delete(world: World, application: Any) -> None:
    """As an administrator does in the portal."""
    state = world.cloud.state
    application.lifetime.removed = state.now()
    principal = state.principal_by_app_id(application.app_id)
    if principal is not None:
        principal.lifetime.removed = state.now()


@pytest.mark.parametrize("fault", ["arm.PutRoleAssignment=403*forever", "graph.AddPassword=403*forever"])
def test_a_run_that_is_undone_gives_the_name_back(acr: World, fault: str) -> None:
    acr.fault(fault)
    failed = acr.onboard()
    assert failed.code == 1, failed.text
    assert deleted(acr) == []
    acr.running.sandbox.faults.faults.clear()
    again = acr.onboard()
    assert again.code == 0, again.text


@pytest.mark.parametrize("reads_deleted_items", [True, False])
def test_what_was_offboarded_can_be_onboarded_again(acr: World, reads_deleted_items: bool) -> None:
    """With Application.ReadWrite.OwnedBy alone nobody finds a deleted application again, so it is deleted
    for good.
    """
    if not reads_deleted_items:
        acr.cloud.state.graph_roles = {"Application.ReadWrite.OwnedBy"}
    assert acr.onboard().code == 0
    gone = acr.run("offboard", NAME, "--yes")
    assert gone.code == 0, gone.text
    assert applications(acr) == []
    assert deleted(acr) == ([UNIQUE_NAME] if reads_deleted_items else [])
    again = acr.onboard()
    assert again.code == 0, again.text


class TestRestoring:
    def test_ours_is_restored_as_the_plan_says(self, acr: World) -> None:
        assert acr.onboard().code == 0
        (before,) = applications(acr)
        delete(acr, before)
        acr.akka.projects["shop"].registries.remove(NAME, None)

        plan = acr.run("plan", "acr")
        assert "Restore the deleted application akka-docker-reader" in plan.text
        done = acr.onboard()

        assert done.code == 0, done.text
        (after,) = applications(acr)
        assert after.app_id == before.app_id
        assert roles(acr, after.app_id) == [("AcrPull", "acmeshop")]
        assert acr.held(NAME).username == after.app_id

    @pytest.mark.parametrize(
        "answer", ["", "=404;code=Request_ResourceNotFound", "=400;code=Request_BadRequest"]
    )
    def test_its_old_secrets_do_not_come_alive_again(self, acr: World, answer: str) -> None:
        assert acr.onboard().code == 0
        (application,) = applications(acr)
        acr.cloud.state.add_secret(application, display_name="somebody's")
        old = {one.key_id for one in secrets(application)}
        delete(acr, application)
        acr.akka.projects["shop"].registries.remove(NAME, None)
        if answer:  # of a replica that does not know the secret yet
            acr.fault(f"graph.RemovePassword{answer}")

        assert acr.onboard().code == 0

        left = {one.key_id for one in secrets(application)}
        assert not left & old
        assert len(left) == 1

    def test_one_that_was_deleted_while_akka_holds_its_key_is_restored_and_pulls(self, acr: World) -> None:
        assert acr.onboard().code == 0
        (application,) = applications(acr)
        delete(acr, application)
        assert acr.run("verify", "acr").code == 5

        done = acr.onboard()

        assert done.code == 0, done.text
        assert acr.run("verify", "acr").code == 0

    def test_what_an_offboarding_has_left_over_is_removed_by_the_next_onboarding(self, acr: World) -> None:
        assert acr.onboard().code == 0
        acr.fault("arm.DeleteRoleAssignment=403;code=AuthorizationFailed*3")
        left = acr.run("offboard", NAME, "--yes")
        assert left.code == 6, left.text
        acr.running.sandbox.faults.faults.clear()

        done = acr.onboard()

        assert done.code == 0, done.text
        (application,) = applications(acr)
        assert len(secrets(application)) == 1
        assert roles(acr, application.app_id) == [("AcrPull", "acmeshop")]

    def test_a_run_that_fails_puts_it_back_where_it_was(self, acr: World) -> None:
        assert acr.onboard().code == 0
        delete(acr, applications(acr)[0])
        acr.akka.projects["shop"].registries.remove(NAME, None)
        acr.fault("graph.AddPassword=403*forever")

        failed = acr.onboard()

        assert failed.code == 1, failed.text
        assert applications(acr) == []
        assert deleted(acr) == [UNIQUE_NAME]

    def test_an_answer_that_is_lost_changes_nothing(self, acr: World) -> None:
        assert acr.onboard().code == 0
        delete(acr, applications(acr)[0])
        acr.akka.projects["shop"].registries.remove(NAME, None)
        acr.fault("graph.RestoreDeletedItem=lost")
        done = acr.onboard()
        assert done.code == 0, done.text
        assert len(applications(acr)) == 1

    def test_somebody_elses_is_a_question_and_nothing_is_touched(self, acr: World) -> None:
        state = acr.cloud.state
        theirs = state.add_application(APP, unique_name=UNIQUE_NAME)
        delete(acr, theirs)

        refused = acr.onboard()

        assert refused.code == 3, refused.text
        assert theirs.id in refused.text
        assert "az rest --method DELETE" in refused.text
        assert deleted(acr) == [UNIQUE_NAME]


@pytest.mark.parametrize("purged", [False, True])
def test_a_credential_of_another_application_that_was_deleted_is_not_moved_to_ours(
    acr: World, purged: bool
) -> None:
    onboard_abac = ("onboard", "acr", "--registry", "acmeabac", "--yes", "--akka-project", "shop")
    assert acr.run(*onboard_abac, "--no-wait").code == 0
    (ours,) = applications(acr)
    state = acr.cloud.state
    theirs = state.add_application("theirs", owner_id=state.operator.object_id)
    state.add_assignment(state.add_service_principal(theirs).id, ACR_PULL, shop(acr).id)
    assert acr.onboard("--app-id", theirs.app_id).code == 0
    delete(acr, theirs)
    if purged:
        theirs.lifetime.purged = state.now()
    before = cloud_picture(acr)

    refused = acr.run("rotate", NAME, "--yes")

    assert refused.code == 3, refused.text
    assert theirs.app_id in refused.text
    assert cloud_picture(acr) == before
    assert acr.held(NAME).username == theirs.app_id != ours.app_id


class TestWithoutThePermission:
    def test_who_may_not_restore_is_told_what_and_how(self, acr: World) -> None:
        assert acr.onboard().code == 0
        (application,) = applications(acr)
        delete(acr, application)
        acr.akka.projects["shop"].registries.remove(NAME, None)
        acr.fault("graph.RestoreDeletedItem=403;code=Authorization_RequestDenied*forever")

        failed = acr.onboard()

        assert failed.code == 1, failed.text
        assert application.id in failed.text
        assert "deleted items" in failed.text
        assert "az rest --method POST" in failed.text

    def test_who_may_not_read_them_is_told_where_to_look(self, acr: World) -> None:
        assert acr.onboard().code == 0
        delete(acr, applications(acr)[0])
        acr.akka.projects["shop"].registries.remove(NAME, None)
        acr.fault("graph.ListDeletedItems=403;code=Authorization_RequestDenied*forever")

        failed = acr.onboard()

        assert failed.code == 1, failed.text
        assert "deleted items" in failed.text
        assert "az rest --method GET" in failed.text

    def test_what_could_not_be_deleted_permanently_is_left_over(self, acr: World) -> None:
        acr.fault("graph.DeleteDeletedItem=403;code=Authorization_RequestDenied*forever")
        acr.fault("arm.PutRoleAssignment=403*forever")

        failed = acr.onboard()

        assert failed.code == 6, failed.text
        assert "az rest --method DELETE" in failed.text
        assert deleted(acr) == [UNIQUE_NAME]
