"""What the emulated instances hold, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.plugin.conformance import InventoryItem
from providers.gitlab.emulator.state import GitlabState
from providers.gitlab.target import key_id_of


def inventory(*instances: GitlabState) -> Iterator[InventoryItem]:
    """The deploy tokens of all projects and groups."""
    for state in instances:
        for namespace in (*state.projects.values(), *state.groups.values()):
            for token in namespace.tokens:
                if not token.revoked:
                    text = f"gitlab token {state.host} {namespace.path} {token.number} {token.name}"
                    marked = token.name.startswith("pullkey ")
                    yield InventoryItem(text, "key", key_id_of(token.number), marked=marked)
