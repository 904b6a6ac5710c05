"""Azure: a role assignment is taken back only by the run that created it, whatever the answers say."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.testing.harness.world import World
from providers.acr.emulator import authorization, odata
from providers.acr.emulator.roles import ACR_PULL, ACR_PUSH
from tests.harness.azure_state import APP, NAME, applications, roles, secrets, shop

PULL = [("AcrPull", "acmeshop")]


def app_id(world: World) -> str:
    (application,) = applications(world, APP)
    return str(application.app_id)


def age_roles(world: World) -> None:
    """A minute passes, so that no role looks as if it had been granted at the moment of the next PUT."""
    for assignment in world.cloud.state.role_assignments:
        assignment.lifetime.created -= dt.timedelta(minutes=1)


def key_is_refused(world: World) -> None:
    """The next secret cannot be added, so a run fails beside its grant."""
    world.fault("graph.AddPassword=403;code=Authorization_RequestDenied*forever")


def hide_role_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of role assignments come from a replica that knows of none yet; a GET by name is not a list."""
    blind = SimpleNamespace(
        parse=lambda *_: SimpleNamespace(matches=lambda _: False), FilterError=odata.FilterError
    )
    monkeypatch.setattr(authorization, "odata", blind)


@pytest.mark.parametrize("lists", ["lag", "are forbidden"])
def test_a_failed_second_run_leaves_the_role_of_the_credential_that_works(
    acr: World, monkeypatch: pytest.MonkeyPatch, lists: str
) -> None:
    assert acr.onboard().code == 0
    age_roles(acr)
    held = acr.held(NAME)
    if lists == "lag":
        hide_role_list(monkeypatch)
    else:
        acr.fault("arm.ListRoleAssignments=403;code=AuthorizationFailed*forever")
    key_is_refused(acr)

    failed = acr.onboard("--new-key")

    assert failed.code == 1, failed.text
    assert roles(acr, app_id(acr)) == PULL
    assert acr.held(NAME) == held
    assert "removed AcrPull" not in failed.text


@pytest.mark.parametrize("seen_later", [True, False])
def test_a_role_that_could_not_be_seen_before_is_not_taken_on_a_guess(acr: World, seen_later: bool) -> None:
    """Neither list nor GET tells before the PUT, which is answered 201 in any case."""
    assert acr.onboard().code == 0
    age_roles(acr)
    acr.fault("arm.ListRoleAssignments=403;code=AuthorizationFailed*forever")
    acr.fault(f"arm.GetRoleAssignment=403;code=AuthorizationFailed*{3 if seen_later else 'forever'}")
    key_is_refused(acr)

    failed = acr.onboard("--new-key")

    assert roles(acr, app_id(acr)) == PULL
    # What cannot be told apart is named, for somebody who can.
    assert failed.code == (1 if seen_later else 6), failed.text
    assert ("az role assignment delete" in failed.text) is not seen_later


def test_a_role_that_this_run_granted_is_taken_back(acr: World) -> None:
    """The service principal is somebody else's, so it stays, and its role must not."""
    state = acr.cloud.state
    given = state.add_application("partner")
    state.add_service_principal(given)
    key_is_refused(acr)

    failed = acr.onboard("--app-id", given.app_id)

    assert failed.code == 1, failed.text
    assert roles(acr, given.app_id) == []
    assert secrets(given) == []


@pytest.mark.parametrize("fault", ["cut", "503"])
def test_an_unanswered_grant_is_looked_for_before_it_is_sent_again(acr: World, fault: str) -> None:
    acr.fault(f"arm.PutRoleAssignment={fault}")
    done = acr.onboard()
    assert done.code == 0, done.text
    assert acr.calls("arm.PutRoleAssignment") == (1 if fault == "cut" else 2)
    assert roles(acr, app_id(acr)) == PULL


def test_a_grant_that_is_never_answered_is_sent_a_few_times_only(acr: World) -> None:
    acr.fault("arm.PutRoleAssignment=500*forever")
    failed = acr.run("onboard", "acr", "--yes", "--timeout", "15s")
    assert failed.code == 1, failed.text
    assert acr.calls("arm.PutRoleAssignment") <= 6


def test_what_this_run_granted_says_which_run_it_was(acr: World) -> None:
    assert acr.onboard().code == 0
    principal = acr.cloud.state.principal_by_app_id(app_id(acr))
    (made,) = [one for one in acr.cloud.state.role_assignments if one.principal_id == principal.id]
    described: Any = made.description
    assert "pullkey" in described
    assert "run " in described


def test_a_role_on_a_locked_registry_is_left_over_until_the_lock_is_removed(acr: World) -> None:
    state = acr.cloud.state
    state.locks.add(shop(acr).id.partition("/providers/")[0])
    assert acr.onboard().code == 0
    assigned = next(one for one in state.role_assignments if one.description and one.lifetime.exists)

    left = acr.run("offboard", NAME, "--yes")

    assert left.code == 6, left.text
    assert f"az lock delete --ids LOCK_ID && az role assignment delete --ids {shop(acr).id}" in left.text
    assert f"roleAssignments/{assigned.name}" in left.text


@pytest.mark.parametrize(
    ("role", "denied"), [(ACR_PUSH, ("write", "delete")), (ACR_PULL, ("read", "write", "delete"))]
)
def test_a_role_that_comes_from_elsewhere_is_not_granted_by_a_later_command(
    acr: World, role: str, denied: tuple[str, ...]
) -> None:
    """`--skip-grant`: no option of the later commands names it, and the login need not see or assign any."""
    state = acr.cloud.state
    theirs = state.add_application("theirs", owner_id=state.operator.object_id)
    state.add_assignment(state.add_service_principal(theirs).id, role, shop(acr).id)
    before = roles(acr, theirs.app_id)
    assert acr.onboard("--app-id", theirs.app_id, "--skip-grant").code == 0
    state.denied_actions |= {f"Microsoft.Authorization/roleAssignments/{one}" for one in denied}

    commands = [("rotate", NAME, "--yes"), ("list", "--check"), ("verify", NAME), ("import",)]
    done = [acr.run(*command) for command in commands]

    assert [one.code for one in done] == [0, 0, 0, 0], "".join(one.text for one in done)
    assert roles(acr, theirs.app_id) == before
    assert "skip-grant: true" in done[-1].out
