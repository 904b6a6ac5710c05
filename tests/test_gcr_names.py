"""Names that are nearly right, and spellings that Google has for one thing."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from bootstrap.model.errors import UsageProblem
from bootstrap.testing.harness.world import World
from providers.gcr.target import GcrTarget
from tests.harness.google_state import project


def test_a_repository_that_is_not_there_is_one_problem_with_the_nearest_name(gcr: World) -> None:
    done = gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/contianers/checkout:1.0")

    assert done.code == 3, done.text
    assert "has no repository contianers in europe-west1" in done.err
    assert "Did you mean containers?" in done.err
    assert "lacks the permission" not in done.err
    assert gcr.changes() == []


def test_where_none_may_be_listed_none_is_said_to_be_there(gcr: World) -> None:
    gcr.cloud.state.denied_permissions.add("artifactregistry.repositories.list")

    done = gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/contianers/checkout:1.0")

    assert done.code == 3, done.text
    assert "No repository for images exists" not in done.err


def test_a_project_that_is_not_there_is_one_problem(gcr: World) -> None:
    done = gcr.onboard("--gcp-project", "acme-shpo", "--server", "europe-west1-docker.pkg.dev")

    assert done.code == 3, done.text
    assert "Google shows no project acme-shpo" in done.err
    assert "lacks the permission" not in done.err


def test_a_project_of_gcr_io_that_was_never_migrated_is_told_the_command(gcr: World) -> None:
    del project(gcr).repositories["us", "gcr.io"]

    done = gcr.onboard("--server", "gcr.io/acme-shop/checkout:1.0")

    assert done.code == 3, done.text
    assert "gcloud artifacts docker upgrade migrate --projects=acme-shop" in done.err
    assert gcr.changes() == []


def test_one_that_only_the_registry_knows_of_ends_at_once_with_googles_words(gcr: World) -> None:
    said = (
        "Container Registry is deprecated and shutting down, please use the auto migration tool to "
        "migrate to Artifact Registry (gcloud artifacts docker upgrade migrate --projects='acme-shop')."
    )
    gcr.fault(f"registry.GetToken=412;message={quote(said)}*forever")

    done = gcr.onboard("--server", "gcr.io/acme-shop/checkout:1.0")

    assert done.code in (1, 3), done.text
    assert "gcloud artifacts docker upgrade migrate --projects='acme-shop'" in done.err
    assert gcr.calls("registry.GetToken") <= 7


@pytest.mark.parametrize("where", ["server", "image"])
@pytest.mark.parametrize("named", ["example.com:shop-project", "example.com/shop-project"])
def test_a_domain_scoped_project_in_an_image(where: str, named: str) -> None:
    image = f"gcr.io/{named}/team/app:1.0"
    values = {"server": image} if where == "server" else {"server": "gcr.io", "image": image}

    target = GcrTarget.parse(values)

    assert (target.project, target.path, target.image_path, target.reference) == (
        "example.com:shop-project",
        "example.com/shop-project",
        "team/app",
        "1.0",
    )
    assert target.account == "akka-docker-reader@shop-project.example.com.iam.gserviceaccount.com"


def test_a_tag_is_not_taken_for_a_project() -> None:
    target = GcrTarget.parse({"server": "gcr.io/acme-shop/app.example:shop-project"})

    assert (target.project, target.image_path, target.reference) == (
        "acme-shop",
        "app.example",
        "shop-project",
    )


@pytest.mark.parametrize(
    "values",
    [
        {"server": "gcr.io", "gcp_project": "734512906481"},
        {"server": "europe-west1-docker.pkg.dev/734512906481/containers/checkout:1.0"},
    ],
)
def test_a_project_number_is_answered_with_how_to_find_the_id(values: dict[str, str]) -> None:
    with pytest.raises(UsageProblem) as caught:
        GcrTarget.parse(values)

    assert "is a project number" in caught.value.what
    assert "gcloud projects describe 734512906481" in caught.value.fix


def test_a_mistyped_project_of_an_image_is_not_blamed_on_an_option(gcr: World) -> None:
    done = gcr.run("onboard", "europe-west1-docker.pkg.dev/acme-shpo/containers/checkout:1.0", "--yes")

    assert done.code == 3, done.text
    assert "Did you mean acme-shop?" in done.err
    assert "--gcp-project" not in done.err
