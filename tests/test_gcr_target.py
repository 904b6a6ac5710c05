"""What a person may type for a Google registry, and the policy arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from google.iam.v1 import policy_pb2
from google.type import expr_pb2
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model.errors import UsageProblem
from providers.gcr import policy
from providers.gcr.target import GcrTarget

HOST = "europe-west1-docker.pkg.dev"


def parse(**values: Any) -> GcrTarget:
    return GcrTarget.parse(values)


class TestHosts:
    @pytest.mark.parametrize(
        ("server", "location", "repository"),
        [
            (HOST, "europe-west1", ""),
            ("https://us-docker.pkg.dev", "us", ""),
            ("docker.us-central1.rep.pkg.dev", "us-central1", ""),
            ("gcr.io", "us", "gcr.io"),
            ("us.gcr.io", "us", "us.gcr.io"),
            ("eu.gcr.io", "europe", "eu.gcr.io"),
            ("asia.gcr.io", "asia", "asia.gcr.io"),
        ],
    )
    def test_a_host_says_where_its_repositories_are(
        self, server: str, location: str, repository: str
    ) -> None:
        target = parse(server=server, gcp_project="acme-shop")
        assert (target.location, target.repository) == (location, repository)

    @pytest.mark.parametrize(
        "server",
        [
            "docker.io",
            "gcr.io.example.com",
            "evilgcr.io",
            "pkg.dev",
            "acr.azurecr.io",
            "xpkg.dev",
            "mirror.gcr.io",
        ],
    )
    def test_no_other_host_is_taken_for_google(self, server: str) -> None:
        with pytest.raises(UsageProblem, match="is not a Google registry"):
            parse(server=server, gcp_project="acme-shop")


class TestImages:
    def test_a_whole_image_names_project_repository_and_what_to_pull(self) -> None:
        target = parse(server=f"{HOST}/acme-shop/containers/team/checkout:1.0")
        assert target.project == "acme-shop"
        assert target.repository == "containers"
        assert target.image_path == "team/checkout"
        assert target.reference == "1.0"
        assert target.registry == HOST
        assert target.secret_name == "europe-west1-docker-pkg-dev-acme-shop-containers"

    def test_an_image_of_gcr_io_is_in_the_repository_of_that_name(self) -> None:
        target = parse(server="eu.gcr.io/acme-shop/checkout")
        assert (target.project, target.repository, target.image_path) == (
            "acme-shop",
            "eu.gcr.io",
            "checkout",
        )
        assert target.grant_resource == "projects/acme-shop/locations/europe/repositories/eu.gcr.io"

    def test_a_domain_scoped_project(self) -> None:
        target = parse(server=f"{HOST}/example.com/acme-shop/containers/checkout:1")
        assert target.project == "example.com:acme-shop"
        assert target.path == "example.com/acme-shop/containers"
        assert target.account == "akka-docker-reader@acme-shop.example.com.iam.gserviceaccount.com"

    def test_a_repository_without_an_image_is_no_image(self) -> None:
        target = parse(server=f"{HOST}/acme-shop/containers")
        assert (target.repository, target.image_path, target.reference) == ("containers", "", "")

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({}, "No registry"),
            ({"server": HOST}, "No Google project"),
            ({"server": HOST, "gcp_project": "Acme Shop"}, "--gcp-project"),
            ({"server": HOST, "gcp_project": "123456789012"}, "--gcp-project"),
            ({"server": f"{HOST}/other-project/c/x", "gcp_project": "acme-shop"}, "name one"),
            ({"server": f"{HOST}/acme-shop/c/x", "repository": "d"}, "name one"),
            ({"server": HOST, "gcp_project": "acme-shop", "repository": "No Such"}, "--repository"),
            ({"server": HOST, "gcp_project": "acme-shop", "service_account": "Bad_ID!"}, "--service-account"),
            ({"server": HOST, "gcp_project": "acme-shop", "service_account": "short"}, "--service-account"),
            (
                {"server": HOST, "gcp_project": "acme-shop", "service_account": "me@gmail.com"},
                "--service-account",
            ),
            ({"server": HOST, "gcp_project": "acme-shop", "role": "viewer"}, "--role"),
            ({"server": HOST, "gcp_project": "acme-shop", "role": "roles/owner"}, "--allow-custom-role"),
            ({"server": HOST, "gcp_project": "acme-shop", "image": "gcr.io/acme-shop/x"}, "name one"),
            ({"server": f"{HOST}:8443", "gcp_project": "acme-shop"}, "port"),
        ],
    )
    def test_each_mistake_is_named(self, values: dict[str, str], said: str) -> None:
        with pytest.raises(UsageProblem) as error:
            GcrTarget.parse(values)
        assert said in f"{error.value.what} {error.value.fix}"

    @given(
        st.dictionaries(
            st.sampled_from(["server", "gcp_project", "repository", "service_account", "role", "image"]),
            st.text(max_size=40) | st.just(HOST),
        )
    )
    def test_anything_typed_is_read_or_refused(self, values: dict[str, str]) -> None:
        try:
            target = GcrTarget.parse(values)
        except UsageProblem:
            return
        assert target.role in ("roles/artifactregistry.reader", "roles/storage.objectViewer")


class TestGrantPlace:
    def test_on_the_repository_where_one_is_named(self) -> None:
        assert parse(server=HOST, gcp_project="acme-shop", repository="containers").grant_on_repository

    def test_else_on_the_project(self) -> None:
        assert parse(server=HOST, gcp_project="acme-shop").grant_resource == "projects/acme-shop"

    def test_the_storage_role_of_the_older_page_on_the_project(self) -> None:
        target = parse(server="gcr.io/acme-shop/checkout", role="roles/storage.objectViewer")
        assert target.grant_resource == "projects/acme-shop"

    def test_an_account_of_another_project_is_looked_for_there(self) -> None:
        target = parse(
            server=HOST, gcp_project="acme-shop", service_account="puller@acme-images.iam.gserviceaccount.com"
        )
        assert (
            target.account_resource
            == "projects/acme-images/serviceAccounts/puller@acme-images.iam.gserviceaccount.com"
        )


ROLES = st.sampled_from(["roles/artifactregistry.reader", "roles/viewer", "roles/owner"])
MEMBERS = st.sampled_from(
    [
        "user:ann@example.com",
        "group:dev@example.com",
        "serviceAccount:ci@x.iam.gserviceaccount.com",
        "deleted:serviceAccount:us@p?uid=1",
    ]
)
BINDINGS = st.builds(
    lambda role, members, condition: policy_pb2.Binding(
        role=role,
        members=members,
        condition=expr_pb2.Expr(expression="true", title="t") if condition else None,
    ),
    ROLES,
    st.lists(MEMBERS, min_size=1, unique=True),
    st.booleans(),
)
POLICIES = st.builds(
    lambda bindings, etag: policy_pb2.Policy(bindings=bindings, etag=etag, version=3),
    st.lists(BINDINGS, max_size=6),
    st.binary(max_size=8),
)
US = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"


class TestPolicy:
    @given(POLICIES, ROLES)
    def test_granting_and_taking_back_leaves_others_as_they_were(self, before: Any, role: str) -> None:
        after = policy_pb2.Policy()
        after.CopyFrom(before)

        policy.add(after, role, US)
        assert policy.has(after, role, US)
        assert policy.remove(after, role, US)

        assert after == before
        assert not policy.remove(after, role, US)

    @given(POLICIES, ROLES)
    def test_a_grant_adds_one_member_and_keeps_the_etag(self, before: Any, role: str) -> None:
        after = policy_pb2.Policy()
        after.CopyFrom(before)
        policy.add(after, role, US)

        def members(of: Any) -> list[tuple[str, str, str]]:
            return [(b.role, b.condition.expression, name) for b in of.bindings for name in b.members]

        assert sorted(members(after)) == sorted([*members(before), (role, "", f"serviceAccount:{US}")])
        assert after.etag == before.etag

    def test_a_conditional_binding_is_no_grant(self) -> None:
        conditional = policy_pb2.Binding(
            role="roles/viewer", members=[f"serviceAccount:{US}"], condition=expr_pb2.Expr(expression="false")
        )
        assert not policy.has(policy_pb2.Policy(bindings=[conditional]), "roles/viewer", US)

    def test_a_deleted_account_is_seen(self) -> None:
        gone = policy_pb2.Binding(role="roles/viewer", members=[f"deleted:serviceAccount:{US}?uid=42"])
        assert policy.deleted_accounts(policy_pb2.Policy(bindings=[gone]), US) == ["42"]
