"""Finding the providers. Nothing else in `bootstrap` names one."""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points

from bootstrap.errors import UsageProblem
from bootstrap.provider import Provider

GROUP = "pullkey.providers"


@functools.cache
def entries() -> dict[str, EntryPoint]:
    """The entry points by name, in order; none is loaded."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def names() -> list[str]:
    return list(entries())


def load(name: str) -> Provider:
    """The provider of this name.

    Raises:
        UsageProblem: there is none, or it cannot be imported.
    """
    found = entries().get(name)
    if found is None:
        raise UsageProblem(f"There is no provider {name!r}", mend=f"There are: {', '.join(names())}")
    try:
        provider: Provider = found.load()
    except Exception as error:  # noqa: BLE001  - a plugin of somebody else may fail in any way
        raise UsageProblem(f"The provider {name!r} cannot be loaded: {error}") from None
    return provider
