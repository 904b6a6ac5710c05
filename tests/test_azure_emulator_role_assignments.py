"""Role assignments of the emulated Azure, held against recorded answers of the real one."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

from providers.acr.emulator.roles import ACR_PULL, OWNER
from providers.acr.roles import assigning_condition
from tests.harness.azure_sandbox import Azure


def fresh_principal(azure: Azure) -> str:
    return azure.state.add_service_principal(azure.state.add_application("puller")).id


def assignment(azure: Azure, name: str) -> str:
    return f"{azure.shop.id}/providers/Microsoft.Authorization/roleAssignments/{name}"


def body(principal: str, **properties: Any) -> dict[str, Any]:
    role = f"/providers/Microsoft.Authorization/roleDefinitions/{ACR_PULL.guid}"
    given = {"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"}
    return {"properties": {**given, **properties}}


def test_each_put_of_one_name_answers_as_if_it_had_created_it(azure: Azure) -> None:
    at = assignment(azure, str(uuid.uuid4()))
    wanted = body(fresh_principal(azure), description="pullkey run 1")
    first = azure.arm("PUT", at, json=wanted)
    stored = azure.arm("GET", at).json()["properties"]
    azure.running.sandbox.advance(dt.timedelta(hours=1))
    second = azure.arm("PUT", at, json=wanted)

    assert (first.status_code, second.status_code) == (201, 201)
    for answer in (first, second):
        assert answer.json()["properties"]["createdBy"] is None
        assert answer.json()["properties"]["updatedBy"] == azure.state.operator.object_id
    assert first.json()["properties"]["createdOn"] < second.json()["properties"]["createdOn"]
    # Not even the first one's date is the one that is kept.
    assert first.json()["properties"]["createdOn"] != stored["createdOn"]


def test_a_get_by_name_shows_who_created_it_and_when(azure: Azure) -> None:
    at = assignment(azure, str(uuid.uuid4()))
    wanted = body(fresh_principal(azure), description="pullkey run 1")
    azure.arm("PUT", at, json=wanted)
    before = azure.arm("GET", at).json()["properties"]
    azure.running.sandbox.advance(dt.timedelta(hours=1))
    again = azure.arm("PUT", at, json=body(wanted["properties"]["principalId"], description="run 2"))
    after = azure.arm("GET", at).json()["properties"]

    assert before["description"] == "pullkey run 1"
    assert before["createdBy"] == azure.state.operator.object_id
    assert before["createdOn"] == before["updatedOn"]
    assert (after["createdOn"], after["createdBy"]) == (before["createdOn"], before["createdBy"])
    assert after["updatedOn"] == again.json()["properties"]["updatedOn"]
    assert after["description"] == "run 2"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", after["createdOn"])


def test_a_second_name_for_the_same_grant_is_refused(azure: Azure) -> None:
    wanted = body(fresh_principal(azure))
    azure.arm("PUT", assignment(azure, str(uuid.uuid4())), json=wanted)
    other = azure.arm("PUT", assignment(azure, str(uuid.uuid4())), json=wanted)

    assert (other.status_code, other.json()["error"]["code"]) == (409, "RoleAssignmentExists")


def test_what_is_deleted_is_shown_once_more_with_its_dates(azure: Azure) -> None:
    at = assignment(azure, str(uuid.uuid4()))
    azure.arm("PUT", at, json=body(fresh_principal(azure), condition="@Resource[x] stringEquals 'y'"))
    stored = azure.arm("GET", at).json()
    gone = azure.arm("DELETE", at)

    assert (gone.status_code, gone.json()) == (200, stored)
    assert stored["properties"]["condition"] == "@Resource[x] stringEquals 'y'"
    assert azure.arm("DELETE", at).status_code == 204
    assert azure.arm("GET", at).json()["error"]["code"] == "RoleAssignmentNotFound"


def test_a_condition_limits_which_roles_its_holder_assigns_and_removes(azure: Azure) -> None:
    """ "Delegate Azure role assignment management to others with conditions"."""
    for one in azure.state.role_assignments:
        if one.principal_id == azure.state.operator.object_id:
            one.condition = assigning_condition(
                [f"Microsoft.Authorization/roleAssignments/{verb}" for verb in ("write", "delete")]
            )
    at, owner = assignment(azure, str(uuid.uuid4())), f"/providers/x/roleDefinitions/{OWNER.guid}"
    principal = fresh_principal(azure)
    refused = azure.arm("PUT", at, json=body(principal, roleDefinitionId=owner))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert (
        "has an authorization with ABAC condition that is not fulfilled" in refused.json()["error"]["message"]
    )
    assert azure.arm("DELETE", at).status_code == 403  # nothing is there, so no role to compare
    assert azure.arm("PUT", at, json=body(principal)).status_code == 201
    theirs = next(one for one in azure.state.role_assignments if one.role is OWNER)
    assert (
        azure.arm(
            "DELETE", f"{theirs.scope}/providers/Microsoft.Authorization/roleAssignments/{theirs.name}"
        ).status_code
        == 403
    )
    assert azure.arm("DELETE", at).status_code == 200
