"""A later command looks for the role that pullkey has granted, and grants no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.model.akka_record import HeldCredential
from bootstrap.testing.harness.world import World
from providers.gcr.errors import GoogleApiError
from providers.gcr.locate import _Search
from tests.harness.google_state import NAME, READER, project
from tests.harness.virtual_time import of

CUSTOM = "projects/acme-shop/roles/puller"
PATIENTLY = ("--timeout", "30s")
PAGE = "failed to connect: missing selected ALPN property"


def bindings(world: World) -> list[Any]:
    policy = project(world).repositories["europe-west1", "containers"].policy
    return [(one.role, sorted(one.members)) for one in policy.bindings() if one.members]


def test_a_role_that_comes_from_elsewhere_is_not_granted_by_a_later_command(gcr: World) -> None:
    """`--skip-grant`: no option of the later commands names it, and the login need not change policies."""
    state = gcr.cloud.state
    account = state.add_account("acme-shop", "puller", created=project(gcr).created)
    state.organization.grant(READER, account.member, since=project(gcr).created)
    before = bindings(gcr)
    assert gcr.onboard("--service-account", account.email, "--skip-grant").code == 0
    state.denied_permissions.add("artifactregistry.repositories.setIamPolicy")

    commands = [
        ("rotate", "--all", "--yes", "--overlap", "0", *PATIENTLY),
        ("list", "--check", *PATIENTLY),
        ("verify", NAME, *PATIENTLY),
        ("import",),
    ]
    done = [gcr.run(*command) for command in commands]

    assert [one.code for one in done] == [0, 0, 0, 0], "".join(one.text for one in done)
    assert bindings(gcr) == before
    assert "skip-grant: true" in done[-1].out


def test_a_custom_role_is_the_one_that_is_rotated_with_and_removed(gcr: World) -> None:
    gcr.cloud.state.custom_roles[CUSTOM] = frozenset({"artifactregistry.repositories.downloadArtifacts"})
    before = bindings(gcr)
    assert gcr.onboard("--role", CUSTOM, "--allow-custom-role").code == 0
    granted = bindings(gcr)
    assert [role for role, _ in granted if (role, _) not in before] == [CUSTOM]

    rotated = gcr.run("rotate", NAME, "--yes", "--overlap", "0", *PATIENTLY)

    assert rotated.code == 0, rotated.text
    assert bindings(gcr) == granted
    removed = gcr.run("offboard", NAME, "--yes", *PATIENTLY)
    assert removed.code == 0, removed.text
    assert bindings(gcr) == before
    assert "akka-docker-reader@acme-shop.iam.gserviceaccount.com" not in project(gcr).accounts


def test_an_account_of_another_project_than_the_registry(gcr: World) -> None:
    """The login is the administrator of the registries there, which shows nothing else of that project."""
    state = gcr.cloud.state
    images = state.projects["acme-images"]
    images.policy.grant(
        "roles/artifactregistry.admin", f"serviceAccount:{state.operator}", since=images.created
    )
    account = state.add_account("acme-shop", "puller", created=images.created)
    named = (
        "--server",
        "europe-west1-docker.pkg.dev",
        "--gcp-project",
        "acme-images",
        "--repository",
        "base",
    )
    image = ("--image", "europe-west1-docker.pkg.dev/acme-images/base/python:3")

    done = gcr.run("onboard", "gcr", *named, *image, "--service-account", account.email, "--yes", *PATIENTLY)

    assert done.code == 0, done.text
    done = gcr.run("offboard", "europe-west1-docker-pkg-dev-acme-images-base", "--yes", *PATIENTLY)
    assert done.code == 0, done.text
    assert "lacks" not in done.text


@pytest.mark.parametrize(("code", "said"), [("UNKNOWN", "its answer cannot be read"), ("UNAVAILABLE", PAGE)])
def test_a_project_whose_repositories_could_not_be_asked_for_does_not_count_as_one_without(
    code: str, said: str
) -> None:
    async def fails(error: GoogleApiError) -> Any:
        raise error

    async def answers(what: Any) -> Any:
        return what

    def repositories(project: str, _: str) -> Any:
        if project == "acme-shop":
            return lambda: answers([])
        return lambda: fails(GoogleApiError(code, said))

    facts: Any = SimpleNamespace(
        repositories=repositories,
        policy=lambda _: lambda: fails(GoogleApiError("PERMISSION_DENIED", "denied")),
        project_state=lambda _: lambda: fails(GoogleApiError("PERMISSION_DENIED", "denied")),
        account=lambda _: lambda: answers(None),
        keys=lambda _: lambda: answers({}),
    )
    held = HeldCredential(
        "europe-west1-docker-pkg-dev-acme-images-base",
        "https://europe-west1-docker.pkg.dev",
        "_json_key",
        "puller+0123456789@acme-shop.iam.gserviceaccount.com",
        "OK",
    )

    with pytest.raises(GoogleApiError, match=code):
        of(lambda: _Search(held, facts).target(None, ""))
