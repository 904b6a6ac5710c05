"""What the emulated Azure holds, line by line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from bootstrap.plugin.conformance import InventoryItem
from providers.acr.emulator.state import AzureState, Registry

_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


def inventory(state: AzureState) -> Iterator[InventoryItem]:
    """Applications with their secrets and principals, role assignments, tokens and scope maps."""
    for application in state.applications:
        if application.lifetime.exists:
            yield InventoryItem(
                f"azure application {application.id} {application.display_name} {application.unique_name}",
                "identity",
                application.id,
                reported="az ad app delete",
            )
            yield from (
                InventoryItem(f"azure secret {application.id} {one.key_id}", "key", one.key_id)
                for one in application.secrets
                if one.lifetime.exists
            )
    for principal in state.service_principals:
        if principal.lifetime.exists:
            # It is deleted with its application.
            text = f"azure principal {principal.id}"
            yield InventoryItem(text, "identity", principal.id, reported="az ad app delete")
    for one in state.role_assignments:
        if one.lifetime.exists:
            text = f"azure role {one.scope} {one.principal_id} {one.role.guid}"
            yield InventoryItem(text, "grant", reported="az role assignment delete")
    for registry in state.registries:
        yield from _of_registry(registry)


def _of_registry(registry: Registry) -> Iterator[InventoryItem]:
    by_az = "az acr token delete|az acr scope-map delete"
    for scope_map in registry.scope_maps.values():
        text = f"azure scope map {registry.name} {scope_map.name} {scope_map.actions}"
        yield InventoryItem(text, "grant", scope_map.name, reported=by_az)
    for token in registry.tokens.values():
        text = f"azure token {registry.name} {token.name}"
        yield InventoryItem(text, "identity", token.name, reported=by_az)
        for one in token.passwords.values():
            text = f"azure password {token.name} {one.name} {one.created}"
            key_id = f"{one.name}-{(one.created - _EPOCH) // dt.timedelta(milliseconds=1)}"
            yield InventoryItem(text, "key", key_id, reported=f"--{one.name}")
