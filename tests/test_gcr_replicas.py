"""Google's servers do not all show the same at once: what an onboarding makes of it, and what it names.

Recorded of the real Google: after a create GET 200, 404, 200, 404, POST 409, GET 404 ... until settled; a 403
right after a create (hashicorp/terraform-provider-google#10227, #15042).
"""

from __future__ import annotations

import datetime as dt
import json
from urllib.parse import quote

import pytest

from bootstrap.testing.harness.world import World
from providers.gcr.emulator.errors import CloudError
from tests.harness.concurrent_change import fail_after
from tests.harness.google_state import ACCOUNT, NAME, account, cloud_picture, repository_members

RESOURCE = f"projects/acme-shop/serviceAccounts/{ACCOUNT}"
NOT_SHOWN = f"404;message={quote(f'Service account {RESOURCE} does not exist.')}"


def denied(permission: str) -> str:
    return f"403;message={quote(f'Permission {chr(39)}{permission}{chr(39)} denied on resource (or it may not exist).')}"  # noqa: E501


def _created_by_another_run(world: World, *, seconds_ago: float) -> None:
    """The account is there, with the description that a run of pullkey gives it."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)
    made = world.cloud.state.add_account("acme-shop", "akka-docker-reader", created=world.cloud.state.now())
    made.description = f"Pulls images for Akka. Made by pullkey, run 0123456789ab, {at:%Y-%m-%dT%H:%M:%SZ}."


def keys(world: World, email: str = ACCOUNT) -> list[str]:
    return [key.id for key in account(world, email).user_keys()]


class TestANewAccount:
    def test_not_found_after_already_exists_is_waited_out(self, gcr: World) -> None:
        gcr.fault("iam.CreateServiceAccount=lost")
        gcr.fault(f"iam.GetServiceAccount#2={NOT_SHOWN}*2")

        done = gcr.onboard()

        assert done.code == 0, done.text
        assert keys(gcr) == [json.loads(gcr.held(NAME).password)["private_key_id"]]

    def test_one_that_is_never_shown_is_named_and_stays_known(self, gcr: World) -> None:
        gcr.fault("iam.CreateServiceAccount=lost")
        gcr.fault(f"iam.GetServiceAccount#2={NOT_SHOWN}*forever")

        done = gcr.onboard("--timeout", "3s", "--output", "json")

        assert done.code == 6, done.text
        (left,) = done.json["left_over"]
        assert ACCOUNT in left["what"]
        assert left["command"] == f"gcloud iam service-accounts delete {ACCOUNT} --project=acme-shop"
        assert "left" not in done.err.lower() or "nothing of this run" not in done.err.lower()
        assert ACCOUNT in gcr.run("doctor", "gcr").text
        every = gcr.run("offboard", "--all", "--yes")
        assert every.code == 6, every.text
        assert left["command"] in every.text
        gcr.running.sandbox.faults.faults.clear()
        again = gcr.onboard()
        assert again.code == 0, again.text
        assert f"serviceAccount:{ACCOUNT}" in repository_members(gcr)

    @pytest.mark.parametrize("how", ["create", "upload"])
    def test_a_403_on_its_first_key_is_waited_out(self, gcr: World, how: str) -> None:
        method = {"create": "CreateServiceAccountKey", "upload": "UploadServiceAccountKey"}[how]
        gcr.fault(f"iam.{method}={denied('iam.serviceAccountKeys.create')}*2")

        done = gcr.onboard("--key-source", how)

        assert done.code == 0, done.text

    @pytest.mark.parametrize("how", ["create", "upload"])
    def test_a_403_on_the_key_of_one_that_a_killed_run_has_just_created_is_waited_out(
        self, gcr: World, how: str
    ) -> None:
        method = {"create": "CreateServiceAccountKey", "upload": "UploadServiceAccountKey"}[how]
        _created_by_another_run(gcr, seconds_ago=10)
        gcr.fault(f"iam.{method}={denied('iam.serviceAccountKeys.create')}*2")

        done = gcr.onboard("--key-source", how)

        assert done.code == 0, done.text

    def test_a_403_on_the_key_of_one_that_a_run_created_long_ago_is_refused_at_once(self, gcr: World) -> None:
        _created_by_another_run(gcr, seconds_ago=600)
        gcr.fault(f"iam.CreateServiceAccountKey={denied('iam.serviceAccountKeys.create')}*forever")

        done = gcr.onboard()

        assert done.code == 1, done.text
        assert gcr.calls("iam.CreateServiceAccountKey") == 1

    def test_a_403_on_a_key_of_an_old_account_is_refused_at_once(self, gcr: World) -> None:
        gcr.cloud.state.add_account("acme-shop", "akka-docker-reader", created=gcr.cloud.state.now())
        gcr.fault(f"iam.CreateServiceAccountKey={denied('iam.serviceAccountKeys.create')}*forever")

        done = gcr.onboard()

        assert done.code == 1, done.text
        assert gcr.calls("iam.CreateServiceAccountKey") == 1
        assert "roles/iam.serviceAccountKeyAdmin" in done.err
        assert "Run it again in a while" not in done.err

    def test_one_whose_creation_was_refused_is_not_looked_for(self, gcr: World) -> None:
        before = cloud_picture(gcr)
        gcr.fault("iam.CreateServiceAccount=403")
        gcr.fault("iam.GetServiceAccount#2=503*forever")

        done = gcr.onboard("--output", "json")

        assert done.code == 1, done.text
        assert done.json["left_over"] == []
        assert cloud_picture(gcr) == before


class TestARole:
    @pytest.mark.parametrize(
        "said",
        [
            "Role roles/artifactregistry.raeder is not supported for this resource.",
            "Role (projects/acme-shop/roles/none) does not exist in the resource's hierarchy.",
            "The number of members in the policy (1,501) is larger than the maximum allowed size 1,500.",
            "Service account another-puller@acme-shop.iam.gserviceaccount.com does not exist.",
        ],
    )
    def test_what_will_not_pass_ends_at_once_in_googles_words(self, gcr: World, said: str) -> None:
        before = cloud_picture(gcr)
        gcr.fault(f"artifactregistry.SetIamPolicy=400;message={quote(said)}*forever")

        done = gcr.onboard()

        assert done.code == 1, done.text
        assert gcr.calls("artifactregistry.SetIamPolicy") == 1
        assert said in done.err
        assert "--skip-grant" in done.err
        assert cloud_picture(gcr) == before

    def test_of_a_deleted_account_with_this_name_is_named_with_what_removes_it(self, gcr: World) -> None:
        """Google's words: GoogleCloudPlatform/k8s-config-connector#279."""
        assert gcr.onboard().code == 0
        gone = account(gcr).unique_id
        gcr.cloud.state.delete_account(account(gcr))
        before = cloud_picture(gcr)
        member = f"deleted:serviceAccount:{ACCOUNT}?uid={gone}"
        said = f"Inconsistent representation of deleted member: '{member}' and 'serviceAccount:{ACCOUNT}'"
        gcr.fault(f"artifactregistry.SetIamPolicy=400;message={quote(said)}*forever")

        done = gcr.onboard()

        assert done.code == 1, done.text
        command = (
            "gcloud artifacts repositories remove-iam-policy-binding containers --location=europe-west1 "
            f"--project=acme-shop --member='{member}' --role=roles/artifactregistry.reader --condition=None"
        )
        assert command in done.err
        assert "Check --role" not in done.err
        assert cloud_picture(gcr) == before

    def test_that_its_account_does_not_exist_yet_is_waited_out(self, gcr: World) -> None:
        said = quote(f"Service account {ACCOUNT} does not exist.")
        gcr.fault(f"artifactregistry.SetIamPolicy=400;message={said}*2")

        done = gcr.onboard()

        assert done.code == 0, done.text
        assert gcr.calls("artifactregistry.SetIamPolicy") == 3

    def test_the_lost_answer_to_its_removal_is_no_left_over(self, gcr: World) -> None:
        assert gcr.onboard().code == 0
        gcr.fault("artifactregistry.SetIamPolicy=lost")

        done = gcr.run("offboard", NAME, "--yes", "--timeout", "20s", "--output", "json")

        assert done.code == 0, done.text
        assert done.json["left_over"] == []
        assert not repository_members(gcr)[1:]

    def test_nor_in_an_undo(self, gcr: World) -> None:
        before = cloud_picture(gcr)
        gcr.fault("akka.docker.add-credentials=403")
        gcr.fault("artifactregistry.SetIamPolicy#2=lost")

        done = gcr.onboard("--output", "json")

        assert done.code == 1, done.text
        assert done.json["left_over"] == []
        assert cloud_picture(gcr) == before

    def test_one_that_was_refused_is_not_left_over(self, gcr: World) -> None:
        gcr.fault("artifactregistry.SetIamPolicy=403*forever")
        gcr.fault("artifactregistry.GetIamPolicy#2=503*forever")

        done = gcr.onboard("--output", "json")

        assert done.code == 1, done.text
        assert done.json["left_over"] == []

    def test_one_that_somebody_else_grants_meanwhile_is_theirs(self, gcr: World) -> None:
        """The policy shows it when this run comes to write it, so this run's undo leaves it."""
        state = gcr.cloud.state
        made = state.add_account("acme-shop", "akka-docker-reader", created=state.now())
        containers = state.repository("acme-shop", "europe-west1", "containers").policy
        write = containers.write

        def overtaken(*_: object, **__: object) -> None:
            containers.write = write
            containers.grant("roles/artifactregistry.reader", made.member, since=state.now())
            raise CloudError("ABORTED", "There were concurrent policy changes.")

        containers.write = overtaken
        gcr.fault("akka.docker.add-credentials=403")

        done = gcr.onboard()

        assert done.code == 1, done.text
        assert made.member in repository_members(gcr)


class TestKeys:
    def test_one_empty_list_makes_no_second_key(self, gcr: World) -> None:
        assert gcr.onboard().code == 0
        held = gcr.held(NAME).email
        gcr.fault("iam.ListServiceAccountKeys=empty")

        again = gcr.onboard("--output", "json")

        assert again.code == 0, again.text
        assert again.json["result"] == "unchanged"
        assert gcr.held(NAME).email == held
        assert len(keys(gcr)) == 1

    def test_a_lost_creation_that_the_list_shows_late_leaves_no_second_key(self, gcr: World) -> None:
        gcr.fault("iam.CreateServiceAccountKey=lost")
        gcr.fault("iam.ListServiceAccountKeys=empty*2")

        done = gcr.onboard("--timeout", "30s")

        assert done.code == 1, done.text
        assert gcr.calls("iam.CreateServiceAccountKey") == 1
        assert account(gcr) is None

    def test_a_key_that_a_rotation_replaces_is_switched_off_though_no_list_shows_it(self, gcr: World) -> None:
        assert gcr.onboard().code == 0
        old = json.loads(gcr.held(NAME).password)["private_key_id"]
        hidden = ("iam.ListServiceAccountKeys=empty*forever", "iam.GetServiceAccountKey=404*forever")
        with fail_after(gcr, "iam.CreateServiceAccountKey", 2, hidden):
            done = gcr.run("rotate", NAME, "--yes", "--timeout", "20s", "--overlap", "0")

        assert done.code == 0, done.text
        assert account(gcr).keys[old].disabled
        assert "already deleted" not in done.text


def test_one_404_of_a_given_account_refuses_nothing(gcr: World) -> None:
    state = gcr.cloud.state
    made = state.add_account("acme-shop", "puller", created=state.now())
    gcr.fault(f"iam.GetServiceAccount=404;message={quote(f'Service account {made.name} does not exist.')}")

    done = gcr.onboard("--service-account", made.email)

    assert done.code == 0, done.text


def test_nor_one_404_of_a_repository_that_a_list_shows(gcr: World) -> None:
    gcr.fault("artifactregistry.GetRepository=404")

    done = gcr.onboard()

    assert done.code == 0, done.text
