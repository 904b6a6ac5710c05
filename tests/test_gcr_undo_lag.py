"""Undoing at Google a moment after the doing: what the answering server does not know yet is not gone."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest

from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import StepFailed
from bootstrap.testing.harness.world import World
from providers.gcr import policy
from providers.gcr.cache import Facts
from providers.gcr.errors import GoogleApiError
from tests.harness.google_state import NAME, repository_members

ACCOUNT = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            "404;code=NOT_FOUND",
            f"Service account projects/acme-shop/serviceAccounts/{ACCOUNT} does not exist.",
        ),
        (
            "403;code=PERMISSION_DENIED",
            "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).",
        ),
    ],
)
def test_a_role_is_taken_back_though_two_servers_know_neither_role_nor_account(
    gcr: World, refusal: str, words: str
) -> None:
    granted = gcr.cloud.state.projects["acme-shop"].repositories["europe-west1", "containers"].policy
    before = granted.all_members()
    gcr.fault("iam.CreateServiceAccountKey=412*forever")
    # Earlier reads are those of the preflight, and of the key's undoing.
    gcr.fault("artifactregistry.GetIamPolicy#2=stale")
    gcr.fault(f"iam.GetServiceAccount#3={refusal};message={quote(words, safe='')}")
    done = gcr.onboard("--output", "json")
    assert [it.taken for it in gcr.running.sandbox.faults.faults][1:] == [1, 1]
    assert done.code == 1, done.err
    assert json.loads(done.out)["left_over"] == []
    assert granted.all_members() == before


def test_a_role_that_no_read_shows_is_not_left_to_a_deleted_account(gcr: World) -> None:
    assert gcr.onboard().code == 0
    gcr.fault("artifactregistry.GetIamPolicy=stale*8")

    gone = gcr.run("offboard", NAME, "--yes")

    assert gone.code == 0, gone.text
    assert not [member for member in repository_members(gcr) if ACCOUNT in member]


def test_an_account_that_four_reads_do_not_show_is_not_left(gcr: World) -> None:
    assert gcr.onboard().code == 0
    repository = gcr.cloud.state.projects["acme-shop"].repositories["europe-west1", "containers"]
    found = repository.policy.read(3)
    assert policy.remove(found, "roles/artifactregistry.reader", ACCOUNT)  # so it does not contradict them
    repository.policy.write(found, audit_configs=False, now=gcr.cloud.state.now())
    gcr.fault("iam.GetServiceAccount=404*4")

    gone = gcr.run("offboard", NAME, "--yes")

    assert gone.code == 0, gone.text
    assert f"; service account {ACCOUNT}." in gone.text
    assert ACCOUNT not in gcr.cloud.state.projects["acme-shop"].accounts


def test_an_account_is_not_taken_for_gone_where_there_was_no_time_to_look_again() -> None:
    class Cloud:
        async def account(self, _: str) -> None:
            raise GoogleApiError("NOT_FOUND", "")

    facts = Facts(Cloud(), Deadline(60.0))  # type: ignore[arg-type]

    async def look() -> object:
        return await facts.confirmed_account(
            f"projects/-/serviceAccounts/{ACCOUNT}", "it is", Deadline(0.5)
        )()

    with pytest.raises(StepFailed, match=rf"{ACCOUNT}.*no time to look again"):
        asyncio.run(look())


def test_a_role_that_is_not_there_is_no_left_over(gcr: World) -> None:
    assert gcr.onboard().code == 0
    repository = gcr.cloud.state.projects["acme-shop"].repositories["europe-west1", "containers"]
    found = repository.policy.read(3)
    assert policy.remove(found, "roles/artifactregistry.reader", ACCOUNT)
    repository.policy.write(found, audit_configs=False, now=gcr.cloud.state.now())

    gone = gcr.run("offboard", NAME, "--yes")

    assert gone.code == 0, gone.text
    assert "left over" not in gone.err.lower()
