"""Undoing at Google a moment after the doing: what the answering server does not know yet is not gone."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from bootstrap.testing.harness.world import World
from providers.gcr import policy
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


def test_a_role_that_is_not_there_is_no_left_over(gcr: World) -> None:
    assert gcr.onboard().code == 0
    repository = gcr.cloud.state.projects["acme-shop"].repositories["europe-west1", "containers"]
    found = repository.policy.read(3)
    assert policy.remove(found, "roles/artifactregistry.reader", ACCOUNT)
    repository.policy.write(found, audit_configs=False, now=gcr.cloud.state.now())

    gone = gcr.run("offboard", NAME, "--yes")

    assert gone.code == 0, gone.text
    assert "left over" not in gone.err.lower()
