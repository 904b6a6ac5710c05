"""The parts that the definitions of custom roles share."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from bootstrap.engine.access_list import Command

WHY_A_CONDITION = "without which the login could assign any role, such as Owner"


def role_title(commands: Sequence[Command]) -> str:
    """The name of the role. Roles for different commands have different ones: Azure takes a name once in a
    directory ("Azure custom roles", Custom role properties), and Terraform an address once in a module.
    """
    return f"pullkey {', '.join(commands)}"


def role_id(title: str) -> str:
    """The role's name in Terraform, and its id at Google: letters, digits and underscores."""
    return re.sub("[^a-z]+", "_", title)


def variable(name: str, about: str) -> list[str]:
    return [
        f'variable "{name}" {{',
        "  type        = string",
        f"  description = {json.dumps(about)}",
        "}",
        "",
    ]


def list_of(name: str, values: Sequence[str], indent: str) -> list[str]:
    return [f"{indent}{name} = [", *(f"{indent}  {json.dumps(one)}," for one in values), f"{indent}]"]
