"""What the sandbox's Akka holds: projects, with secrets and registry references of one region or of all."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

DOCKER_TYPE = "docker"
"""The TYPE of a registry credential in `akka secrets list`; the real word is not documented."""

GLOBAL = ""
"""The scope of an object that is written in the primary region and copied to the others."""


@dataclass(frozen=True)
class AkkaCredential:
    """The credential with which Akka pulls."""

    server: str
    username: str
    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class AkkaSecret:
    """A secret of a project. Akka never shows its values."""

    type: str
    data: Mapping[str, str] = field(repr=False)

    def credential(self) -> AkkaCredential | None:
        """The credential in the secret; None for a secret of another type."""
        if self.type != DOCKER_TYPE:
            return None
        return AkkaCredential(**self.data)


@dataclass(frozen=True)
class Entry:
    """A secret or a reference in one scope, and when it was last written."""

    value: Any
    since: dt.datetime


class AkkaError(Exception):
    """An error answer of the platform."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Scoped:
    """Named objects, each global or regional (guide "Regions": global unless `--region` is given)."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._entries: dict[str, dict[str, Entry]] = {}

    def write(self, name: str, value: Any, scope: Scope, now: dt.datetime) -> bool:
        """Create or replace an object. Return whether it existed before.

        Raises:
            AkkaError: it would change between global and regional, which was not requested.
        """
        there = self._entries.get(name, {})
        existed = bool(there)
        if scope.region != GLOBAL and GLOBAL in there:
            if not scope.force_regional:
                raise AkkaError(
                    412, f"{self._kind} '{name}' is global, use --force-regional to make it regional"
                )
            there = {}
        elif scope.region == GLOBAL and there and GLOBAL not in there:
            if not scope.force_global:
                raise AkkaError(
                    412, f"{self._kind} '{name}' is regional, use --force-global to make it global"
                )
            there = {}
        self._entries[name] = {**there, scope.region: Entry(value, now)}
        return existed

    def remove(self, name: str, regions: list[str] | None) -> None:
        """Remove an object from these regions (None: from all).

        Raises:
            AkkaError: it does not exist there.
        """
        there = self._entries.get(name, {})
        gone = [scope for scope in there if regions is None or scope in regions]
        if not gone:
            raise AkkaError(404, f"{self._kind} '{name}' not found")
        self._entries[name] = {scope: entry for scope, entry in there.items() if scope not in gone}
        if not self._entries[name]:
            del self._entries[name]

    def find(self, name: str, region: str) -> tuple[str, Entry] | None:
        """The object that a region sees under this name, and its scope."""
        there = self._entries.get(name, {})
        for scope in (region, GLOBAL):
            if scope in there:
                return scope, there[scope]
        return None

    def seen_from(self, region: str) -> Iterator[tuple[str, str, Entry]]:
        """Name, scope and entry of all objects that a region sees, sorted by name."""
        for name in sorted(self._entries):
            found = self.find(name, region)
            if found is not None:
                yield name, *found


@dataclass(frozen=True)
class Scope:
    """The scope in which a command writes."""

    region: str
    force_global: bool
    force_regional: bool


class AkkaProject:
    """A project: its regions, its secrets, and the references of its registry configuration."""

    def __init__(self, name: str, owner: str, regions: tuple[str, ...], description: str = "") -> None:
        self.name = name
        self.owner = owner
        self.description = description
        self.regions = regions
        self.primary = regions[0]
        self.id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"akka:{owner}/{name}"))
        self.secrets = Scoped("secret")
        self.registries = Scoped("registry credentials")
        self.services: dict[str, str] = {}
        """The images of the services, by name."""

    def put_credential(self, name: str, credential: AkkaCredential, now: dt.datetime) -> None:
        """Register a global credential, as another user could have done before the run."""
        everywhere = Scope(GLOBAL, force_global=True, force_regional=False)
        self.secrets.write(name, AkkaSecret(DOCKER_TYPE, vars(credential)), everywhere, now)
        self.registries.write(name, None, everywhere, now)

    def message(self) -> dict[str, Any]:
        """The project in the form of the server's protobuf message (`kalix.projects.v1alpha.Project`)."""
        owner_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"akka:{self.owner}"))
        return {
            "name": f"projects/{self.id}",
            "friendly_name": self.name,
            "description": self.description,
            "owner": {"id": owner_id, "name": f"organizations/{owner_id}", "friendly_name": self.owner},
            "regions": self.region_messages(),
        }

    def region_messages(self) -> list[dict[str, Any]]:
        return [
            {"name": f"projects/{self.id}/regions/{region}", "primary": region == self.primary}
            for region in self.regions
        ]
