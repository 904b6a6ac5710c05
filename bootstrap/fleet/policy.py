"""The policy of a file of registries: limits that its author sets for all of its targets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from bootstrap.fleet import messages_policy as messages
from bootstrap.fleet.fault import Fault, Place
from bootstrap.plugin.provider import Target

# The fields that name a registry, as far as a target has them.
_ADDRESSES = ("server", "registry", "image", "repository")


@dataclass(frozen=True)
class Policy:
    """What the targets of a file have to observe; by default nothing.

    Attributes:
        max_lifetime: of the keys that are created; what the user supplies is not limited by it.
        require_expiry: whether every key must expire.
        allowed_roles: globs of the roles that a target may name; empty for all.
        allowed_hosts: globs of the registries' hosts; empty for all.
        identity_per_registry: whether no two registries may share an identity.
        file: where it is set, if that is not the file of the targets.
    """

    max_lifetime: dt.timedelta | None = None
    require_expiry: bool = False
    allowed_roles: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    identity_per_registry: bool = False
    file: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any], file: str = "") -> Policy:
        """The policy of the values of `policy:`, by field."""
        return cls(
            values.get("max-lifetime"),
            bool(values.get("require-expiry")),
            tuple(values.get("allowed-roles", ())),
            tuple(values.get("allowed-hosts", ())),
            values.get("identity") is not None,
            file,
        )


@dataclass(frozen=True)
class Subject:
    """A target, with what its faults need.

    Attributes:
        place: where it begins.
        places: of its fields, and of the defaults that it takes.
        role: the role that it grants, if that can be chosen; else "".
    """

    place: Place
    places: Mapping[str, Place]
    target: Target
    role: str

    def at(self, *names: str) -> Place:
        """The place of the first of these fields that it has, else its own."""
        return next((self.places[name] for name in names if name in self.places), self.place)


def violations(policy: Policy, subjects: Sequence[Subject]) -> list[Fault]:
    """The faults of the targets that do not observe the policy."""
    faults = [fault for one in subjects for fault in _of_target(policy, one)]
    faults += _of_identities(subjects) if policy.identity_per_registry else []
    return [replace(one, what=f"{one.what} ({policy.file})") for one in faults] if policy.file else faults


def _of_target(policy: Policy, one: Subject) -> list[Fault]:
    faults = []
    lifetime, host = one.target.lifetime, one.target.registry.lower()
    if lifetime is None and policy.require_expiry:
        faults.append(messages.key_without_expiry(one.at("key-source")))
    if (longest := policy.max_lifetime) is not None:
        if lifetime is None and not one.target.key_supplied:
            faults.append(messages.lifetime_not_set(one.at("key-source"), longest))
        elif lifetime is not None and lifetime > longest:
            faults.append(messages.key_lasts_too_long(one.at("expires-in"), lifetime, longest))
    if one.role and not _fits(one.role, policy.allowed_roles):
        faults.append(messages.role_not_allowed(one.at("role"), one.role, policy.allowed_roles))
    if not _fits(host, [glob.lower() for glob in policy.allowed_hosts]):
        faults.append(messages.host_not_allowed(one.at(*_ADDRESSES), host, policy.allowed_hosts))
    return faults


def _fits(text: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatchcase(text, glob) for glob in globs)


def _of_identities(subjects: Sequence[Subject]) -> list[Fault]:
    first: dict[str, Subject] = {}
    faults = []
    for one in subjects:
        other = first.setdefault(one.target.shared_identity_key, one)
        if other.target.label != one.target.label:
            faults.append(messages.identity_shared(one.place, one.target, other.target.label, other.place))
    return faults
