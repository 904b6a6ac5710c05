"""What the emulated Docker Hub holds, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.plugin.conformance import InventoryItem
from providers.docker_hub.emulator.state import HubState


def inventory(state: HubState) -> Iterator[InventoryItem]:
    """The tokens of all users and organizations."""
    for user in state.users.values():
        for pat in user.tokens:
            yield _token(user.name, pat.uuid, pat.label, active=pat.active)
    for organization in state.organizations.values():
        for oat in organization.tokens:
            yield _token(organization.name, oat.id, oat.label, active=oat.active)


def _token(owner: str, key_id: str, label: str, *, active: bool) -> InventoryItem:
    text, marked = f"hub token {owner} {key_id} active={active}", label.startswith("pullkey ")
    return InventoryItem(text, "key", key_id, active=active, marked=marked)
