"""The emulated policies of projects and repositories, and who may do what, by Google's SDKs."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.iam.v1 import policy_pb2

from tests.harness.google_sandbox import (
    CONTAINERS,
    DOWNLOAD,
    READER,
    SHOP,
    Google,
    error_info,
    project_members,
    read_policy,
    start_google,
    write_policy,
)


def test_a_binding_is_added_and_the_condition_of_another_survives(google: Google) -> None:
    account, _ = google.reader("policy-member")
    policy = read_policy(google)
    conditions = [it.condition for it in policy.bindings if it.HasField("condition")]
    assert len(conditions) == 1
    policy.bindings.append(policy_pb2.Binding(role=READER, members=[account.member]))
    write_policy(google, policy)
    after = read_policy(google)
    assert [it.condition for it in after.bindings if it.HasField("condition")] == conditions
    assert account.member in project_members(google, READER)
    assert after.version == 3


def test_a_stale_etag_is_aborted_and_nothing_is_written(google: Google) -> None:
    first, second = read_policy(google), read_policy(google)
    first.bindings.append(policy_pb2.Binding(role="roles/viewer", members=["user:one@acme.example"]))
    write_policy(google, first)
    second.bindings.append(policy_pb2.Binding(role="roles/viewer", members=["user:two@acme.example"]))
    with pytest.raises(exceptions.Aborted, match="There were concurrent policy changes"):
        write_policy(google, second)
    assert "user:two@acme.example" not in project_members(google, "roles/viewer")


def test_a_read_below_version_3_hides_conditions_and_cannot_be_written_back(google: Google) -> None:
    policy = read_policy(google, version=1)
    assert policy.version == 1
    assert not any(it.HasField("condition") for it in policy.bindings)
    renamed = [it for it in policy.bindings if "_withcond_" in it.role]
    assert [it.role.partition("_withcond_")[0] for it in renamed] == ["roles/browser"]
    with pytest.raises(exceptions.InvalidArgument, match="is not supported for this resource"):
        write_policy(google, policy)
    policy.bindings.remove(renamed[0])
    with pytest.raises(exceptions.InvalidArgument, match="must specify policy version 3"):
        write_policy(google, policy)
    assert any(it.HasField("condition") for it in read_policy(google).bindings)


def test_a_write_without_etag_below_version_3_loses_the_conditions() -> None:
    with start_google() as running:
        google = Google(running)
        policy = read_policy(google)
        kept = [it for it in policy.bindings if not it.HasField("condition")]
        write_policy(google, policy_pb2.Policy(bindings=kept, version=1))
        assert not any(it.HasField("condition") for it in read_policy(google).bindings)


@pytest.mark.parametrize(
    ("member", "role"),
    [
        ("serviceAccount:not-there@acme-shop.iam.gserviceaccount.com", READER),
        ("acme-shop", READER),
        ("serviceAccount:no at sign", READER),
        ("user:someone@acme.example", "projects/acme-shop/roles/notThere"),
        ("user:someone@acme.example", "roles/artifactregistry.raeder"),
        ("user:someone@acme.example", "artifactregistry.reader"),
    ],
)
def test_a_policy_that_names_what_is_not_there_is_refused(google: Google, member: str, role: str) -> None:
    policy = read_policy(google)
    policy.bindings.append(policy_pb2.Binding(role=role, members=[member]))
    with pytest.raises(exceptions.InvalidArgument):
        write_policy(google, policy)


def test_a_repository_has_its_own_policy_and_refuses_foreign_roles(google: Google) -> None:
    registries = google.registries
    policy = registries.get_iam_policy(request={"resource": CONTAINERS})
    assert "group:developers@acme.example" in [m for b in policy.bindings for m in b.members]
    policy.bindings.append(
        policy_pb2.Binding(role="roles/storage.objectViewer", members=["user:one@acme.example"])
    )
    with pytest.raises(exceptions.InvalidArgument, match="is not supported for this resource"):
        registries.set_iam_policy(request={"resource": CONTAINERS, "policy": policy})


@pytest.mark.parametrize(
    ("permission", "call"),
    [
        (
            "iam.serviceAccounts.create",
            lambda it: it.iam.create_service_account(name=SHOP, account_id="not-made"),
        ),
        ("resourcemanager.projects.setIamPolicy", lambda it: write_policy(it, read_policy(it))),
        ("artifactregistry.repositories.get", lambda it: it.registries.get_repository(name=CONTAINERS)),
    ],
)
def test_a_permission_that_the_operator_lacks_is_named(google: Google, permission: str, call: Any) -> None:
    google.state.denied_permissions.add(permission)
    with pytest.raises(exceptions.PermissionDenied) as caught:
        call(google)
    reason, domain, metadata = error_info(caught.value)
    assert reason == "IAM_PERMISSION_DENIED"
    assert domain.endswith(".googleapis.com")
    assert metadata["permission"] == permission


def test_permissions_can_be_tested_where_they_count(google: Google) -> None:
    google.state.denied_permissions.add("iam.serviceAccountKeys.create")
    asked = ["iam.serviceAccountKeys.create", "iam.serviceAccountKeys.list"]
    assert google.projects.test_iam_permissions(resource=SHOP, permissions=asked).permissions == asked[1:]
    on_other = google.projects.test_iam_permissions(resource="projects/no-such-project", permissions=asked)
    assert not on_other.permissions
    found = google.registries.test_iam_permissions(
        request={"resource": CONTAINERS, "permissions": [DOWNLOAD]}
    )
    assert found.permissions == [DOWNLOAD]


def test_a_project_that_is_not_there_looks_like_one_that_may_not_be_seen(google: Google) -> None:
    with pytest.raises(exceptions.PermissionDenied, match="or it may not exist"):
        google.projects.get_project(name="projects/no-such-project")
    with pytest.raises(exceptions.NotFound):
        google.registries.get_repository(name=f"{SHOP}/locations/us/repositories/nothing")
    assert "acme-shop" in [it.project_id for it in google.projects.search_projects()]
