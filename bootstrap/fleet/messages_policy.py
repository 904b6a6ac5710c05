"""The faults of targets that do not observe the file's policy, each with its place and code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from bootstrap.fleet.fault import Fault, Place
from bootstrap.model.duration import as_typed, in_words
from bootstrap.plugin.provider import Target


def key_without_expiry(place: Place) -> Fault:
    return Fault(
        place,
        "its key does not expire, or its expiry cannot be seen, and the policy has require-expiry",
        "Use a kind of key that expires, with expires-in",
    )


def lifetime_not_set(place: Place, longest: dt.timedelta) -> Fault:
    """A key that would not expire, or that lasts as long as the cloud lets it."""
    return Fault(
        place,
        "no expires-in is set for its key, which outlives the policy's max-lifetime, " + in_words(longest),
        f"Set expires-in: {as_typed(longest)}, or less",
    )


def key_lasts_too_long(place: Place, lifetime: dt.timedelta, longest: dt.timedelta) -> Fault:
    return Fault(
        place,
        f"its key is valid for {in_words(lifetime)}, and the policy's max-lifetime is {in_words(longest)}",
        "Set a shorter expires-in",
    )


def role_not_allowed(place: Place, role: str, allowed: Sequence[str]) -> Fault:
    return Fault(
        place, f"the policy's allowed-roles do not include {role}", f"There are: {', '.join(allowed)}"
    )


def host_not_allowed(place: Place, host: str, allowed: Sequence[str]) -> Fault:
    return Fault(
        place, f"the policy's allowed-hosts do not include {host}", f"There are: {', '.join(allowed)}"
    )


def identity_shared(place: Place, target: Target, label: str, first: Place) -> Fault:
    """`label` is the registry at `first` whose identity the target has too."""
    limit = target.key_limit
    return Fault(
        place,
        f"it has the same identity as {label} in line {first.line}, and the policy has identity: "
        "per-registry",
        f"Give it another {limit.another}" if limit else "Give it an identity of its own",
    )
