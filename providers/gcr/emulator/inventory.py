"""What the emulated Google holds, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bootstrap.plugin.conformance import InventoryItem
from providers.gcr.emulator.state import GoogleState


def inventory(state: GoogleState) -> Iterator[InventoryItem]:
    """Accounts, their keys, and the bindings of projects, repositories and accounts."""
    for project in state.projects.values():
        yield from _policy(project.id, project.policy)
        for repository in project.repositories.values():
            yield from _policy(repository.name, repository.policy)
        for account in project.accounts.values():
            by_gcloud = _by_gcloud(account.email)
            yield InventoryItem(
                f"google account {account.email} {account.description!r} disabled={account.disabled}",
                "identity",
                account.email,
                reported=by_gcloud,
            )
            yield from _policy(account.email, account.policy)
            for key in account.keys.values():
                text = f"key {account.email} {key.id} disabled={key.disabled}"
                if key.system_managed:
                    # It is deleted with its account.
                    yield InventoryItem(f"google's own {text}", known_as=key.id, reported=by_gcloud)
                else:
                    yield InventoryItem(f"google {text}", "key", key.id, active=not key.disabled)


def _policy(resource: str, policy: Any) -> Iterator[InventoryItem]:
    for binding in policy.bindings():
        for member in binding.members:
            yield InventoryItem(
                f"google binding {resource} {binding.role} {member} {binding.condition.expression}",
                "grant",
                member,
                reported=_by_gcloud(member.removeprefix("serviceAccount:")),
            )


def _by_gcloud(name: str) -> str:
    return rf"(?s)(?=.*{re.escape(name)})(?=.*gcloud )"
