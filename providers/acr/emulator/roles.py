"""The built-in roles of Azure that matter here, and the evaluation of permissions.

Sources: Microsoft's "Azure built-in roles" and "Container Registry roles directory reference". AcrPull and
similar roles have control-plane actions, which a registry in ABAC mode ignores; the "Container Registry
Repository" roles have data actions, which only such a registry evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PULL_ACTION = "Microsoft.ContainerRegistry/registries/pull/read"
PUSH_ACTION = "Microsoft.ContainerRegistry/registries/push/write"
CONTENT_READ = "Microsoft.ContainerRegistry/registries/repositories/content/read"
CONTENT_WRITE = "Microsoft.ContainerRegistry/registries/repositories/content/write"
_METADATA = "Microsoft.ContainerRegistry/registries/repositories/metadata"


@dataclass(frozen=True)
class Permissions:
    """The permissions of a role. `*` in an action matches any text; case is ignored."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        return _matches(action, self.actions) and not _matches(action, self.not_actions)

    def allows_data(self, action: str) -> bool:
        return _matches(action, self.data_actions) and not _matches(action, self.not_data_actions)


def _matches(action: str, patterns: Iterable[str]) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) for pattern in patterns
    )


_OF_REPOSITORIES = re.compile(
    r"@(?:Request|Resource)\[Microsoft\.ContainerRegistry/registries/repositories:name\]\s+"
    r"(?P<how>StringEqualsIgnoreCase|StringStartsWithIgnoreCase)\s+'(?P<name>[^']*)'",
    re.IGNORECASE,
)


def covers(condition: str | None, repository: str) -> bool:
    """Whether a role's condition includes a repository: by one of the comparisons of Microsoft's examples.

    Source: "Azure ABAC repository permissions in Azure Container Registry".
    """
    if not condition:
        return True
    name = repository.lower()
    return any(
        name == one["name"].lower()
        if one["how"].lower() == "stringequalsignorecase"
        else name.startswith(one["name"].lower())
        for one in _OF_REPOSITORIES.finditer(condition)
    )


_OF_ASSIGNMENTS = re.compile(
    r"!\s*\(\s*ActionMatches\s*\{\s*'(?P<action>[^']+)'\s*\}\s*\)[\s)]*OR[\s(]*"
    r"@(?P<source>Request|Resource)\[Microsoft\.Authorization/roleAssignments:RoleDefinitionId\]\s+"
    r"ForAnyOfAnyValues:GuidEquals\s*\{(?P<roles>[^}]*)\}",
    re.IGNORECASE,
)
_SOURCES = {"write": "request", "delete": "resource"}


def lets_assign(condition: str | None, action: str, role: str) -> bool:
    """Whether a role's condition lets its holder assign a role, or remove its assignment.

    Args:
        condition: of the form of Microsoft's examples, with one clause for each action.
        action: `Microsoft.Authorization/roleAssignments/write` or `…/delete`.
        role: the GUID of the role that is assigned; "" for an assignment that does not exist, which has no
            attribute to compare.

    Source: "Examples to delegate Azure role assignment management with conditions". What is written is the
    request's, what is deleted the resource's ("Authorization actions and attributes").
    """
    for one in _OF_ASSIGNMENTS.finditer(condition or ""):
        if one["action"].lower() == action.lower():
            named = {guid.strip().lower() for guid in one["roles"].split(",")}
            return one["source"].lower() == _SOURCES[action.rpartition("/")[2]] and role.lower() in named
    return True


@dataclass(frozen=True)
class Role:
    """A built-in role; `guid` is the last part of its definition's id."""

    guid: str
    name: str
    description: str
    permissions: Permissions


OWNER = Role(
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Owner",
    "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
    Permissions(actions=("*",)),
)
CONTRIBUTOR = Role(
    "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Contributor",
    "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC.",
    Permissions(
        actions=("*",),
        not_actions=(
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ),
    ),
)
READER = Role(
    "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Reader",
    "View all resources, but does not allow you to make any changes.",
    # Includes registries/pull/read, so a Reader can pull (see Microsoft's table).
    Permissions(actions=("*/read",)),
)
USER_ACCESS_ADMINISTRATOR = Role(
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "User Access Administrator",
    "Lets you manage user access to Azure resources.",
    Permissions(actions=("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*")),
)
RBAC_ADMINISTRATOR = Role(
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Role Based Access Control Administrator",
    "Manage access to Azure resources by assigning roles using Azure RBAC.",
    Permissions(
        actions=(
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            "Microsoft.Support/*",
        )
    ),
)
ACR_PULL = Role(
    "7f951dda-4ed3-4680-a7ca-43fe172d538d", "AcrPull", "acr pull", Permissions(actions=(PULL_ACTION,))
)
ACR_PUSH = Role(
    "8311e382-0749-4cb8-b61a-304f252e45ec",
    "AcrPush",
    "acr push",
    Permissions(actions=(PULL_ACTION, PUSH_ACTION)),
)
ACR_DELETE = Role(
    "c2f4ef07-c644-48eb-af81-4b1b4947fb11",
    "AcrDelete",
    "acr delete",
    Permissions(actions=("Microsoft.ContainerRegistry/registries/artifacts/delete",)),
)
REPOSITORY_READER = Role(
    "b93aa761-3e63-49ed-ac28-beffa264f7ac",
    "Container Registry Repository Reader",
    "Allows for read access to Azure Container Registry repositories, but excluding catalog listing.",
    Permissions(data_actions=(f"{_METADATA}/read", CONTENT_READ)),
)
REPOSITORY_WRITER = Role(
    "2a1e307c-b015-4ebd-883e-5b7698a07328",
    "Container Registry Repository Writer",
    "Allows for read and write access to Azure Container Registry repositories, but excluding "
    "catalog listing.",
    Permissions(data_actions=(f"{_METADATA}/read", CONTENT_READ, f"{_METADATA}/write", CONTENT_WRITE)),
)

BUILT_IN = {
    role.guid: role
    for role in (
        OWNER,
        CONTRIBUTOR,
        READER,
        USER_ACCESS_ADMINISTRATOR,
        RBAC_ADMINISTRATOR,
        ACR_PULL,
        ACR_PUSH,
        ACR_DELETE,
        REPOSITORY_READER,
        REPOSITORY_WRITER,
    )
}
