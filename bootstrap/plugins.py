"""Finding the providers. Nothing else in `bootstrap` names one."""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points

from bootstrap.codes import Code
from bootstrap.errors import UsageProblem
from bootstrap.provider import Provider
from bootstrap.words import did_you_mean

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
        known = ", ".join(names())
        raise UsageProblem(f"There is no provider {name!r}; there are: {known}", fix=did_you_mean(name, names()), code=Code.PROVIDER_UNKNOWN)  # fmt: skip
    try:
        provider: Provider = found.load()
    except Exception as error:  # noqa: BLE001  - a plugin of somebody else may fail in any way
        raise UsageProblem(
            f"The provider {name!r} cannot be loaded: {error}", code=Code.PROVIDER_BROKEN
        ) from None
    return provider
