"""`pullkey permissions`: a login with exactly what it lists can run the commands, and each permission of the
list is one that a command misses.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import re
import shlex
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bootstrap.cli.command_table import command_of
from bootstrap.model.errors import UsageProblem
from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.world import World, make_world
from providers.acr.emulator import roles as azure_roles
from providers.acr.emulator.state import AzureState
from providers.acr.token_claims import GRAPH_RIGHT
from providers.gcr.emulator.access import Access
from tests.harness.google_state import NAME, account, project

GOOGLE = {"created": (), "uploaded": ("--key-source", "upload"), "auto": ("--key-source", "auto")}
AZURE = {"principal": (), "token": ("--auth-kind", "token", "--repository", "checkout")}


def permissions(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints, run here."""
    capsys.readouterr()
    assert command_of("permissions").main(list(arguments), standalone_mode=False) == 0
    return capsys.readouterr().out


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list[str]]:
    """The permissions, each with the commands that need it."""
    document = json.loads(permissions(capsys, *arguments, "--format", "json"))
    Draft202012Validator(schemas()["permissions"]).validate(document)
    return {one["name"]: one["for"] for one in document["permissions"]}


# -- an operator with a role of its own ----------------------------------------------------------------------


class Operator:
    """The login of a world, whose permissions a test sets."""

    def __init__(self, world: World, options: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.options = world, options
        self._patch = monkeypatch

    def may(self, names: Sequence[str]) -> None:
        state = self.world.cloud.state
        if self.world.provider == "gcr":
            role, member = "projects/acme-shop/roles/pullkey", f"serviceAccount:{state.operator}"
            if role not in state.custom_roles:
                policy = project(self.world).policy
                policy.rename_member(member, "user:owner@acme.example")
                policy.grant(role, member, since=state.now() - dt.timedelta(days=1))
            state.custom_roles[role] = frozenset(names)
            return
        custom = azure_roles.Role("0" * 8, "pullkey", "", azure_roles.Permissions(actions=tuple(names)))
        self._patch.setitem(azure_roles.BUILT_IN, custom.guid, custom)
        for one in state.role_assignments:
            if one.principal_id == state.operator.object_id:
                one.role = custom
        state.graph_roles = {GRAPH_RIGHT.partition(" ")[0]} & {name.partition(" ")[0] for name in names}

    def run(self, command: str, *, dry: bool = False) -> Any:
        name = (self.world.names() or [""])[0]
        provider = self.world.provider
        match command:
            case "onboard" if dry:
                return self.world.run("plan", provider, *self.options, "--timeout", "20s")
            case "onboard":
                return self.world.onboard(*self.options)
            case "list":
                return self.world.run("list", "--check")
            case "verify":
                return self.world.run("verify", name)
            case "rotate":
                return self.world.run("rotate", name, "--overlap", "0", "--dry-run" if dry else "--yes")
            case "restore":
                return self.world.run("rotate", name, "--restore", "--dry-run" if dry else "--yes")
            case _:
                return self.world.run(command, name, "--dry-run" if dry else "--yes")


@pytest.fixture
def operator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    provider, options = request.param
    for world in make_world(provider):
        yield Operator(world, options, monkeypatch)


KINDS = [
    pytest.param((provider, options), id=f"{provider}-{kind}")
    for provider, kinds in (("gcr", GOOGLE), ("acr", AZURE))
    for kind, options in kinds.items()
]


NOT_SHOWN = {
    ("onboard", "iam.serviceAccountKeys.get"): "reads the certificate of a key whose upload got no answer",
    ("rotate", "iam.serviceAccountKeys.get"): "the same",
    ("onboard", "Microsoft.Authorization/roleAssignments/read"): "the application may exist before",
}
"""What these runs do not show to be needed by a command, each with what it is for."""


@pytest.mark.parametrize("operator", KINDS, indirect=True)
def test_each_command_runs_with_its_own_permissions_and_needs_each_of_them(
    operator: Operator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = permissions_asked_for(monkeypatch)
    world = operator.world
    needed: dict[str, set[str]] = {}
    used: dict[str, set[str]] = {}
    world.fault("akka.docker.add-credentials=403*1")
    restore = ("restore",) if world.provider == "gcr" else ()  # of Azure no key is disabled
    for command in ("undone", "onboard", "list", "verify", "rotate", "rotate", *restore, "offboard"):
        name = "onboard" if command == "undone" else command
        needed[name] = {*listed(capsys, world.provider, *operator.options, "--for", name)}
        operator.may([*needed[name]])
        asked.clear()
        done = operator.run(name)
        used.setdefault(name, set()).update(asked)
        assert done.code == (1 if command == "undone" else 0), (command, done.text)
        assert "lacks" not in done.text
        assert "left over" not in done.text
    assert world.names() == []
    # Graph's permission is in the token, and not asked for by name.
    unneeded = {(name, one) for name in needed for one in needed[name] - used[name] - {GRAPH_RIGHT}}
    assert unneeded <= NOT_SHOWN.keys()


ROLES = {"RBAC": "LegacyRegistryPermissions", "ABAC": "AbacRepositoryPermissions"}


@pytest.mark.parametrize("operator", [pytest.param(("acr", ()), id="acr")], indirect=True)
@pytest.mark.parametrize("mode", ROLES)
def test_an_operator_of_one_registry_under_the_printed_condition_runs_each_command(
    operator: Operator, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = operator.world.cloud.state
    document = json.loads(permissions(capsys, "acr", "--format", "json"))
    operator.may([one["name"] for one in document["permissions"]])
    (shop,) = [one for one in state.registries if one.name == "acmeshop"]
    shop.role_assignment_mode = ROLES[mode]
    own = [one for one in state.role_assignments if one.principal_id == state.operator.object_id]
    for one in own:
        one.scope, one.condition, one.condition_version = shop.id, document["condition"], "2.0"
    reader = dataclasses.replace(own[0], name=str(uuid.uuid4()), scope="/".join(shop.id.split("/")[:3]))
    reader.role, reader.condition = azure_roles.READER, None
    state.role_assignments.append(reader)
    standing = [*state.role_assignments]
    operator.world.fault("akka.docker.add-credentials=403*1")
    for command, code in (("onboard", 1), ("onboard", 0), ("list", 0), ("rotate", 0), ("offboard", 0)):
        done = operator.run(command)
        assert done.code == code, done.text
        assert "lacks" not in done.text
        assert "left over" not in done.text
    assert [one for one in state.role_assignments if one.lifetime.exists] == standing


def permissions_asked_for(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The permissions by which the emulated clouds have decided whether a call is allowed; a question which
    permissions the login has is no such call.
    """
    asked: set[str] = set()
    holds, answer, allowed = Access.holds, Access.test_permissions, AzureState.allowed

    def noted(self: Access, email: str | None, permission: str, resource: Any) -> bool:
        asked.add(permission)
        return holds(self, email, permission, resource)

    def answered(self: Access, *arguments: Any) -> Any:
        before = set(asked)
        try:
            return answer(self, *arguments)
        finally:
            asked.intersection_update(before)

    def of_azure(self: AzureState, principal_id: str, action: str, scope: str) -> bool:
        asked.add(action)
        return allowed(self, principal_id, action, scope)

    monkeypatch.setattr(Access, "holds", noted)
    monkeypatch.setattr(Access, "test_permissions", answered)
    monkeypatch.setattr(AzureState, "allowed", of_azure)
    return asked


@pytest.mark.parametrize("operator", KINDS, indirect=True)
def test_a_permission_that_is_taken_away_is_missed_by_its_name(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = listed(capsys, operator.world.provider, *operator.options)
    unnoticed = []
    for command in ("onboard", "list", "verify", "rotate", "restore", "offboard"):
        for name in [one for one, commands in needed.items() if command in commands]:
            operator.may([one for one in needed if one != name])
            done = operator.run(command, dry=(command, name) not in NOT_FORESEEN)
            if name.partition(" ")[0] not in done.text and (command, name) not in NOT_MISSED:
                unnoticed.append((command, name, done.code, done.text))
        operator.may([*needed])
        if command in ("onboard", "rotate"):
            assert operator.run(command).code == 0
    assert not unnoticed


NOT_MISSED = {
    ("restore", "artifactregistry.repositories.getIamPolicy"): "finds the repository if no name says it",
    ("restore", "iam.serviceAccounts.get"): "shows whether pullkey created the account",
}
"""What a command does without where it can, each with what it is for."""
NOT_FORESEEN = {("restore", "iam.serviceAccountKeys.enable")}
"""What is missed by the call itself, and not before it: the call is the only change."""
FILE = {
    "gcr": "server: europe-west1-docker.pkg.dev/acme-shop/containers",
    "acr": "registry: acmeshop",
}


@pytest.mark.parametrize(
    "operator",
    [
        pytest.param(("gcr", GOOGLE["auto"]), id="gcr"),
        pytest.param(("acr", ()), id="acr-principal"),
        pytest.param(("acr", AZURE["token"]), id="acr-token"),
    ],
    indirect=True,
)
def test_a_file_is_worked_on_with_the_permissions_of_each_command(
    operator: Operator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked = permissions_asked_for(monkeypatch)
    world, file = operator.world, str(tmp_path / "registries.yaml")
    used: dict[str, tuple[set[str], set[str]]] = {}
    options = "".join(
        f", {name.removeprefix('--')}: {value}"
        for name, value in zip(operator.options[::2], operator.options[1::2], strict=True)
        if name != "--key-source"  # the default of a file
    )
    target = f"provider: {world.provider}, {FILE[world.provider]}, rotate-after: 1s{options}"
    world.fault("akka.docker.add-credentials=403*1")
    for command, typed in (
        ("undone", ("apply", "-f", file, "--yes")),
        ("onboard", ("apply", "-f", file, "--yes")),
        ("rotate", ("rotate", "-f", file, "--due", "--yes")),
        ("rotate", ("rotate", "-f", file, "--due", "--yes")),
        ("offboard", ("apply", "-f", file, "--yes")),
    ):
        remove = ", remove: true" if command == "offboard" else ""
        Path(file).write_text(f"version: 1\ntargets:\n  - {{{target}{remove}}}\n")
        name = "onboard" if command == "undone" else command
        needed = {*listed(capsys, world.provider, *operator.options, "--for", name)}
        operator.may([*needed])
        asked.clear()
        time.sleep(1)  # the key is due
        done = world.run(*typed)
        assert done.code == (1 if command == "undone" else 0), (command, done.text)
        assert "lacks" not in done.text
        assert "left over" not in done.text
        used.setdefault(name, (needed, set()))[1].update(asked)
    assert world.names() == []
    unneeded = {(name, one) for name, (needed, asked) in used.items() for one in needed - asked}
    unneeded = {(name, one) for name, one in unneeded if one != GRAPH_RIGHT}
    assert unneeded <= NOT_SHOWN.keys()


# -- a login that also enables Google's APIs -----------------------------------------------------------------

ENABLING = ("--enable-apis",)
APIS = ["iam.googleapis.com", "cloudresourcemanager.googleapis.com", "artifactregistry.googleapis.com"]


@pytest.mark.parametrize("operator", [pytest.param(("gcr", ENABLING), id="gcr")], indirect=True)
@pytest.mark.parametrize("disabled", [[], APIS[:1], APIS], ids=len)
def test_what_is_listed_is_enough_to_enable_apis(
    operator: Operator, disabled: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    operator.may([*listed(capsys, "gcr", *ENABLING, "--for", "onboard")])
    for name in disabled:
        del project(operator.world).services[name]

    done = operator.run("onboard")

    assert done.code == 0, done.text
    assert set(APIS) <= set(project(operator.world).services)


@pytest.mark.parametrize("operator", [pytest.param(("gcr", ENABLING), id="gcr")], indirect=True)
def test_where_the_operation_may_not_be_read_the_services_are(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.may([*listed(capsys, "gcr", *ENABLING, "--for", "onboard")])
    del project(operator.world).services[APIS[2]]
    operator.world.fault("serviceusage.GetOperation=403*forever")

    done = operator.run("onboard")

    assert done.code == 0, done.text
    assert operator.world.calls("serviceusage.GetOperation") == 1
    assert APIS[2] in project(operator.world).services


# -- formats -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operator",
    [pytest.param(("gcr", ()), id="gcr"), pytest.param(("acr", ()), id="acr")],
    indirect=True,
)
def test_a_login_that_only_reads_can_plan_what_another_applies(
    operator: Operator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As the accounts of a pull request do in the workflow for GitHub."""
    registry = {
        "gcr": "server: europe-west1-docker.pkg.dev/acme-shop/containers",
        "acr": "registry: acmeshop",
    }
    file, provider = tmp_path / "registries.yaml", operator.world.provider
    file.write_text(f"version: 1\ntargets:\n  - {{provider: {provider}, {registry[provider]}}}\n")
    operator.may([*listed(capsys, provider, "--for", "list")])
    plan = ("plan", "-f", str(file))
    assert "lacks the permission" in operator.world.run(*plan).out
    done = operator.world.run(*plan, "--skip-permissions")
    assert done.code == 0, done.text
    assert "1 target: 1 to create." in done.out

    operator.may([*listed(capsys, provider)])
    assert operator.world.onboard().code == 0
    operator.may([*listed(capsys, provider, "--for", "list")])
    file.write_text(file.read_text().replace("}", ", remove: true}"))
    assert "lacks the permission" in operator.world.run(*plan).out
    done = operator.world.run(*plan, "--skip-permissions")
    assert "1 target: 1 to remove." in done.out
    assert "lacks the permission" not in done.out


def test_a_role_for_gcloud_holds_what_the_list_has(capsys: pytest.CaptureFixture[str]) -> None:
    role = yaml.safe_load(permissions(capsys, "gcr", "--for", "rotate", "--format", "gcloud"))
    assert role["includedPermissions"] == [*listed(capsys, "gcr", "--for", "rotate")]
    assert (role["title"], role["stage"]) == ("pullkey rotate", "GA")
    assert role["description"] == "What pullkey needs to rotate."
    assert "iam.serviceAccounts.create" not in role["includedPermissions"]


def test_a_role_for_az_holds_what_azure_can_grant_and_the_rest_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_of("permissions").main(["acr", "--format", "az"], standalone_mode=False) == 0
    out, err = capsys.readouterr()
    role = json.loads(out)
    names = [*listed(capsys, "acr")]
    assert [GRAPH_RIGHT, *role["Actions"]] == names
    assert role["AssignableScopes"] == ["/subscriptions/SUBSCRIPTION_ID"]
    assert err.startswith(f"{GRAPH_RIGHT}: ")
    assert "roleAssignments/read on the subscription" in err
    assert "az ad app owner add" in err
    (command,) = [line for line in err.splitlines() if "az role assignment create" in line]
    words = shlex.split(command)
    named = dict(itertools.pairwise(words))
    assert (named["--role"], named["--scope"]) == (role["Name"], "REGISTRY_ID")
    assert named["--condition-version"] == "2.0"
    assert named["--condition"] == condition_of(capsys, "acr")


def condition_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str | None:
    document = json.loads(permissions(capsys, *arguments, "--format", "json"))
    Draft202012Validator(schemas()["permissions"]).validate(document)
    condition: str | None = document["condition"]
    return condition


def test_a_login_that_assigns_roles_does_so_under_a_condition(capsys: pytest.CaptureFixture[str]) -> None:
    """ "Examples to delegate Azure role assignment management with conditions", Example: Constrain roles."""
    roles = "7f951dda-4ed3-4680-a7ca-43fe172d538d, b93aa761-3e63-49ed-ac28-beffa264f7ac"
    assignments = "Microsoft.Authorization/roleAssignments"
    write, delete = (
        f"((!(ActionMatches{{'{assignments}/{verb}'}})) OR (@{source}[{assignments}:RoleDefinitionId] "
        f"ForAnyOfAnyValues:GuidEquals {{{roles}}}))"
        for verb, source in (("write", "Request"), ("delete", "Resource"))
    )
    assert condition_of(capsys, "acr") == f"{write} AND {delete}"
    assert condition_of(capsys, "acr", "--for", "offboard") == delete
    assert f"\n{write} AND {delete}\n" in permissions(capsys, "acr")
    terraform = permissions(capsys, "acr", "--format", "terraform")
    assert f"  condition          = {json.dumps(f'{write} AND {delete}')}\n" in terraform
    assert '  condition_version  = "2.0"\n' in terraform
    for others in (("acr", "--for", "rotate,list"), ("acr", "--auth-kind", "token"), ("gcr",)):
        assert condition_of(capsys, *others) is None
        assert "condition" not in permissions(capsys, *others)
    assert "role_assignment" not in permissions(capsys, "acr", "--for", "rotate", "--format", "terraform")


def google_lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    """The commands that define and grant the role, each as a shell reads it."""
    assert (
        command_of("permissions").main(["gcr", *arguments, "--format", "gcloud"], standalone_mode=False) == 0
    )
    lines = capsys.readouterr().err.splitlines()
    return [shlex.split(line) for line in lines if line.startswith("  gcloud ")]


def test_an_operator_of_one_account_and_one_repository(
    gcr: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A login that rotates is granted the role where the commands say: it makes no key of another account."""
    assert gcr.onboard().code == 0
    other = gcr.cloud.state.add_account("acme-shop", "deployer", created=project(gcr).created)
    options = ("--for", "rotate,list,verify")
    *_, on_account, on_repository = google_lines(capsys, *options)
    assert on_account[1:5] == ["iam", "service-accounts", "add-iam-policy-binding", "ACCOUNT"]
    assert on_repository[1:5] == ["artifacts", "repositories", "add-iam-policy-binding", "REPOSITORY"]
    state, role = gcr.cloud.state, "projects/acme-shop/roles/pullkey"
    state.custom_roles[role] = frozenset(listed(capsys, "gcr", *options))
    member = f"serviceAccount:{state.operator}"
    project(gcr).policy.rename_member(member, "user:owner@acme.example")
    places = account(gcr), project(gcr).repositories["europe-west1", "containers"]
    for place in places:
        place.policy.grant(role, member, since=state.now() - dt.timedelta(days=1))

    for command in (("rotate", NAME, "--overlap", "0", "--yes"), ("list", "--check"), ("verify", NAME)):
        done = gcr.run(*command)
        assert done.code == 0, done.text
        assert "lacks" not in done.text

    assert not Access(state).holds(state.operator, "iam.serviceAccountKeys.create", other)


def test_an_account_of_another_project_is_granted_on_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A role of a project cannot be granted in another one ("Create and manage custom roles")."""
    image = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
    named = ("--server", image, "--service-account", "puller@acme-ops.iam.gserviceaccount.com")
    created, on_account, on_repository = google_lines(capsys, *named)
    assert created[-1] == "--organization=ORGANIZATION_ID"
    assert on_account[4] == "puller@acme-ops.iam.gserviceaccount.com"
    assert on_repository[4:7] == ["containers", "--location=europe-west1", "--project=acme-shop"]
    terraform = permissions(capsys, "gcr", *named, "--format", "terraform")
    assert 'resource "google_organization_iam_custom_role"' in terraform
    assert '"projects/-/serviceAccounts/puller@acme-ops.iam.gserviceaccount.com"' in terraform
    assert "google_project_iam" not in terraform

    whole = ("--server", "europe-west1-docker.pkg.dev", "--gcp-project", "acme-shop", *named[2:])
    _, on_account, on_project = google_lines(capsys, *whole)
    assert on_account[1:3] == ["iam", "service-accounts"]
    assert on_project[1:4] == ["projects", "add-iam-policy-binding", "acme-shop"]


def test_who_changes_a_projects_policy_grants_the_role_of_a_puller_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """ "Set limits on granting roles"."""
    whole = ("--server", "europe-west1-docker.pkg.dev", "--gcp-project", "acme-shop")
    condition = condition_of(capsys, "gcr", *whole)
    assert condition == (
        "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])"
        ".hasOnly(['roles/artifactregistry.reader'])"
    )
    binding = google_lines(capsys, *whole)[-1]
    assert binding[1:4] == ["projects", "add-iam-policy-binding", "acme-shop"]
    assert binding[-1] == f"--condition=^#^expression={condition}#title=pullkey"
    assert condition in permissions(capsys, "gcr", *whole)
    terraform = permissions(capsys, "gcr", *whole, "--format", "terraform")
    assert 'resource "google_project_iam_member"' in terraform
    assert f"    expression = {json.dumps(condition)}\n" in terraform
    on_one = permissions(capsys, "gcr", "--for", "rotate,list", "--format", "terraform")
    assert "google_project_iam_member" not in on_one
    assert "google_artifact_registry_repository_iam_member" in on_one


def test_a_role_for_several_projects_is_one_of_the_organisation(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_of("permissions").main(["gcr", "--format", "gcloud"], standalone_mode=False) == 0
    err = capsys.readouterr().err
    for where in ("--project=PROJECT", "--organization=ORGANIZATION_ID"):
        assert re.search(rf"^  gcloud iam roles create \w+ --file=FILE {where}$", err, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "form"), [(("gcr",), "terraform"), (("acr",), "az"), (("acr",), "terraform")]
)
def test_roles_for_different_commands_can_be_created_beside_each_other(
    arguments: tuple[str, ...], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Azure takes a role's name once in a directory, Google an id once in a project, and Terraform an address
    once in a module. The workflow for GitHub has two roles: one that changes, one that plans.
    """

    names = re.compile(r'(?:"Name":|name +=|title +=|role_id +=|^resource .*) "([\w, ]+)"', re.MULTILINE)

    def named(commands: str) -> set[str]:
        role = permissions(capsys, *arguments, "--for", commands, "--format", form)
        return set(names.findall(role))

    reads, changes = named("list"), named("onboard,rotate,list")
    assert reads
    assert not reads & changes


def test_a_command_that_a_provider_does_not_have_takes_no_role(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageProblem, match="--for restore: acr has nothing to do for it"):
        permissions(capsys, "acr", "--for", "restore", "--format", "az")
    assert "restore" not in permissions(capsys, "acr")


def test_a_token_needs_nothing_in_the_directory(capsys: pytest.CaptureFixture[str]) -> None:
    assert GRAPH_RIGHT not in listed(capsys, "acr", "--auth-kind", "token")


def test_terraform_names_the_scope_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    registry = (
        "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shop/providers/"
        "Microsoft.ContainerRegistry/registries/acmeshop"
    )
    azure = permissions(capsys, "acr", "--registry", registry, "--format", "terraform")
    scope = registry.partition("/providers")[0]
    assert f'scope       = "{scope}"' in azure
    assert f'assignable_scopes = ["{scope}"]' in azure
    google = permissions(capsys, "gcr", "--format", "terraform")
    assert google.startswith('variable "project" {')
    assert "project     = var.project" in google
    named = permissions(
        capsys, "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0", "--format", "terraform"
    )
    assert 'project     = "acme-shop"' in named


def test_options_change_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert "iam.serviceAccountKeys.get" in listed(capsys, "gcr", "--key-source", "upload")
    assert "serviceusage.services.enable" in listed(capsys, "gcr", "--enable-apis")
    given = "--service-account", "puller@acme-shop.iam.gserviceaccount.com"
    assert "iam.serviceAccounts.create" not in listed(capsys, "gcr", *given)
    whole = listed(capsys, "gcr", "--server", "us-docker.pkg.dev", "--gcp-project", "acme-shop")
    assert "resourcemanager.projects.setIamPolicy" in whole


@pytest.mark.parametrize("provider", ["docker-hub", "private", "harbor", "gitlab"])
def test_where_no_permission_can_be_granted_alone_it_says_which_login(
    provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(capsys, provider) == {}
    assert "login" in permissions(capsys, provider).lower() or "token" in permissions(capsys, provider)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gcr", "--format", "az"), "--format az is not for gcr"),
        (("private", "--format", "terraform"), "--format terraform is not for private"),
        (("gcr", "--for", "onboard,rotat"), "'rotat' is not one of onboard, rotate"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageProblem, match=told):
        command_of("permissions").main([*arguments], standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("gcr", "--format", "az"), "Pass --format gcloud or terraform."),
        (("acr", "--format", "gcloud"), "Pass --format az or terraform."),
        (("harbor", "--format", "gcloud"), "Project Admin"),
    ],
)
def test_a_format_of_another_cloud_is_refused_with_those_that_fit(
    arguments: tuple[str, ...], fix: str
) -> None:
    with pytest.raises(UsageProblem) as refused:
        command_of("permissions").main([*arguments], standalone_mode=False)
    assert fix in refused.value.fix


@pytest.mark.parametrize("command", ["permissions", "onboard"])
@pytest.mark.parametrize(
    "typed", [("fleet.yaml",), ("-f", "fleet.yaml"), ("deploy/Fleet.YML", "--for", "list")]
)
def test_a_file_of_registries_is_not_taken_for_an_image(command: str, typed: tuple[str, ...]) -> None:
    with pytest.raises(UsageProblem, match="looks like a file of registries") as refused:
        command_of(command).main([*typed], standalone_mode=False)
    assert f"pullkey plan -f {next(one for one in typed if '.' in one)}" in refused.value.fix
