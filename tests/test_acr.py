"""`pullkey onboard acr`, whole: the real SDKs against the sandbox, over sockets; and what goes wrong on
the way.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model.errors import UsageProblem
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world
from providers.acr import token_claims as claims
from providers.acr.registry_session import allows
from providers.acr.roles import ROLE_NAMES, assignment_name
from providers.acr.target import SUFFIXES, AcrTarget
from tests.harness.azure_state import APP, NAME, applications, cloud_picture, roles, secrets


class TestOnboarding:
    def test_akka_holds_a_secret_that_pulls_and_only_may_pull_that_registry(self, acr: World) -> None:
        done = acr.onboard()

        assert done.code == 0, done.text
        held = acr.held(NAME)
        (application,) = applications(acr)
        (secret,) = secrets(application)
        assert (held.server, held.username, held.password) == (
            "acmeshop.azurecr.io",
            application.app_id,
            secret.text,
        )
        assert held.email == f"akka-docker-reader+{secret.key_id}@acmeshop.azurecr.io"
        assert dt.timedelta(days=364) < secret.end - secret.start <= dt.timedelta(days=365)
        assert roles(acr, application.app_id) == [("AcrPull", "acmeshop")]
        assert "reads the manifest" in done.err
        assert "Unclosed" not in done.err

    def test_a_new_secret_is_added_beside_the_old_when_asked_for(self, acr: World) -> None:
        acr.onboard()
        old = acr.held(NAME).password
        assert acr.onboard("--new-key", "--expires-in", "30d").code == 0
        assert acr.held(NAME).password != old
        first, second = secrets(applications(acr)[0])
        assert first.text == old
        assert second.end - second.start <= dt.timedelta(days=30)

    @pytest.mark.parametrize("damage", ["removed", "expired", "taken from Akka"])
    def test_a_secret_is_not_good_by_being_there(self, acr: World, damage: str) -> None:
        acr.onboard()
        old = acr.held(NAME).email
        secret = secrets(applications(acr)[0])[0]
        match damage:
            case "removed":
                applications(acr)[0].secrets.remove(secret)
            case "expired":
                secret.end = secret.start
            case _:
                acr.akka.projects["shop"].registries.remove(NAME, None)
        done = acr.onboard()
        assert done.code == 0, done.text
        assert acr.held(NAME).email != old

    def test_a_role_that_somebody_took_is_put_back_without_a_new_secret(self, acr: World) -> None:
        acr.onboard()
        email, app_id = acr.held(NAME).email, applications(acr)[0].app_id
        principal = acr.cloud.state.principal_by_app_id(app_id)
        taken = [one for one in acr.cloud.state.role_assignments if one.principal_id == principal.id]
        acr.cloud.state.role_assignments.remove(taken[0])
        assert acr.run("verify", "acr").code == 5
        assert acr.onboard().code == 0
        assert acr.held(NAME).email == email
        assert roles(acr, app_id) == [("AcrPull", "acmeshop")]

    def test_a_registry_in_abac_mode_gets_the_role_that_it_honours(self, acr: World) -> None:
        done = acr.onboard("--registry", "acmeabac.azurecr.io/checkout:1.0")
        assert done.code == 0, done.text
        assert roles(acr, applications(acr)[0].app_id) == [
            ("Container Registry Repository Reader", "acmeabac")
        ]

    @pytest.mark.parametrize("spelling", ["AcmeShop", "acmeshop.azurecr.io", "resource id"])
    def test_a_registry_may_be_named_in_many_ways(self, acr: World, spelling: str) -> None:
        named = acr.cloud.state.registry("acmeshop").id if spelling == "resource id" else spelling
        done = acr.onboard("--registry", named)
        assert done.code == 0, done.text
        assert acr.held(NAME).server == "acmeshop.azurecr.io"

    def test_the_login_server_is_the_one_that_azure_tells(self, acr: World) -> None:
        state = acr.cloud.state
        labelled = state.add_registry("acmelabel", state.subscriptions[0], domain_name_label="a1b2c3")
        port = acr.running.call(acr.cloud.serve_registry(labelled))
        reach = {"PULLKEY_REGISTRY_CONNECT_TO": f"acmelabel-a1b2c3.azurecr.io=127.0.0.1:{port}"}

        done = acr.onboard("--registry", "acmelabel", env=reach)
        assert done.code == 0, done.text
        assert acr.held("acmelabel-azurecr-io").server == "acmelabel-a1b2c3.azurecr.io"

        wrong = acr.onboard("--registry", "acmelabel.azurecr.io", env=reach)
        assert wrong.code == 3
        assert "--registry acmelabel-a1b2c3.azurecr.io" in wrong.err

    def test_a_subscription_may_be_named(self, acr: World) -> None:
        assert acr.onboard("--subscription", "acme production").code == 0
        wrong = acr.onboard("--subscription", "Acme Staging")
        assert wrong.code == 3
        assert "no registry acmeshop in subscription Acme Staging" in wrong.err
        unknown = acr.onboard("--subscription", "Nobody's")
        assert unknown.code == 3
        assert "Acme Production" in unknown.err


class TestOthersApplications:
    def test_an_application_of_that_name_that_is_not_ours_is_a_question(self, acr: World) -> None:
        foreign = [acr.cloud.state.add_application(APP), acr.cloud.state.add_application(APP)]
        done = acr.onboard()
        assert done.code == 3, done.text
        for one in foreign:
            assert one.app_id in done.err
        assert "--app-id" in done.err
        assert "--app-name" in done.err
        assert acr.changes() == []

    def test_another_name_answers_it(self, acr: World) -> None:
        acr.cloud.state.add_application(APP)
        done = acr.onboard("--app-name", "Shop reader")
        assert done.code == 0, done.text
        (made,) = applications(acr, "Shop reader")
        assert made.unique_name == "pullkey-shop-reader"
        assert acr.held(NAME).email.startswith("shop-reader+")

    def test_somebody_elses_application_gets_a_secret_and_the_role_only(self, acr: World) -> None:
        (deployer,) = applications(acr, "deployer")
        others = [one.key_id for one in secrets(deployer)]
        done = acr.onboard("--app-id", deployer.app_id)
        assert done.code == 0, done.text
        assert applications(acr) == []
        assert acr.held(NAME).username == deployer.app_id
        assert [one.key_id for one in secrets(deployer)][: len(others)] == others
        assert ("AcrPull", "acmeshop") in roles(acr, deployer.app_id)
        assert acr.onboard("--app-id", deployer.app_id, "--output", "json").json["result"] == "unchanged"

    def test_skip_grant_adds_a_secret_only(self, acr: World) -> None:
        (reader,) = applications(acr, "akka-docker-reader-ci")
        before = roles(acr, reader.app_id)
        done = acr.onboard("--app-id", reader.app_id, "--skip-grant")
        assert done.code == 0, done.text
        assert roles(acr, reader.app_id) == before
        assert acr.changes() == ["graph.AddPassword", "akka.docker.add-credentials"]

    def test_an_application_that_is_not_there(self, acr: World) -> None:
        done = acr.onboard("--app-id", "00000000-1111-2222-3333-444444444444")
        assert done.code == 3
        assert "There is no application 00000000-1111-2222-3333-444444444444" in done.err

    def test_a_managed_identity_can_have_no_secret(self, acr: World) -> None:
        state = acr.cloud.state
        theirs = state.add_application("theirs")
        state.add_service_principal(theirs).kind = "ManagedIdentity"
        state.applications.remove(theirs)
        done = acr.onboard("--app-id", theirs.app_id)
        assert done.code == 3
        assert f"{theirs.app_id} is a managed identity" in done.err

    def test_an_undone_secret_leaves_others_of_the_same_application(self, acr: World) -> None:
        (deployer,) = applications(acr, "deployer")
        before = cloud_picture(acr)
        acr.fault("akka.docker.add-credentials=403")
        done = acr.onboard("--app-id", deployer.app_id)
        assert done.code == 1, done.text
        assert cloud_picture(acr) == before


class TestToldFirst:
    def test_near_names_of_a_registry_that_is_not_there(self, acr: World) -> None:
        done = acr.onboard("--registry", "acmeshopp")
        assert done.code == 3
        assert "Did you mean acmeshop" in done.err
        assert acr.changes() == []

    def test_a_registry_without_public_network_access(self, acr: World) -> None:
        done = acr.onboard("--registry", "acmevault")
        assert done.code == 3
        assert "Public network access to acmevault is off" in done.err
        assert acr.changes() == []

    def test_a_firewall_that_lets_nobody_in(self, acr: World) -> None:
        shop = acr.cloud.state.registry("acmeshop")
        shop.sku, shop.firewall_denies = "Premium", True
        done = acr.onboard()
        assert done.code == 3
        assert "az acr network-rule add" in done.err

    def test_missing_rights_by_their_names(self, acr: World, tmp_path: Path) -> None:
        acr.cloud.state.denied_actions.add("Microsoft.Authorization/roleAssignments/write")
        acr.cloud.state.graph_roles = {"Application.Read.All"}
        script = tmp_path / "handover.sh"
        done = acr.onboard("--handover", str(script))
        assert done.code == 3
        assert "Microsoft.Authorization/roleAssignments/write on registry acmeshop" in done.err
        assert "Application.ReadWrite.OwnedBy (Microsoft Graph)" in done.err
        assert "az role assignment create" in script.read_text()
        assert acr.changes() == []

    def test_a_job_is_made_an_owner_by_the_hand_over_and_else_told_to_become_one(
        self, acr: World, tmp_path: Path
    ) -> None:
        state, script = acr.cloud.state, tmp_path / "handover.sh"
        state.graph_roles = {"Application.Read.All"}
        acr.onboard("--handover", str(script))
        owner = f"--owner-object-id {state.operator.object_id}"
        assert f'az ad app owner add --id "$(application)" {owner}' in script.read_text()
        # What an older script has left: an application of the administrator's.
        made = state.add_application(APP, unique_name="pullkey-akka-docker-reader", owner_id="administrator")
        state.add_service_principal(made)
        state.graph_roles = {"Application.ReadWrite.OwnedBy"}

        done = acr.onboard()

        assert done.code == 1
        said = " ".join(done.err.split())
        assert f"Have an administrator make it one: az ad app owner add --id {made.app_id} {owner}" in said
        assert "It takes Application.ReadWrite.OwnedBy" not in said

    def test_a_login_that_does_not_own_what_it_has_created(
        self, acr: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state = acr.cloud.state
        state.graph_roles = {"Application.ReadWrite.OwnedBy"}
        add = state.add_application
        monkeypatch.setattr(state, "add_application", lambda *a, **k: add(*a, **{**k, "owner_id": None}))
        done = acr.onboard()
        assert done.code == 6
        said = " ".join(done.err.split())
        assert "the directory may not have made it the owner of the one that it created" in said
        (left,) = applications(acr)
        assert f"az ad app owner add --id {left.app_id} --owner-object-id {state.operator.object_id}" in said

    def test_rights_that_are_not_needed_are_not_asked_for(self, acr: World) -> None:
        acr.onboard()
        acr.cloud.state.denied_actions.add("Microsoft.Authorization/roleAssignments/write")
        acr.cloud.state.graph_roles = {"Application.Read.All"}
        assert acr.onboard().code == 0

    def test_no_right_to_look_at_the_directory(self, acr: World) -> None:
        acr.cloud.state.graph_roles = set()
        done = acr.onboard()
        assert done.code == 3
        assert "Application.ReadWrite.OwnedBy (Microsoft Graph)" in done.err

    @pytest.mark.parametrize("may", [True, False])
    def test_a_permission_that_no_token_lists_is_found_out_by_the_first_change(
        self, acr: World, tmp_path: Path, may: bool
    ) -> None:
        """A custom role of the directory."""
        state, script, before = acr.cloud.state, tmp_path / "handover.sh", cloud_picture(acr)
        state.graph_roles = {"Application.Read.All"}
        state.unlisted_roles = frozenset({"Application.ReadWrite.OwnedBy"} if may else ())

        done = acr.onboard("--handover", str(script))

        assert "A custom role of the directory may permit to create" in done.err
        assert (done.code, script.exists()) == ((0, False) if may else (3, True)), done.text
        if not may:
            assert "lacks the permission Application.ReadWrite.OwnedBy" in done.err
            assert "az rest --method PATCH" in script.read_text()
            assert cloud_picture(acr) == before

    def test_a_user_with_the_role_application_developer_where_members_create_no_applications(
        self, acr: World
    ) -> None:
        state = acr.cloud.state
        state.operator_is_user, state.members_may_create_apps = True, False
        state.directory_roles = {"cf1c38e5-3621-4004-a7cb-879624dced7c"}
        done = acr.onboard()
        assert done.code == 0, done.text

    def test_a_policy_that_forbids_secrets(self, acr: World) -> None:
        acr.cloud.state.app_management_policy.secrets_blocked = True
        done = acr.onboard()
        assert done.code == 3
        assert "forbids client secrets" in done.err
        assert acr.changes() == []

    @pytest.mark.parametrize("readable", [True, False])
    def test_a_policy_that_limits_how_long_they_live(self, acr: World, readable: bool) -> None:
        acr.cloud.state.app_management_policy.max_secret_lifetime = dt.timedelta(days=100)
        if not readable:
            acr.cloud.state.graph_roles = {"Application.ReadWrite.OwnedBy"}
        done = acr.onboard()
        assert done.code == 0, done.text
        (secret,) = secrets(applications(acr)[0])
        days = (secret.end - secret.start).total_seconds() / 86400
        assert (99 < days <= 100) if readable else (89 < days <= 90)
        assert ("100 days at most" if readable else "trying 90 days") in done.err

    @pytest.mark.parametrize("readable", [True, False])
    def test_a_policy_whose_limit_is_the_lifetime(
        self, acr: World, monkeypatch: pytest.MonkeyPatch, readable: bool
    ) -> None:
        """By the directory's clock, which is behind, the lifetime is longer than that."""
        state = acr.cloud.state
        state.app_management_policy.max_secret_lifetime = dt.timedelta(days=365)
        if not readable:
            state.graph_roles = {"Application.ReadWrite.OwnedBy"}
        now = state.now
        monkeypatch.setattr(state, "now", lambda: now() - dt.timedelta(seconds=2))

        done = acr.onboard()

        assert done.code == 0, done.text
        (secret,) = secrets(applications(acr)[0])
        assert secret.end - secret.start > dt.timedelta(days=364)

    def test_no_login(self, acr: World) -> None:
        done = acr.onboard(
            env={"AZURE_FEDERATED_TOKEN_FILE": "/nonexistent", "AZURE_CONFIG_DIR": "/nonexistent"}
        )
        assert done.code == 3
        assert "There is no usable Azure login" in done.err
        assert "az login" in done.err
        assert len(max(done.err.splitlines(), key=len)) < 400

    def test_anonymous_pull(self, acr: World) -> None:
        acr.cloud.state.registry("acmeshop").anonymous_pull = True
        done = acr.onboard("--output", "json")
        assert done.code == 0, done.text
        assert done.json["result"] == "unneeded"
        assert "acmeshop allows anonymous pulls" in done.text
        assert acr.changes() == []


@pytest.mark.parametrize(
    "fault",
    [
        "graph.UpsertApplication=403",
        "graph.CreateServicePrincipal=403",
        "graph.AddPassword=403",
        "arm.PutRoleAssignment=403",
        "registry.GetToken=401*forever",
        "registry.GetManifest#2=404*forever",  # after the look at the image
    ],
)
def test_a_step_that_fails_leaves_nothing_behind(acr: World, fault: str) -> None:
    before = cloud_picture(acr)
    acr.fault(fault)

    done = acr.onboard("--timeout", "4s", "--output", "json")

    assert done.code == 1, done.text
    assert cloud_picture(acr) == before
    assert acr.names() == []
    assert done.json["error"]["what"]
    assert done.json["left_over"] == []


@pytest.mark.parametrize(
    "fault",
    [
        "graph.Get*=503;retry-after=1",
        "graph.GetApplication=reset",
        "arm.List*=503;retry-after=1",
        "graph.UpsertApplication=lost",
        "graph.UpsertApplication=503",
        "graph.CreateServicePrincipal=lost",
        "graph.AddPassword=lost",
        "graph.AddPassword=malformed",
        "graph.AddPassword=503",
        "graph.AddPassword=429;retry-after=1",
        "graph.AddPassword=404",
        "arm.PutRoleAssignment=lost",
        "arm.PutRoleAssignment=400;code=PrincipalNotFound",
        "registry.GetToken=401",
    ],
)
def test_what_passes_is_waited_out_and_leaves_one_of_each(acr: World, fault: str) -> None:
    acr.fault(fault)
    done = acr.onboard()
    assert done.code == 0, done.text
    (application,) = applications(acr)
    (secret,) = secrets(application)
    assert acr.held(NAME).password == secret.text
    assert roles(acr, application.app_id) == [("AcrPull", "acmeshop")]


@pytest.fixture
def slow() -> Iterator[World]:
    yield from make_world("acr", SandboxSettings(propagation=2.0))


class TestPropagation:
    def test_it_is_waited_out(self, slow: World) -> None:
        done = slow.onboard("--timeout", "60s")
        assert done.code == 0, done.text
        assert len(secrets(applications(slow)[0])) == 1

    def test_what_cannot_be_seen_yet_is_undone(self, slow: World) -> None:
        before = cloud_picture(slow)
        slow.fault("graph.AddPassword=400")
        assert slow.onboard("--timeout", "60s").code == 1
        assert cloud_picture(slow) == before


def test_the_runbook_is_bash(acr: World) -> None:
    for arguments in ((), ("--app-id", "00000000-1111-2222-3333-444444444444"), ("--skip-grant",)):
        script = acr.run("runbook", "acr", *arguments)
        assert script.code == 0, script.text
        subprocess.run(["bash", "-n"], input=script.out, text=True, check=True)
        assert "--append" in script.out


# -- without a cloud -----------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z0-9]{5,50}", fullmatch=True)


@given(NAMES, st.sampled_from(sorted(SUFFIXES)))
def test_every_spelling_names_the_same_registry(name: str, cloud: str) -> None:
    host = name + SUFFIXES[cloud]
    resource = f"/subscriptions/s/resourceGroups/g/providers/microsoft.containerregistry/registries/{name}"
    spellings = [name, name.upper(), host, f"https://{host}", f"{host}/a/b:1", resource]
    targets = [AcrTarget.parse({"registry": text, "cloud": cloud}) for text in spellings]
    assert {one.registry for one in targets} == {host}
    assert len({one.secret_name for one in targets}) == 1
    assert len({one.lock_key for one in targets}) == 1


@given(st.text(max_size=80))
def test_whatever_is_typed_is_a_target_or_a_usage_problem(text: str) -> None:
    try:
        target = AcrTarget.parse({"registry": text})
    except UsageProblem:
        return
    assert target.registry.endswith(tuple(SUFFIXES.values()))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"registry": "shop"},
        {"registry": "acmeshop.example.com"},
        {"registry": "acmeshop.westeurope.data.azurecr.io"},
        {"registry": "acmeshop.azurecr.us", "cloud": "china"},
        {"registry": "acmeshop", "image": "acmevault.azurecr.io/checkout:1.0"},
        {"registry": "acmeshop", "image": "acmeshop.azurecr.io"},
        {"registry": "acmeshop", "app_id": "deployer"},
        {"registry": "acmeshop", "app_name": "--"},
        {"registry": "acmeshop", "expires_in": dt.timedelta(seconds=5)},
    ],
)
def test_what_cannot_be_used_is_told(values: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem):
        AcrTarget.parse(values)


def test_a_login_server_with_a_hash_is_of_the_registry_before_it() -> None:
    target = AcrTarget.parse({"registry": "acmeshop", "image": "acmeshop-a1b2c3.azurecr.io/checkout:1.0"})
    assert (target.name, target.registry) == ("acmeshop", "acmeshop-a1b2c3.azurecr.io")


def token(**said: Any) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"roles": ["Application.ReadWrite.OwnedBy"]}, True),
        ({"roles": ["Application.Read.All"]}, False),
        ({"scp": "User.Read", "roles": ["Application.ReadWrite.All"]}, False),
        ({"scp": "User.Read", "wids": ["62e90394-69f5-4237-9190-012177145e10"]}, True),
        ({"wids": ["cf1c38e5-3621-4004-a7cb-879624dced7c"]}, True),
        ({"scp": "User.Read", "wids": []}, False),
        ({}, False),
    ],
)
def test_rights_in_a_token(said: dict[str, Any], expected: bool) -> None:
    assert claims.makes_applications(claims.read(token(**said))) is expected


BUILT_IN_ROLES = {
    # MicrosoftDocs/entra-docs, "Microsoft Entra built-in roles".
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "cf1c38e5-3621-4004-a7cb-879624dced7c": "Application Developer",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    # MicrosoftDocs/azure-docs, "Azure built-in roles".
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "b93aa761-3e63-49ed-ac28-beffa264f7ac": "Container Registry Repository Reader",
}


def test_the_ids_of_microsofts_roles() -> None:
    assert {**claims.DIRECTORY_ROLES, **ROLE_NAMES} == BUILT_IN_ROLES


@given(st.text())
def test_any_text_is_read_as_a_token_or_as_nothing(text: str) -> None:
    assert isinstance(claims.read(text), dict)


def test_permissions() -> None:
    write = "Microsoft.Authorization/roleAssignments/write"
    contributor = (["*"], ["Microsoft.Authorization/*/Write"])
    assert not allows([contributor], write)
    # What one role takes away, another may give.
    assert allows([contributor, (["Microsoft.Authorization/*"], [])], write)
    assert not allows([], write)


def test_the_name_of_an_assignment_never_changes() -> None:
    name = assignment_name("/subscriptions/S/registries/R", "P", "ROLE")
    assert name == assignment_name("/Subscriptions/s/registries/r", "p", "role")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name)


def test_a_secret_whose_answer_a_killed_run_never_saw_is_removed_by_the_next(acr: World) -> None:
    acr.fault("graph.AddPassword=hang-after")
    process = subprocess.Popen(
        [sys.executable, "-m", "bootstrap", "onboard", "acr", "--yes"],
        env=acr.running.process_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while not (applications(acr) and secrets(applications(acr)[0])):
        assert time.monotonic() < end
        time.sleep(0.02)
    (orphan,) = secrets(applications(acr)[0])
    process.kill()
    process.wait(timeout=10)

    done = acr.onboard()

    assert done.code == 0, done.text
    (only,) = secrets(applications(acr)[0])
    assert only.key_id != orphan.key_id
    assert acr.held(NAME).password
