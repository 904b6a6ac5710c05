"""A list of permissions as text, as JSON, and as definitions of custom roles."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bootstrap.engine.access_list import Command, Needed
from bootstrap.model.schema_version import SCHEMA_VERSION
from bootstrap.output import google_role
from bootstrap.output.role_text import WHY_A_CONDITION, list_of, role_id, role_title, variable
from bootstrap.plugin.access import Access, GrantPlaces, RoleKind

_HOW_TO_ROLE = {RoleKind.GOOGLE: "gcloud or terraform", RoleKind.AZURE: "az or terraform"}


def as_lines(needed: Sequence[Needed], access: Access, label: str, provider: str) -> list[str]:
    """The list for people."""
    lines = [f"Permissions for {label}:" if label else f"Permissions for {provider}:"]
    width = max((len(one.name) for one in needed), default=0)
    lines += [f"  {one.name:{width}}  {', '.join(one.commands)}" for one in needed]
    lines += ["", access.login, *apart_lines(needed, access)]
    if condition := condition_for(needed, access):
        place = "project" if access.roles is RoleKind.GOOGLE else "registry"
        lines += [f"Assign the role on the {place}, under this condition, {WHY_A_CONDITION}:", condition]
    return [*lines, f"As a role: --format {_HOW_TO_ROLE[access.roles]}"]


def condition_for(needed: Iterable[Needed], access: Access) -> str:
    """The condition under which the role is to be assigned to the login; "" for none."""
    return access.condition([one.name for one in needed])


def assignment_lines(
    form: str,
    needed: Sequence[Needed],
    commands: Sequence[Command],
    access: Access,
    scope: str,
    places: GrantPlaces,
) -> list[tuple[str, list[str]]]:
    """How the login gets the role that `form` defines: sentences, each with its commands."""
    title, condition = role_title(commands), condition_for(needed, access)
    if form == "gcloud":
        return google_role.assignment_lines(_held(needed, access), title, condition, scope, places)
    if form != "az":
        return []
    assign = f"az role assignment create --role {shlex.quote(title)} --assignee OBJECT_ID --scope REGISTRY_ID"
    if not condition:
        return [("Assign it on the registry:", [assign])]
    assign += f" --condition {shlex.quote(condition)} --condition-version 2.0"
    return [(f"Assign it on the registry, under a condition, {WHY_A_CONDITION}:", [assign])]


def _held(needed: Iterable[Needed], access: Access) -> list[str]:
    """The permissions that a role can hold."""
    return [one.name for one in needed if one.name not in access.apart]


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
    form: str,
    needed: Sequence[Needed],
    commands: Sequence[Command],
    access: Access,
    scope: str,
    places: GrantPlaces,
) -> str:
    """The definition of a custom role with what such a role can hold.

    Args:
        form: `gcloud`, `az` or `terraform`.
        needed: the permissions.
        commands: those that they are for.
        access: says which permissions such a role cannot hold.
        scope: the Google project or Azure scope; "" for a placeholder.
        places: where the login can be granted a role of Google.
    """
    names = _held(needed, access)
    about = (
        f"What pullkey needs to {', '.join(commands[:-1])}{' and ' if commands[:-1] else ''}{commands[-1]}."
    )
    title = role_title(commands)
    if form == "gcloud":
        return google_role.as_file(names, title, about)
    if form == "az":
        return _az(names, title, about, scope or "/subscriptions/SUBSCRIPTION_ID")
    if access.roles is RoleKind.GOOGLE:
        return google_role.as_terraform(names, title, about, access.condition(names), scope, places)
    return _terraform_azure(names, title, about, scope, access.condition(names))


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


def _terraform_azure(names: Sequence[str], title: str, about: str, scope: str, condition: str) -> str:
    where = json.dumps(scope) if scope else "var.scope"
    address = role_id(title)
    return "\n".join(
        [
            *([] if scope else variable("scope", "The subscription or resource group of the registry.")),
            f'resource "azurerm_role_definition" "{address}" {{',
            f"  name        = {json.dumps(title)}",
            f"  scope       = {where}",
            f"  description = {json.dumps(about)}",
            "",
            "  permissions {",
            *list_of("actions", names, "    "),
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
        *variable(f"{role}_registry", "The id of the registry, on which the login gets the role."),
        *variable(f"{role}_login", "The object id of the login that runs pullkey."),
        f"# Under a condition, {WHY_A_CONDITION}.",
        f'resource "azurerm_role_assignment" "{role}" {{',
        f"  scope              = var.{role}_registry",
        f"  role_definition_id = azurerm_role_definition.{role}.role_definition_resource_id",
        f"  principal_id       = var.{role}_login",
        '  condition_version  = "2.0"',
        f"  condition          = {json.dumps(condition)}",
        "}",
    ]
