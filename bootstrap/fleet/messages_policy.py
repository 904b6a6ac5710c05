"""The faults of targets that do not observe the file's policy: what is wrong, and the fix."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from bootstrap.model.duration import in_words
from bootstrap.plugin.provider import Target


def key_without_expiry() -> tuple[str, str]:
    return (
        "its key does not expire, or its expiry cannot be seen, and the policy has require-expiry",
        "Use a kind of key that expires, with expires-in",
    )


def key_lasts_too_long(lifetime: dt.timedelta, longest: dt.timedelta) -> tuple[str, str]:
    return (
        f"its key is valid for {in_words(lifetime)}, and the policy's max-lifetime is {in_words(longest)}",
        "Set a shorter expires-in",
    )


def role_not_allowed(role: str, allowed: Sequence[str]) -> tuple[str, str]:
    return f"the policy's allowed-roles do not include {role}", f"There are: {', '.join(allowed)}"


def host_not_allowed(host: str, allowed: Sequence[str]) -> tuple[str, str]:
    return f"the policy's allowed-hosts do not include {host}", f"There are: {', '.join(allowed)}"


def identity_shared(target: Target, label: str, line: int) -> tuple[str, str]:
    """`label` is the registry in that line whose identity the target has too."""
    limit = target.key_limit
    return (
        f"it has the same identity as {label} in line {line}, and the policy has identity: per-registry",
        f"Give it another {limit.another}" if limit else "Give it an identity of its own",
    )
