"""What Google does not let a person do: named with the permission, a role that has it, and the way round."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.google_state import account, project

IAM, MANAGER, REGISTRY = (
    "iam.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "artifactregistry.googleapis.com",
)


@pytest.mark.parametrize("disabled", [[IAM], [MANAGER], [REGISTRY], [IAM, MANAGER, REGISTRY]])
def test_enable_apis_enables_each_of_them(gcr: World, disabled: list[str]) -> None:
    for name in disabled:
        del project(gcr).services[name]

    done = gcr.onboard("--enable-apis")

    assert done.code == 0, done.text
    assert set(disabled) <= set(project(gcr).services)
    assert len(account(gcr).user_keys()) == 1


def test_the_api_that_enables_others_is_not_asked_to_enable_itself(gcr: World) -> None:
    for name in (IAM, "serviceusage.googleapis.com"):
        del project(gcr).services[name]

    done = gcr.onboard("--enable-apis")

    assert done.code == 3, done.text
    assert "gcloud services enable serviceusage.googleapis.com" in done.err
    assert "Pass --enable-apis" not in done.err
    assert gcr.changes() == []


@pytest.mark.parametrize("disabled", [IAM, REGISTRY])
def test_without_it_a_disabled_api_is_named_with_what_enables_it(gcr: World, disabled: str) -> None:
    del project(gcr).services[disabled]
    gcr.cloud.state.denied_permissions |= {"serviceusage.services.get", "serviceusage.services.list"}

    done = gcr.onboard()

    assert done.code == 3, done.text
    assert f"gcloud services enable {disabled} --project=" in done.err
    assert "in a while" not in done.err


@pytest.mark.parametrize(
    ("lacking", "role"),
    [
        ("iam.serviceAccounts.create", "roles/iam.serviceAccountCreator"),
        ("iam.serviceAccountKeys.create", "roles/iam.serviceAccountKeyAdmin"),
        ("artifactregistry.repositories.setIamPolicy", "roles/artifactregistry.admin"),
    ],
)
def test_a_missing_permission_is_named_with_a_role_that_has_it(gcr: World, lacking: str, role: str) -> None:
    gcr.cloud.state.denied_permissions.add(lacking)

    done = gcr.onboard()

    assert done.code == 3, done.text
    assert lacking in done.err
    assert f"{role} has it" in done.err
    assert "--handover" in done.err


def test_one_that_shows_only_at_the_call_too(gcr: World) -> None:
    gcr.fault(
        "artifactregistry.SetIamPolicy=403;message=The%20caller%20does%20not%20have%20permission*forever"
    )

    done = gcr.onboard()

    assert done.code == 1, done.text
    assert "artifactregistry.repositories.setIamPolicy (roles/artifactregistry.admin has it)" in done.err
    assert "--handover" in done.err
    assert "in a while" not in done.err


def test_a_lost_answer_is_no_refusal(gcr: World) -> None:
    gcr.fault("artifactregistry.SetIamPolicy=503*forever")

    done = gcr.onboard("--timeout", "4s")

    assert done.code in (1, 6), done.text
    assert "Google did not answer the request to grant" in done.err
    assert "refused" not in done.err


@pytest.mark.parametrize("lacking", ["iam.serviceAccounts.delete", "iam.serviceAccountKeys.delete"])
def test_what_only_undoing_takes_is_said_before_the_first_change(gcr: World, lacking: str) -> None:
    gcr.cloud.state.denied_permissions.add(lacking)

    done = gcr.run("plan", "gcr")

    assert done.code == 0, done.text
    assert lacking in done.text
    assert "has it" in done.text


def test_a_key_that_a_policy_forbids_unseen_is_answered_as_one_that_is_seen(gcr: World) -> None:
    project(gcr).constraints["iam.managed.disableServiceAccountKeyCreation"] = True
    seen = gcr.onboard()
    gcr.cloud.state.denied_permissions.add("orgpolicy.policy.get")

    unseen = gcr.onboard()

    assert (seen.code, unseen.code) == (3, 1)
    said = "Organisation policy iam.managed.disableServiceAccountKeyCreation forbids keys of service accounts"
    assert said in seen.err
    assert said in unseen.err
    assert "--key-source upload" in unseen.err


def test_impersonating_without_the_right_to_names_the_role(gcr: World) -> None:
    gcr.cloud.state.account("registry-setup@acme-admin.iam.gserviceaccount.com").policy = type(
        project(gcr).policy
    )()

    done = gcr.onboard("--impersonate-service-account", "registry-setup@acme-admin.iam.gserviceaccount.com")

    assert done.code == 3, done.text
    assert "roles/iam.serviceAccountTokenCreator" in done.err
