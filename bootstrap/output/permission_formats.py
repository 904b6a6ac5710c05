"""A list of permissions as text, as JSON, and as definitions of custom roles."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bootstrap.engine.access_list import Command, Needed
from bootstrap.model.schema_version import SCHEMA_VERSION
from bootstrap.plugin.access import Access, RoleKind

_WHY_A_CONDITION = "without which the login could assign any role, such as Owner"
_HOW_TO_ROLE = {RoleKind.GOOGLE: "gcloud or terraform", RoleKind.AZURE: "az or terraform"}


def as_lines(needed: Sequence[Needed], access: Access, label: str, provider: str) -> list[str]:
    """The list for people."""
    lines = [f"Permissions for {label}:" if label else f"Permissions for {provider}:"]
    width = max((len(one.name) for one in needed), default=0)
    lines += [f"  {one.name:{width}}  {', '.join(one.commands)}" for one in needed]
    lines += ["", access.login, *apart_lines(needed, access)]
    if condition := condition_for(needed, access):
        place = "project" if access.roles is RoleKind.GOOGLE else "registry"
        lines += [f"Assign the role on the {place}, under this condition, {_WHY_A_CONDITION}:", condition]
    return [*lines, f"As a role: --format {_HOW_TO_ROLE[access.roles]}"]


def condition_for(needed: Iterable[Needed], access: Access) -> str:
    """The condition under which the role is to be assigned to the login; "" for none."""
    return access.condition([one.name for one in needed])


def assignment_lines(
    form: str, needed: Sequence[Needed], commands: Sequence[Command], access: Access, scope: str
) -> list[tuple[str, list[str]]]:
    """How the login gets the role that `form` defines: sentences, each with its commands."""
    title, condition = _title(commands), condition_for(needed, access)
    if form == "gcloud":
        create = f"gcloud iam roles create {_address(title)} --file=FILE"
        return [
            (
                "Create it in the project; for registries of several projects, in the organisation:",
                [f"{create} --project={scope or 'PROJECT'}", f"{create} --organization=ORGANIZATION_ID"],
            ),
            _google_binding(needed, commands, condition, scope or "PROJECT"),
        ]
    if form != "az":
        return []
    assign = f"az role assignment create --role {shlex.quote(title)} --assignee OBJECT_ID --scope REGISTRY_ID"
    if not condition:
        return [("Assign it on the registry:", [assign])]
    assign += f" --condition {shlex.quote(condition)} --condition-version 2.0"
    return [(f"Assign it on the registry, under a condition, {_WHY_A_CONDITION}:", [assign])]


def _google_binding(
    needed: Sequence[Needed], commands: Sequence[Command], condition: str, project: str
) -> tuple[str, list[str]]:
    """Where the login gets the role: on account and repository alone, where these commands create neither
    and read nothing of the project.
    """
    to = f"--member=MEMBER --role=projects/{project}/roles/{_address(_title(commands))}"
    of_project = ("resourcemanager.", "artifactregistry.repositories.list")
    if Command.ONBOARD not in commands and not any(one.name.startswith(of_project) for one in needed):
        repository = f"REPOSITORY --location=LOCATION --project={project}"
        return (
            "Grant it on account and repository; on the project it could create keys of every account:",
            [
                f"gcloud iam service-accounts add-iam-policy-binding ACCOUNT {to}",
                f"gcloud artifacts repositories add-iam-policy-binding {repository} {to}",
            ],
        )
    # A comma separates the parts of the option otherwise ("gcloud topic escaping").
    only_if = shlex.quote(f"^#^expression={condition}#title=pullkey") if condition else "None"
    under = f", under a condition, {_WHY_A_CONDITION}" if condition else ""
    return (
        f"Grant it on the project{under}. There it can create keys of every service account:",
        [f"gcloud projects add-iam-policy-binding {project} {to} --condition={only_if}"],
    )


def apart_lines(needed: Iterable[Needed], access: Access) -> list[str]:
    """What to know about the permissions that the role does not hold."""
    return [f"{one.name}: {access.apart[one.name]}" for one in needed if one.name in access.apart]


def as_document(
    provider: str,
    commands: Sequence[Command],
    needed: Sequence[Needed],
    access: Access,
    role_with: Callable[[str], str] | None,
) -> dict[str, Any]:
    """The list for `--format json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "permissions",
        "exit_code": 0,
        "provider": provider,
        "for": [str(one) for one in commands],
        "permissions": [
            {
                "name": one.name,
                "for": [str(command) for command in one.commands],
                "in_role": one.name not in access.apart,
                "role": (role_with(one.name) if role_with else "") or None,
                "note": access.apart.get(one.name),
            }
            for one in needed
        ],
        "login": access.login,
        "condition": condition_for(needed, access) or None,
    }


def as_role(
    form: str, needed: Sequence[Needed], commands: Sequence[Command], access: Access, scope: str
) -> str:
    """The definition of a custom role with what such a role can hold.

    Args:
        form: `gcloud`, `az` or `terraform`.
        needed: the permissions.
        commands: those that they are for.
        access: says which permissions such a role cannot hold.
        scope: the Google project or Azure scope; "" for a placeholder.
    """
    names = [one.name for one in needed if one.name not in access.apart]
    about = (
        f"What pullkey needs to {', '.join(commands[:-1])}{' and ' if commands[:-1] else ''}{commands[-1]}."
    )
    title = _title(commands)
    if form == "gcloud":
        return _gcloud(names, title, about)
    if form == "az":
        return _az(names, title, about, scope or "/subscriptions/SUBSCRIPTION_ID")
    if access.roles is RoleKind.GOOGLE:
        return _terraform_google(names, title, about, scope)
    return _terraform_azure(names, title, about, scope, access.condition(names))


def _title(commands: Sequence[Command]) -> str:
    """The name of the role. Roles for different commands have different ones: Azure takes a name once in a
    directory ("Azure custom roles", Custom role properties), and Terraform an address once in a module.
    """
    return f"pullkey {', '.join(commands)}"


def _address(title: str) -> str:
    """The role's name in Terraform, and its id at Google: letters, digits and underscores."""
    return re.sub("[^a-z]+", "_", title)


def _gcloud(names: Sequence[str], title: str, about: str) -> str:
    """The file of `gcloud iam roles create ID --project=PROJECT --file=FILE` ("Create and manage custom
    roles").
    """
    permissions = "\n".join(f"- {one}" for one in names)
    return f"title: {title}\ndescription: {about}\nstage: GA\nincludedPermissions:\n{permissions}"


def _az(names: Sequence[str], title: str, about: str, scope: str) -> str:
    """The file of `az role definition create --role-definition @FILE` ("Azure custom roles")."""
    role = {
        "Name": title,
        "IsCustom": True,
        "Description": about,
        "Actions": list(names),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [scope],
    }
    return json.dumps(role, indent=2)


def _terraform_google(names: Sequence[str], title: str, about: str, project: str) -> str:
    return "\n".join(
        [
            *([] if project else _variable("project", "The Google project of the registry.")),
            f'resource "google_project_iam_custom_role" "{_address(title)}" {{',
            f"  project     = {json.dumps(project) if project else 'var.project'}",
            f"  role_id     = {json.dumps(_address(title))}",
            f"  title       = {json.dumps(title)}",
            f"  description = {json.dumps(about)}",
            *_list_of("permissions", names, "  "),
            "}",
        ]
    )


def _terraform_azure(names: Sequence[str], title: str, about: str, scope: str, condition: str) -> str:
    where = json.dumps(scope) if scope else "var.scope"
    address = _address(title)
    return "\n".join(
        [
            *([] if scope else _variable("scope", "The subscription or resource group of the registry.")),
            f'resource "azurerm_role_definition" "{address}" {{',
            f"  name        = {json.dumps(title)}",
            f"  scope       = {where}",
            f"  description = {json.dumps(about)}",
            "",
            "  permissions {",
            *_list_of("actions", names, "    "),
            "  }",
            "",
            f"  assignable_scopes = [{where}]",
            "}",
            *(_terraform_assignment(address, condition) if condition else []),
        ]
    )


def _terraform_assignment(role: str, condition: str) -> list[str]:
    """The assignment of a role of that address to the login, on the registry."""
    return [
        "",
        *_variable(f"{role}_registry", "The id of the registry, on which the login gets the role."),
        *_variable(f"{role}_login", "The object id of the login that runs pullkey."),
        f"# Under a condition, {_WHY_A_CONDITION}.",
        f'resource "azurerm_role_assignment" "{role}" {{',
        f"  scope              = var.{role}_registry",
        f"  role_definition_id = azurerm_role_definition.{role}.role_definition_resource_id",
        f"  principal_id       = var.{role}_login",
        '  condition_version  = "2.0"',
        f"  condition          = {json.dumps(condition)}",
        "}",
    ]


def _variable(name: str, about: str) -> list[str]:
    return [
        f'variable "{name}" {{',
        "  type        = string",
        f"  description = {json.dumps(about)}",
        "}",
        "",
    ]


def _list_of(name: str, values: Sequence[str], indent: str) -> list[str]:
    return [f"{indent}{name} = [", *(f"{indent}  {json.dumps(one)}," for one in values), f"{indent}]"]
