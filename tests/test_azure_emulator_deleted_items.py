"""The deleted items of the emulated directory: what is kept there, whose name it keeps, and how it comes
back.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import pytest

from bootstrap.sandbox.host import SandboxSettings
from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_sandbox import SERVER, Azure, running_azure

BIN = "/directory/deletedItems"
APPLICATIONS = f"{BIN}/microsoft.graph.application"


def upsert(azure: Azure, name: str = "pullkey-reader") -> httpx.Response:
    return azure.graph(
        "PATCH",
        f"/applications(uniqueName='{name}')",
        json={"displayName": "reader", "tags": ["ours"]},
        headers={"Prefer": "create-if-missing"},
    )


def names(answer: httpx.Response) -> list[str]:
    return [one["uniqueName"] for one in answer.json()["value"]]


def error(answer: httpx.Response) -> tuple[int, str, str]:
    found: dict[str, Any] = answer.json()["error"]
    return answer.status_code, found["code"], found["message"]


def deleted(azure: Azure) -> dict[str, Any]:
    """An application with a service principal, deleted."""
    made: dict[str, Any] = upsert(azure).json()
    azure.graph("POST", "/servicePrincipals", json={"appId": made["appId"]})
    assert azure.graph("DELETE", f"/applications/{made['id']}").status_code == 204
    return made


TAKEN = (
    400,
    "Request_BadRequest",
    "Another object with the same value for property uniqueName already exists.",
)


def test_a_deleted_application_keeps_its_unique_name_for_thirty_days(azure: Azure) -> None:
    deleted(azure)

    assert error(upsert(azure)) == TAKEN
    create = azure.graph("POST", "/applications", json={"displayName": "x", "uniqueName": "pullkey-reader"})
    assert error(create) == TAKEN
    # By its key it is not found all the same.
    assert azure.graph("GET", "/applications(uniqueName='pullkey-reader')").status_code == 404
    azure.running.sandbox.advance(dt.timedelta(days=30))
    assert names(azure.graph("GET", APPLICATIONS)) == []
    assert upsert(azure).status_code == 201


def test_deleted_items_are_listed_by_their_type(azure: Azure) -> None:
    made = deleted(azure)
    listed = azure.graph("GET", APPLICATIONS).json()["value"]
    principals = azure.graph("GET", f"{BIN}/microsoft.graph.servicePrincipal").json()["value"]

    assert [(one["id"], one["appId"], one["tags"]) for one in listed] == [
        (made["id"], made["appId"], ["ours"])
    ]
    assert listed[0]["deletedDateTime"].endswith("Z")
    assert [one["appId"] for one in principals] == [made["appId"]]
    by_app_id = {"$filter": f"appId eq '{made['appId']}'", "$select": "id,uniqueName"}
    assert names(azure.graph("GET", APPLICATIONS, params=by_app_id)) == ["pullkey-reader"]
    # Neither here nor among those that exist does Graph filter by this one.
    by_name = {"$filter": "uniqueName eq 'pullkey-reader'"}
    for path in (APPLICATIONS, "/applications"):
        assert error(azure.graph("GET", path, params=by_name))[:2] == (400, "Request_UnsupportedQuery")
    assert azure.graph("GET", BIN).status_code == 400
    one = azure.graph("GET", f"{BIN}/{made['id']}").json()
    assert (one["@odata.type"], one["uniqueName"]) == ("#microsoft.graph.application", "pullkey-reader")


def test_a_restored_application_is_the_same_and_its_service_principal_is_restored_apart(azure: Azure) -> None:
    made = deleted(azure)
    principal = azure.graph("GET", f"{BIN}/microsoft.graph.servicePrincipal").json()["value"][0]["id"]
    back = azure.graph("POST", f"{BIN}/{made['id']}/restore")

    assert (back.status_code, back.json()["appId"]) == (200, made["appId"])
    found = azure.graph("GET", "/applications(uniqueName='pullkey-reader')").json()
    assert (found["id"], found["tags"], found["deletedDateTime"]) == (made["id"], ["ours"], None)
    assert azure.graph("GET", f"/servicePrincipals(appId='{made['appId']}')").status_code == 404
    assert azure.graph("POST", f"{BIN}/{principal}/restore").status_code == 200
    assert azure.graph("GET", f"/servicePrincipals(appId='{made['appId']}')").json()["id"] == principal
    assert names(azure.graph("GET", APPLICATIONS)) == []
    assert upsert(azure).status_code == 204


def test_a_secret_proves_nothing_while_its_application_is_deleted_and_does_again_after(azure: Azure) -> None:
    application = azure.state.add_application("puller", owner_id=azure.state.operator.object_id)
    principal = azure.state.add_service_principal(application)
    azure.state.add_assignment(principal.id, ACR_PULL, azure.shop.id)
    secret = azure.state.add_secret(application).text

    def pulls() -> bool:
        return azure.token_answer(SERVER, application.app_id, secret).status_code == 200

    assert pulls()
    azure.graph("DELETE", f"/applications/{application.id}")
    assert not pulls()
    for one in (application.id, principal.id):
        azure.graph("POST", f"{BIN}/{one}/restore")
    assert pulls()


def test_a_second_service_principal_bars_the_restoring_of_the_first(azure: Azure) -> None:
    made = deleted(azure)
    first = azure.graph("GET", f"{BIN}/microsoft.graph.servicePrincipal").json()["value"][0]["id"]
    azure.graph("POST", f"{BIN}/{made['id']}/restore")
    assert azure.graph("POST", "/servicePrincipals", json={"appId": made["appId"]}).status_code == 201

    assert error(azure.graph("POST", f"{BIN}/{first}/restore"))[:2] == (400, "Request_BadRequest")


def test_what_is_deleted_permanently_frees_its_name_and_cannot_be_restored(azure: Azure) -> None:
    made = deleted(azure)

    assert azure.graph("DELETE", f"{BIN}/{made['id']}").status_code == 204
    assert azure.graph("DELETE", f"{BIN}/{made['id']}").status_code == 404
    assert azure.graph("POST", f"{BIN}/{made['id']}/restore").status_code == 404
    assert azure.graph("GET", f"{BIN}/{made['id']}").status_code == 404
    assert upsert(azure).status_code == 201


def test_only_deleted_items_are_found_there(azure: Azure) -> None:
    made = upsert(azure).json()

    for verb, path in (("GET", ""), ("DELETE", ""), ("POST", "/restore")):
        answer = azure.graph(verb, f"{BIN}/{made['id']}{path}")
        assert error(answer)[:2] == (404, "Request_ResourceNotFound")
    assert azure.graph("GET", f"/applications/{made['id']}").status_code == 200


@pytest.mark.parametrize(
    ("role", "sees", "restores"),
    [
        ("Application.Read.All", 200, 403),
        ("Application.ReadWrite.All", 200, 200),
        ("Application.ReadWrite.OwnedBy", 403, 200),
        ("Policy.Read.All", 403, 403),
    ],
)
def test_what_each_permission_lets_one_do_with_deleted_items(
    azure: Azure, role: str, sees: int, restores: int
) -> None:
    made = deleted(azure)
    azure.state.graph_roles = {role}

    assert azure.graph("GET", APPLICATIONS).status_code == sees
    assert azure.graph("POST", f"{BIN}/{made['id']}/restore").status_code == restores


def test_another_owners_deleted_application_is_not_ones_own_to_restore(azure: Azure) -> None:
    made = deleted(azure)
    azure.state.graph_roles = {"Application.ReadWrite.OwnedBy"}
    for one in azure.state.applications:
        one.owner_id = None

    for verb, path in (("DELETE", ""), ("POST", "/restore")):
        answer = azure.graph(verb, f"{BIN}/{made['id']}{path}")
        assert error(answer)[:2] == (403, "Authorization_RequestDenied")


def test_the_deleted_items_lag_and_so_does_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for azure in running_azure(monkeypatch, SandboxSettings(propagation=3600)):
        made = upsert(azure).json()
        later = dt.timedelta(hours=1)
        azure.running.sandbox.advance(later)
        azure.graph("DELETE", f"/applications/{made['id']}")
        assert names(azure.graph("GET", APPLICATIONS)) == []
        assert azure.graph("DELETE", f"{BIN}/{made['id']}").status_code == 404
        azure.running.sandbox.advance(later)
        assert azure.graph("DELETE", f"{BIN}/{made['id']}").status_code == 204
        # Deleted permanently, and its name is taken for a while yet.
        assert error(upsert(azure)) == TAKEN
        azure.running.sandbox.advance(later)
        assert upsert(azure).status_code == 201
