"""Resource Manager's objects, as the other modules see them: registries and role assignments."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

_RESOURCE_ID = re.compile(
    r"^/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/", re.IGNORECASE
)


@dataclass(frozen=True)
class Registry:
    """What Resource Manager says of a registry."""

    id: str
    name: str
    login_server: str
    abac: bool
    public_network: bool
    firewall_denies: bool
    firewall_exceptions: bool
    anonymous_pull: bool

    @property
    def subscription(self) -> str:
        match = _RESOURCE_ID.match(self.id)
        return match["subscription"] if match else ""

    @property
    def resource_group(self) -> str:
        match = _RESOURCE_ID.match(self.id)
        return match["group"] if match else ""


@dataclass(frozen=True)
class Assignment:
    """Who has which role where; `role` is the GUID of its definition, `name` that of the assignment.

    `created` is when it was first made, but in the answer to a PUT: there it is when that PUT came (recorded:
    201 for each of many, `createdBy` null; a GET shows who made it first, and when).
    """

    id: str
    name: str
    role: str
    scope: str
    description: str = ""
    created: dt.datetime | None = None
    condition: str = ""  # which requests it covers: of a registry in ABAC mode, which repositories


def as_registry(found: Any) -> Registry:
    properties = found.properties
    if not (found.id and found.name and properties.login_server):
        raise ValueError
    rules = properties.network_rule_set

    def summary(value: Any) -> str:
        return str(getattr(value, "value", value) or "").lower()

    return Registry(
        id=str(found.id),
        name=str(found.name),
        login_server=str(properties.login_server).lower(),
        abac=summary(properties.role_assignment_mode) == "abacrepositorypermissions",
        public_network=summary(properties.public_network_access) != "disabled",
        firewall_denies=rules is not None and summary(rules.default_action) == "deny",
        firewall_exceptions=rules is not None and bool(rules.ip_rules),
        anonymous_pull=bool(properties.anonymous_pull_enabled),
    )


def as_assignment(found: Any) -> Assignment:
    if not (found.id and found.name):
        raise ValueError
    return Assignment(
        id=str(found.id),
        name=str(found.name).lower(),
        role=str(found.role_definition_id).rpartition("/")[2].lower(),
        scope=str(found.scope),
        description=found.description or "",
        created=found.created_on,
        condition=found.condition or "",
    )
