"""Find and load the installed providers. Nothing in `bootstrap` names one."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem
from bootstrap.model.text import did_you_mean
from bootstrap.plugin.provider import Provider

GROUP = "pullkey.providers"


@functools.cache
def entries() -> dict[str, EntryPoint]:
    """The entry points by name, sorted. None is loaded."""
    found = [entry for one in _distributions() for entry in one.entry_points.select(group=GROUP)]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def _distributions() -> Iterator[Distribution]:
    """The distributions that have providers; if several have the same name, the one that Python would import.

    `importlib.metadata.entry_points` would parse the entry points of all installed distributions: a hundred
    with the clouds' SDKs.
    """
    with_some = [one for one in distributions() if GROUP in (one.read_text("entry_points.txt") or "")]
    seen: set[str] = set()
    for one in with_some:
        name = re.sub(r"[-_.]+", "-", one.name).lower() if len(with_some) > 1 else ""
        if name not in seen:
            seen.add(name)
            yield one


def names() -> list[str]:
    return list(entries())


def name_of(thing: object) -> str:
    """The name of the provider that an object is of, by its module; else its package's."""
    module = type(thing).__module__
    for name, entry in entries().items():
        if module == entry.module or module.startswith(f"{entry.module}."):
            return name
    return module.partition(".")[0]


def load(name: str) -> Provider:
    """Import the provider with this name.

    Raises:
        UsageProblem: it does not exist, or cannot be imported.
    """
    found = entries().get(name)
    if found is None:
        known = ", ".join(names())
        raise UsageProblem(
            f"There is no provider {name!r}; there are: {known}",
            fix=did_you_mean(name, names()),
            code=Code.PROVIDER_UNKNOWN,
        )
    try:
        provider: Provider = found.load()
    except Exception as error:  # noqa: BLE001  - a third party's plugin may fail in any way
        raise UsageProblem(
            f"The provider {name!r} cannot be loaded: {error}", code=Code.PROVIDER_BROKEN
        ) from None
    return provider
