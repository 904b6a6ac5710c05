"""Edit an IAM policy without touching the bindings of others.

Pure functions on the policy message of google.iam.v1, so that read, edit and write can be repeated as one
when another writer comes in between.
"""

from __future__ import annotations

from typing import Any

# Version 3 is requested and sent back, else Google drops or refuses the conditions of others ("IAM conditions
# overview", policy versions).
VERSION = 3


def member(email: str) -> str:
    return f"serviceAccount:{email}"


def copy_of(policy: Any) -> Any:
    """A copy to edit while others read the original."""
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
    """Grant the role to the account, in its unconditional binding if there is one, else in a new one."""
    policy.version = VERSION
    for binding in policy.bindings:
        if binding.role == role and not _conditional(binding):
            binding.members.append(member(email))
            return
    policy.bindings.add(role=role, members=[member(email)])


def remove(policy: Any, role: str, email: str) -> bool:
    """Remove the account from the role's unconditional binding; return whether it was in it."""
    policy.version = VERSION
    for index, binding in enumerate(policy.bindings):
        if binding.role == role and not _conditional(binding) and member(email) in binding.members:
            binding.members.remove(member(email))
            if not binding.members:
                del policy.bindings[index]
            return True
    return False


def deleted_accounts(policy: Any, email: str) -> list[str]:
    """The unique ids of the deleted accounts with this e-mail that the policy still names."""
    return sorted({name.partition("?uid=")[2] for _, name in deleted_bindings(policy, email)})


def deleted_bindings(policy: Any, email: str) -> list[tuple[str, str]]:
    """Each role, with the deleted account with this e-mail that still has it, as the policy names it."""
    prefix = f"deleted:{member(email)}?uid="
    return [found for found in members(policy) if found[1].startswith(prefix)]


def members(policy: Any) -> list[tuple[str, str]]:
    """Each role with each of its members, conditional bindings included."""
    return sorted({(binding.role, name) for binding in policy.bindings for name in binding.members})


def roles(policy: Any, email: str) -> list[tuple[str, bool]]:
    """The account's roles, and whether each has a condition."""
    return [(it.role, _conditional(it)) for it in policy.bindings if member(email) in it.members]


def _conditional(binding: Any) -> bool:
    return bool(binding.HasField("condition"))
