"""The roles that let a service principal pull, and the names of pullkey's assignments of them."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.acr.arm_objects import Assignment

ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
REPOSITORY_READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
ROLE_NAMES = {ACR_PULL: "AcrPull", REPOSITORY_READER: "Container Registry Repository Reader"}
MARK = "Made by pullkey"
"""Part of the description of each assignment that pullkey, or a command that it prints, has made."""
_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
# The name of a role assignment is derived from what it assigns; this must never change.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "role-assignments.pullkey")


def assignment_name(scope: str, principal: str, role: str) -> str:
    """The GUID under which a role is assigned, the same in every run and on every machine."""
    return str(uuid.uuid5(_NAMESPACE, f"{scope}|{principal}|{role}".lower()))


def assigning_condition(permissions: Collection[str]) -> str:
    """The condition under which a login that has these permissions assigns and removes only the roles that
    pullkey grants; "" if they assign none.

    "Examples to delegate Azure role assignment management with conditions": without it, the permission to
    assign a role is one to assign Owner.
    """
    roles = ", ".join(ROLE_NAMES)
    return " AND ".join(
        f"((!(ActionMatches{{'{_ASSIGNMENTS}/{verb}'}})) OR "
        f"(@{source}[{_ASSIGNMENTS}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{roles}}}))"
        for verb, source in (("write", "Request"), ("delete", "Resource"))
        if f"{_ASSIGNMENTS}/{verb}" in permissions
    )


def derived_names(scope: str, principal: str) -> dict[str, str]:
    """The names of pullkey's assignments there, by role; a registry may have changed its mode since."""
    return {role: assignment_name(scope, principal, role) for role in ROLE_NAMES}


def is_derived(assignment: Assignment, registry: str, principal: str) -> bool:
    """Whether an assignment is one that pullkey has made on a registry, by the registry's id or its end."""
    return (
        assignment.scope.lower().endswith(registry.lower())
        and assignment.name in derived_names(assignment.scope, principal).values()
    )


def assignment_id(scope: str, name: str) -> str:
    return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"


def unassign_command(assignment: str) -> str:
    """The command that deletes the role assignment of that id."""
    return f"az role assignment delete --ids {shlex.quote(assignment)}"


def unlocked_first(command: str) -> str:
    """The command that deletes something, preceded by the removal of the lock that forbids that."""
    return f"az lock delete --ids LOCK_ID && {command}"


def unassign_nobody_command(scope: str, role: str) -> str:
    """The command that deletes the role where pullkey has assigned it to principals that are deleted.

    `az` shows no name of those, nor of any other that the directory does not show it: the mark tells ours.
    """
    ours = f"contains(description || '', '{MARK}')"
    whose = f"[?principalName=='' && roleDefinitionName=='{role}' && {ours}].id"
    return (
        f"az role assignment delete --ids $(az role assignment list --scope {shlex.quote(scope)} "
        f'--query "{whose}" --output tsv)'
    )


def place_of(assignment: Assignment) -> str:
    """Where a role is assigned, worded for a sentence."""
    parts = assignment.scope.strip("/").split("/")
    if len(parts) < 2:
        return "the whole directory"
    kind = {"subscriptions": "subscription", "resourcegroups": "resource group", "registries": "registry"}
    return f"{kind.get(parts[-2].lower(), parts[-2])} {parts[-1]}"
