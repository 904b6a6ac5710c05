"""The content of the sandbox's clouds and of Akka, as comparable lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.akka import AkkaEmulator


def inventory(*emulators: Any) -> set[InventoryItem]:
    """List the objects of the clouds and of Akka, one line each: keys, grants, identities, secrets,
    references.
    """
    return {
        item
        for emulator in emulators
        for item in (_akka(emulator) if isinstance(emulator, AkkaEmulator) else emulator.inventory())
    }


def _akka(akka: AkkaEmulator) -> Iterator[InventoryItem]:
    for project in akka.projects.values():
        for region in project.regions:
            # Akka's leftovers are judged by Akka's content, not by what a report names.
            yield from (
                InventoryItem(f"akka {project.name} {region} secret {name}", reported=_NEVER)
                for name, _, _ in project.secrets.seen_from(region)
            )
            yield from (
                InventoryItem(f"akka {project.name} {region} reference {name}", reported=_NEVER)
                for name, _, _ in project.registries.seen_from(region)
            )


_NEVER = r"(?!)"


def is_key(item: InventoryItem) -> bool:
    return item.kind == "key"


def key_id(item: InventoryItem) -> str:
    """The id by which pullkey names a key."""
    return item.known_as


def is_named(item: InventoryItem, text: str) -> bool:
    """Whether a text reports an object as left over, with the command that removes it."""
    text = re.sub(r"\n\s+(?:to remove it|remove it with):\s*", " delete: ", text)
    if item.reported:
        return re.search(item.reported, text) is not None
    if is_key(item):
        return any(
            item.known_as in one and ("delete" in one or "settings" in one) for one in text.splitlines()
        )
    return item.known_as in text
