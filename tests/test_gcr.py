"""`pullkey onboard gcr`, whole: the real SDKs against the sandbox, over sockets."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.world import World
from tests.harness.google_state import (
    ACCOUNT,
    NAME,
    READER,
    account,
    cloud_picture,
    project,
    repository_members,
)


class TestOnboarding:
    def test_akka_holds_a_key_that_pulls_and_only_may_read_that_repository(self, gcr: World) -> None:
        done = gcr.onboard()

        assert done.code == 0, done.text
        held = gcr.held(NAME)
        key = json.loads(held.password)
        assert (held.server, held.username) == ("https://europe-west1-docker.pkg.dev", "_json_key")
        assert key["client_email"] == ACCOUNT
        assert held.email == f"akka-docker-reader+{key['private_key_id']}@acme-shop.iam.gserviceaccount.com"
        assert [found.id for found in account(gcr).user_keys()] == [key["private_key_id"]]
        assert f"serviceAccount:{ACCOUNT}" in repository_members(gcr)
        assert not project(gcr).policy.members(READER)
        assert "reads the manifest" in done.err

    def test_a_new_key_is_made_beside_the_old_when_asked_for(self, gcr: World) -> None:
        gcr.onboard()
        old = gcr.held(NAME).password
        assert gcr.onboard("--new-key").code == 0
        assert gcr.held(NAME).password != old
        assert len(account(gcr).user_keys()) == 2

    @pytest.mark.parametrize("damage", ["deleted", "disabled", "expired", "taken from Akka"])
    def test_a_key_is_not_good_by_being_there(self, gcr: World, damage: str) -> None:
        gcr.onboard()
        old = gcr.held(NAME).email
        key = account(gcr).user_keys()[0]
        match damage:
            case "deleted":
                del account(gcr).keys[key.id]
            case "disabled":
                key.disabled = True
            case "expired":
                key.valid_before = key.valid_after
            case _:
                gcr.akka.projects["shop"].registries.remove(NAME, None)
        done = gcr.onboard()
        assert done.code == 0, done.text
        assert gcr.held(NAME).email != old

    def test_a_grant_that_somebody_took_is_put_back_without_a_new_key(self, gcr: World) -> None:
        gcr.onboard()
        email = gcr.held(NAME).email
        from providers.gcr.emulator.policy import AllowPolicy

        project(gcr).repositories["europe-west1", "containers"].policy = AllowPolicy()
        verdict = gcr.run("verify", "gcr")
        assert verdict.code == 5
        assert gcr.onboard().code == 0
        assert gcr.held(NAME).email == email
        assert f"serviceAccount:{ACCOUNT}" in repository_members(gcr)

    def test_others_lose_nothing(self, gcr: World) -> None:
        accounts, bindings, repositories = cloud_picture(gcr)
        gcr.onboard()
        gcr.onboard("--server", "gcr.io/acme-shop/checkout:1.0")
        after_accounts, after_bindings, after_repositories = cloud_picture(gcr)
        assert {email: after_accounts[email] for email in accounts} == accounts
        assert after_bindings == bindings
        mine = f"serviceAccount:{ACCOUNT}"
        for key, found in repositories.items():
            left = [line.replace(f'members: "{mine}"\n', "") for line in after_repositories[key]]
            assert [line for line in left if line.count("members")] == found


class TestTargets:
    def test_gcr_io(self, gcr: World) -> None:
        done = gcr.onboard("--server", "gcr.io/acme-shop/checkout:1.0")
        assert done.code == 0, done.text
        assert gcr.held("gcr-io-acme-shop").server == "https://gcr.io"
        assert f"serviceAccount:{ACCOUNT}" in repository_members(gcr, "gcr.io", "us")

    def test_the_whole_project_where_no_repository_is_named(self, gcr: World) -> None:
        done = gcr.onboard("--server", "https://europe-west1-docker.pkg.dev")
        assert done.code == 0, done.text
        assert f"serviceAccount:{ACCOUNT}" in project(gcr).policy.members(READER)
        assert "may pull" in done.err

    def test_the_role_of_akkas_older_page_is_told_to_be_broader(self, gcr: World) -> None:
        done = gcr.onboard("--role", "roles/storage.objectViewer", "--no-wait")
        assert done.code == 0, done.text
        assert f"serviceAccount:{ACCOUNT}" in project(gcr).policy.members("roles/storage.objectViewer")
        assert "broader than a puller needs" in done.err

    def test_without_waiting_it_says_that_nothing_is_proven(self, gcr: World) -> None:
        done = gcr.onboard("--no-wait")
        assert done.code == 0
        assert "NOT verified" in done.err
        assert f"pullkey verify {gcr.names()[0]}" in done.err
        # Whether anybody may pull is asked, without a credential; that is no proof of one.
        assert gcr.calls("registry.GetToken") == 1
        assert gcr.calls("registry.GetManifest") == 0

    def test_an_account_of_another_project_that_somebody_made(self, gcr: World) -> None:
        state = gcr.cloud.state
        made = state.add_account("acme-images", "puller", created=state.now())
        state.project("acme-images").policy.grant(
            "roles/owner", f"serviceAccount:{state.operator}", since=state.now()
        )
        done = gcr.onboard("--service-account", made.email)
        assert done.code == 0, done.text
        assert "iam.CreateServiceAccount" not in gcr.changes()
        assert json.loads(gcr.held(NAME).password)["client_email"] == made.email

    def test_only_the_key_where_the_role_is_granted_by_others(self, gcr: World) -> None:
        state = gcr.cloud.state
        made = state.add_account("acme-shop", "puller", created=state.now())
        project(gcr).policy.grant(READER, made.member, since=state.now())
        done = gcr.onboard("--service-account", made.email, "--skip-grant")
        assert done.code == 0, done.text
        assert gcr.changes() == ["iam.CreateServiceAccountKey", "akka.docker.add-credentials"]

    def test_acting_as_another_account(self, gcr: World) -> None:
        done = gcr.onboard(
            "--impersonate-service-account", "registry-setup@acme-admin.iam.gserviceaccount.com"
        )
        assert done.code == 0, done.text
        assert "as registry-setup@acme-admin" in done.err

    def test_a_name_that_is_used_for_another_registry_is_not_overwritten_by_accident(
        self, gcr: World
    ) -> None:
        gcr.onboard("--secret-name", "docker-credentials")
        before, picture = gcr.held("docker-credentials"), cloud_picture(gcr)
        other = ("--server", "gcr.io/acme-shop/checkout:1.0", "--secret-name", "docker-credentials")

        refused = gcr.onboard(*other)
        assert refused.code == 3
        assert "--replace" in refused.err
        assert gcr.held("docker-credentials") == before
        assert cloud_picture(gcr) == picture

        assert gcr.onboard(*other, "--replace").code == 0
        assert gcr.held("docker-credentials").server == "https://gcr.io"


class TestToldFirst:
    """Each in a sentence, with exit code 3, before anything is changed."""

    def refused(self, world: World, *arguments: str, says: str) -> None:
        before = cloud_picture(world)
        done = world.onboard(*arguments)
        assert done.code == 3, done.text
        assert says in done.err
        assert "no changes were made" in done.err
        assert world.changes() == []
        assert cloud_picture(world) == before

    def test_a_wrong_project(self, gcr: World) -> None:
        self.refused(gcr, "--server", "gcr.io", "--gcp-project", "acme-shoppp", says="no project acme-shoppp")

    def test_a_wrong_repository_and_the_right_ones(self, gcr: World) -> None:
        self.refused(
            gcr, "--server", "europe-west1-docker.pkg.dev/acme-shop/container", says="containers, tools"
        )

    def test_an_api_that_is_not_enabled(self, gcr: World) -> None:
        del project(gcr).services["artifactregistry.googleapis.com"]
        self.refused(gcr, says="--enable-apis")

    def test_every_missing_permission_by_name(self, gcr: World) -> None:
        gcr.cloud.state.denied_permissions |= {"iam.serviceAccounts.create", "iam.serviceAccountKeys.create"}
        self.refused(gcr, says="iam.serviceAccounts.create")
        assert "iam.serviceAccountKeys.create" in "".join(gcr.said)

    @pytest.mark.parametrize(
        "constraint", ["iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation"]
    )
    def test_a_policy_that_forbids_keys(self, gcr: World, constraint: str) -> None:
        project(gcr).constraints[constraint] = True
        self.refused(gcr, says=constraint)

    def test_ten_keys(self, gcr: World) -> None:
        from providers.gcr.emulator.state import generate_private_key

        state = gcr.cloud.state
        ours = state.add_account("acme-shop", "akka-docker-reader", created=state.now())
        public = generate_private_key().public_key()
        for _ in range(10):
            state.add_key(ours, public, created=state.now())
        self.refused(gcr, says="has 10 keys, and Google allows 10")

    def test_a_disabled_account(self, gcr: World) -> None:
        state = gcr.cloud.state
        state.add_account("acme-shop", "akka-docker-reader", created=state.now()).disabled = True
        self.refused(gcr, says="is disabled")

    def test_an_account_that_was_deleted_is_told_and_no_hindrance(self, gcr: World) -> None:
        gcr.onboard()
        gcr.cloud.state.delete_account(account(gcr))
        done = gcr.onboard()
        assert done.code == 0, done.text
        assert "was deleted (unique id" in done.err
        assert "inherits nothing" in done.err

    def test_akka_that_is_not_logged_in(self, gcr: World) -> None:
        gcr.akka.mode = "logged-out"
        self.refused(gcr, says="akka auth login")
        gcr.extra["PULLKEY_AKKA_TOKEN_FILE"] = "/run/akka/token"
        self.refused(gcr, says="Put a valid token in /run/akka/token.")

    def test_akka_that_does_not_show_the_project(self, gcr: World) -> None:
        self.refused(gcr, "--akka-project", "no-such-project", says="no-such-project")

    def test_akka_that_is_not_there(self, gcr: World) -> None:
        done = gcr.onboard(env={"PULLKEY_AKKA_CLI": "/nonexistent/akka"})
        assert done.code == 3
        assert "is not installed" in done.err

    def test_no_google_login(self, gcr: World, tmp_path: Path) -> None:
        done = gcr.onboard(env={"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "nothing.json")})
        assert done.code == 3
        assert "gcloud auth application-default login" in done.err


class TestHelpers:
    def test_apis_are_enabled_when_asked_for(self, gcr: World) -> None:
        del project(gcr).services["artifactregistry.googleapis.com"]
        done = gcr.onboard("--enable-apis")
        assert done.code == 0, done.text
        assert "artifactregistry.googleapis.com" in project(gcr).services

    def test_a_plan_shows_the_commands_and_changes_nothing(self, gcr: World) -> None:
        plan = gcr.run("plan", "gcr")
        assert plan.code == 0
        assert "gcloud iam service-accounts create akka-docker-reader --project=acme-shop" in plan.err
        assert "akka docker add-credentials" in plan.err
        assert gcr.changes() == []

    def test_missing_rights_are_handed_over_and_the_same_command_goes_on(
        self, gcr: World, tmp_path: Path
    ) -> None:
        state = gcr.cloud.state
        state.denied_permissions |= {
            "iam.serviceAccounts.create",
            "artifactregistry.repositories.setIamPolicy",
        }
        script = tmp_path / "steps.sh"
        refused = gcr.onboard("--handover", str(script))
        assert refused.code == 3
        text = script.read_text()
        assert "gcloud iam service-accounts create" in text
        assert "gcloud artifacts repositories add-iam-policy-binding" in text
        assert "keys create" not in text

        # Somebody who may does what the script says; the rights stay missing.
        made = state.add_account("acme-shop", "akka-docker-reader", created=state.now())
        project(gcr).repositories["europe-west1", "containers"].policy.grant(
            READER, made.member, since=state.now()
        )

        done = gcr.onboard()
        assert done.code == 0, done.text

    def test_what_is_handed_over_brings_what_it_needs_first(self, gcr: World, tmp_path: Path) -> None:
        gcr.cloud.state.denied_permissions.add("artifactregistry.repositories.setIamPolicy")
        script = tmp_path / "steps.sh"
        gcr.onboard("--handover", str(script))
        text = script.read_text()
        assert text.index("gcloud iam service-accounts create") < text.index("add-iam-policy-binding")

    def test_verify_says_what_is_proven_and_pulls_with_a_password_on_stdin(self, gcr: World) -> None:
        assert gcr.run("verify", "gcr").code == 5
        gcr.onboard()
        seen = gcr.run("verify", "gcr")
        assert seen.code == 0
        assert "Pull not tested" in seen.err
        pulled = gcr.run("verify", "gcr", "--credential-stdin", stdin=gcr.held(NAME).password)
        assert pulled.code == 0
        assert "reads the manifest" in pulled.err
        assert gcr.run("verify", "gcr", "--credential-stdin", stdin="{}").code == 5

    @pytest.mark.parametrize(
        "arguments",
        [
            ("plan", "gcr"),
            ("onboard", "gcr", "--yes"),
            ("verify", "gcr"),
            (
                "onboard",
                "gcr",
                "--yes",
                "--gcp-project",
                "acme-shop",
                "--server",
                "gcr.io",
                "--akka-project",
                "nope",
            ),
        ],
    )
    def test_the_json_is_as_the_schema_says_and_alone_on_stdout(
        self, gcr: World, arguments: tuple[str, ...]
    ) -> None:
        done = gcr.run(*arguments, "--output", "json")
        jsonschema.validate(done.json, schemas()["run"])
        assert done.json["exit_code"] == done.code

    def test_verbose_shows_each_call(self, gcr: World) -> None:
        done = gcr.onboard("--verbose")
        assert "google CreateServiceAccountKey projects/acme-shop/serviceAccounts/" in done.err
        assert "registry GET https://europe-west1-docker.pkg.dev/v2/token 200" in done.err
        assert "akka docker add-credentials exit 0" in done.err
        assert "private" not in done.err

    def test_a_pipe_without_yes_is_refused(self, gcr: World) -> None:
        done = gcr.run("onboard", "gcr")
        assert done.code == 2
        assert "--yes" in done.err
        assert gcr.changes() == []
