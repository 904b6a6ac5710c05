"""A stale read shows what was there before the last change, whichever process asks: a replica does not
know which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import iam_admin_v1
from google.oauth2 import credentials

from providers.acr.emulator.roles import ACR_PULL
from tests.harness.azure_sandbox import Azure, Clients
from tests.harness.docker_hub_sandbox import HubClient, create_pat, start_docker_hub
from tests.harness.google_sandbox import Google, start_google

# google-auth has no types for these.
untyped_credentials: Any = credentials.Credentials


@pytest.fixture
def hub() -> Iterator[HubClient]:
    with start_docker_hub() as started:
        yield HubClient(started)


@pytest.fixture
def google() -> Iterator[Google]:
    with start_google() as started:
        yield Google(started)


def of_another_process(
    faults: Callable[[str], None], call: str, read: Callable[[], Any], change: Callable[[], Any]
) -> None:
    """Read before and after a change, each time with a new login, as a process has one."""
    before = read()
    change()
    after = read()
    assert before != after
    faults(f"{call}=stale")
    assert read() == before
    assert read() == after


def test_of_docker_hub(hub: HubClient) -> None:
    def read() -> Any:
        return hub.hub.get("/v2/access-tokens", headers=hub.log_in()).json()["count"]

    of_another_process(
        hub.running.sandbox.faults.add, "hub.ListAccessTokens", read, lambda: create_pat(hub, hub.log_in())
    )


def test_of_graph(azure: Azure) -> None:
    def read() -> Any:
        async def count(clients: Clients) -> int:
            found = await clients.graph.applications.get()
            assert found is not None
            return len(found.value or [])

        return azure.as_operator(count)

    of_another_process(azure.fault, "graph.ListApplications", read, lambda: azure.puller(None, ""))


def test_of_resource_manager(azure: Azure) -> None:
    def read() -> Any:
        async def count(clients: Clients) -> int:
            return len(
                [one async for one in clients.authorization.role_assignments.list_for_scope(azure.shop.id)]
            )

        return azure.as_operator(count)

    of_another_process(
        azure.fault, "arm.ListRoleAssignments", read, lambda: azure.puller(ACR_PULL, azure.shop.id)
    )


@pytest.mark.parametrize("signs", [True, False], ids=["signed by the login", "issued to the login"])
def test_of_google(google: Google, signs: bool) -> None:
    account = google.state.add_account("acme-shop", f"puller-{signs}".lower())

    def read() -> Any:
        token = None if signs else untyped_credentials(google.emulator.tokens.issue(google.state.operator)[0])
        keys = google.client(iam_admin_v1.IAMClient, token).list_service_account_keys(
            name=account.name, key_types=["USER_MANAGED"]
        )
        return len(keys.keys)

    of_another_process(
        google.running.sandbox.faults.add,
        "iam.ListServiceAccountKeys",
        read,
        lambda: google.iam.create_service_account_key(name=account.name),
    )
