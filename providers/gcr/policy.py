"""Changing an IAM policy without touching what is others'.

Pure functions on the policy message of google.iam.v1, so that read, change and write can be done again as one
when somebody else writes in between.
"""

from __future__ import annotations

from typing import Any

# Version 3 is asked for and sent back, else Google drops or refuses the conditions of others ("IAM conditions
# overview", policy versions).
VERSION = 3


def member(email: str) -> str:
    return f"serviceAccount:{email}"


def copy_of(policy: Any) -> Any:
    """One that can be changed while others read the first."""
    copy = type(policy)()
    copy.CopyFrom(policy)
    return copy


def has(policy: Any, role: str, email: str) -> bool:
    """Whether the account has the role, without a condition."""
    return any(
        binding.role == role and not _conditional(binding) and member(email) in binding.members
        for binding in policy.bindings
    )


def add(policy: Any, role: str, email: str) -> None:
    """Grant the account the role: in the unconditional binding of the role if there is one, else in a new
    one.
    """
    policy.version = VERSION
    for binding in policy.bindings:
        if binding.role == role and not _conditional(binding):
            binding.members.append(member(email))
            return
    policy.bindings.add(role=role, members=[member(email)])


def remove(policy: Any, role: str, email: str) -> bool:
    """Take the role from the account, and nothing from anybody else; whether there was something to take."""
    policy.version = VERSION
    for index, binding in enumerate(policy.bindings):
        if binding.role == role and not _conditional(binding) and member(email) in binding.members:
            binding.members.remove(member(email))
            if not binding.members:
                del policy.bindings[index]
            return True
    return False


def deleted_accounts(policy: Any, email: str) -> list[str]:
    """The unique ids of deleted accounts of this e-mail that the policy still names."""
    prefix = f"deleted:{member(email)}?uid="
    return sorted(
        {
            name.removeprefix(prefix)
            for binding in policy.bindings
            for name in binding.members
            if name.startswith(prefix)
        }
    )


def members(policy: Any) -> list[tuple[str, str]]:
    """Every role with whom it is given to, with a condition or without."""
    return sorted({(binding.role, name) for binding in policy.bindings for name in binding.members})


def roles(policy: Any, email: str) -> list[tuple[str, bool]]:
    """The roles that the account has, and whether each comes with a condition."""
    return [(it.role, _conditional(it)) for it in policy.bindings if member(email) in it.members]


def _conditional(binding: Any) -> bool:
    return bool(binding.HasField("condition"))
