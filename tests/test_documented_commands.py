"""The real `gcloud` and `az`, a person's own way, beside ours: the clouds end alike."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world
from tests.harness.command import run_script
from tests.harness.fleet_sandbox import fleet
from tests.harness.google_state import ACCOUNT, cloud_picture, project

needs_gcloud = pytest.mark.needs_cloud_cli("gcloud")
needs_az = pytest.mark.needs_cloud_cli("az")


def shape(world: World) -> Any:
    """What a person would call the state of the project: accounts, number of keys, who has which role."""
    shop = project(world)
    policies = {
        "project": shop.policy,
        **{name: found.policy for (_, name), found in shop.repositories.items()},
    }
    return (
        {email: len(found.user_keys()) for email, found in shop.accounts.items()},
        {name: sorted(str(binding) for binding in found.bindings()) for name, found in policies.items()},
    )


@needs_gcloud
def test_googles_documented_commands_end_as_onboard_does(tmp_path: Path) -> None:
    script = tmp_path / "documented.sh"
    script.write_text(
        "set -eu\n"
        "gcloud iam service-accounts create akka-docker-reader\n"
        f"gcloud projects add-iam-policy-binding acme-shop --member=serviceAccount:{ACCOUNT} "
        "--role=roles/artifactregistry.reader --condition=None\n"
        f"gcloud iam service-accounts keys create {tmp_path}/keyfile.json --iam-account {ACCOUNT}\n"
        "akka docker add-credentials --docker-server https://europe-west1-docker.pkg.dev "
        "--docker-username _json_key "
        f'--docker-email anyemail@example.com --docker-password "$(cat {tmp_path}/keyfile.json)"\n'
    )
    for world in make_world("gcr"):
        by_hand = run_script(world, script)
        assert by_hand.code == 0, by_hand.text
        theirs = shape(world)
        registered = world.held("docker-credentials")
    for world in make_world("gcr"):
        done = world.onboard("--server", "europe-west1-docker.pkg.dev", "--secret-name", "docker-credentials")
        assert done.code == 0, done.text
        assert shape(world) == theirs
        ours = world.held("docker-credentials")
        assert (ours.server, ours.username) == (registered.server, registered.username)
        assert sorted(json.loads(ours.password)) == sorted(json.loads(registered.password))


@needs_gcloud
@pytest.mark.parametrize(
    "server", [(), ("--server", "europe-west1-docker.pkg.dev"), ("--server", "gcr.io/acme-shop/checkout")]
)
def test_the_runbook_of_a_google_registry_ends_as_onboard_does_and_undoes(
    gcr: World, tmp_path: Path, server: tuple[str, ...]
) -> None:
    before = cloud_picture(gcr)
    script = tmp_path / "steps.sh"
    script.write_text(gcr.run("runbook", "gcr", *server).out)

    done = run_script(gcr, script)
    assert done.code == 0, done.text

    # What the runbook has left is what onboard would have: it finds nothing to do.
    again = gcr.onboard(*server, "--output", "json")
    assert again.json["result"] == "unchanged", again.text

    link = KeyRef.parse(again.json["credential"]["email"])
    assert link is not None
    undone = run_script(gcr, script, "undo", KEY_ID=link.key_id)
    assert undone.code == 0, undone.text
    assert cloud_picture(gcr) == before
    assert gcr.names() == []


@needs_gcloud
def test_a_hand_over_is_run_by_whoever_may_and_the_same_command_goes_on(gcr: World, tmp_path: Path) -> None:
    denied = gcr.cloud.state.denied_permissions
    denied |= {"iam.serviceAccounts.create", "artifactregistry.repositories.setIamPolicy"}
    script = tmp_path / "steps.sh"
    assert gcr.onboard("--handover", str(script)).code == 3

    lacking, gcr.cloud.state.denied_permissions = denied, set()
    done = run_script(gcr, script)
    assert done.code == 0, done.text
    gcr.cloud.state.denied_permissions = lacking

    assert gcr.onboard().code == 0


def azure_shape(world: World) -> Any:
    """Applications of our name, how many secrets each has, and which roles on what."""
    state = world.cloud.state
    ours = [
        one for one in state.applications if one.display_name == "akka-docker-reader" and one.lifetime.exists
    ]
    principals = {
        state.principal_by_app_id(one.app_id).id for one in ours if state.principal_by_app_id(one.app_id)
    }
    return (
        [len([secret for secret in one.secrets if secret.lifetime.exists]) for one in ours],
        len(principals),
        sorted(
            (one.role.name, one.scope.lower())
            for one in state.role_assignments
            if one.principal_id in principals and one.lifetime.exists
        ),
    )


@needs_az
def test_azures_documented_commands_end_as_onboard_does(tmp_path: Path) -> None:
    """As Akka's page has them, with what no longer works fixed: one create-for-rbac gives user and
    password.
    """
    script = tmp_path / "documented.sh"
    script.write_text(
        "set -eu\n"
        "ID=$(az acr show --name acmeshop --query id --output tsv)\n"
        'az ad sp create-for-rbac --name akka-docker-reader --scopes "$ID" --role acrpull --output '
        "json > sp.json\n"
        "APP=$(az ad sp list --display-name akka-docker-reader --query '[0].appId' --output tsv)\n"
        'akka docker add-credentials --docker-server acmeshop.azurecr.io --docker-username "$APP" '
        "--docker-email anyemail@example.com "
        '--docker-password "$(sed -n \'s/.*"password": *"\\(.*\\)".*/\\1/p\' sp.json)"\n'
    )
    for world in make_world("acr"):
        # In a folder of its own: the password must not stand where the search for leaks looks.
        by_hand = subprocess.run(
            ["bash", script],
            cwd=tmp_path,
            env=world.running.process_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert by_hand.returncode == 0, by_hand.stderr
        theirs = azure_shape(world)
        assert theirs[0] == [1]
        registered = world.held("docker-credentials")
    for world in make_world("acr"):
        done = world.onboard("--secret-name", "docker-credentials")
        assert done.code == 0, done.text
        assert azure_shape(world) == theirs
        assert world.held("docker-credentials").server == registered.server


@needs_az
def test_the_runbook_of_an_azure_registry_ends_as_onboard_does_and_undoes(acr: World, tmp_path: Path) -> None:
    before = azure_shape(acr)
    script = tmp_path / "steps.sh"
    script.write_text(acr.run("runbook", "acr").out)

    done = run_script(acr, script)
    assert done.code == 0, done.text

    again = acr.onboard("--output", "json")
    assert again.json["result"] == "unchanged", again.text

    undone = run_script(acr, script, "undo", KEY_ID=again.json["credential"]["key_id"])
    assert undone.code == 0, undone.text
    assert azure_shape(acr) == before
    assert acr.names() == []


@needs_az
def test_a_hand_over_for_azure_is_run_by_whoever_may_and_the_same_command_goes_on(
    acr: World, tmp_path: Path
) -> None:
    denied = acr.cloud.state.denied_actions
    denied.add("Microsoft.Authorization/roleAssignments/write")
    script = tmp_path / "steps.sh"
    assert acr.onboard("--handover", str(script)).code == 3

    denied.clear()
    done = run_script(acr, script)
    assert done.code == 0, done.text
    denied.add("Microsoft.Authorization/roleAssignments/write")

    assert acr.onboard().code == 0
    assert len(azure_shape(acr)[0]) == 1


@pytest.mark.parametrize(
    "cloud", [pytest.param("gcr", marks=needs_gcloud), pytest.param("acr", marks=needs_az)]
)
def test_the_runbook_of_a_file_ends_as_apply_does(tmp_path: Path, cloud: str) -> None:
    with fleet(10, SandboxSettings()) as (running, file):
        env = running.process_environment(PULLKEY_RUNBOOK_LOGIN="no", PULLKEY_RUNBOOK_PAUSE="1")

        def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command,
                env=env | more,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )

        def plan() -> dict[str, tuple[str, str]]:
            found = run("pullkey", "plan", "-f", str(file), "--output", "json")
            return {
                one["name"]: (one["action"], one["key_id"])
                for one in json.loads(found.stdout)["targets"]
                if one["provider"] == cloud
            }

        first, second = list(plan())[:2]
        script = tmp_path / "onboard.sh"
        script.write_text(run("pullkey", "runbook", "-f", str(file), "--format", "bash").stdout)
        for name in (first, second):
            done = run("bash", str(script), "do", name)
            assert done.returncode == 0, done.stdout + done.stderr
        made = plan()
        assert {name for name, (action, _) in made.items() if action == "keep"} == {first, second}

        undone = run("bash", str(script), "undo", first, KEY_ID=made[first][1])
        assert undone.returncode == 0, undone.stdout + undone.stderr
        left = plan()
        assert left[first][0] == "create"
        assert left[second] == made[second]
