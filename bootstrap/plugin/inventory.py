"""All installed providers, usable or not: what `pullkey providers` lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bootstrap.model.errors import UsageProblem
from bootstrap.plugin import entry_points, messages
from bootstrap.plugin.installation import origin_of
from bootstrap.plugin.provider import Provider


@dataclass(frozen=True)
class InstalledProvider:
    """One installed provider.

    Attributes:
        title: "" if it cannot be used.
        distribution: the name of its package; `version`: the package's.
        origin: what the package was installed from, and whether it is `editable`; "" if from a package index,
            or unknown.
        folder: where it is installed.
        hosts: those that it claims, as patterns.
        fallback: whether it accepts any server that no other provider recognises.
        problem: why it cannot be used, or what it gets in the way of.
    """

    name: str
    title: str
    distribution: str
    version: str
    origin: str
    editable: bool
    folder: str
    hosts: Sequence[str] = ()
    fallback: bool = False
    problem: UsageProblem | None = None


def installed_providers() -> list[InstalledProvider]:
    """The installed providers by name; several of one name are all listed."""
    found, usable = [], dict[str, Provider]()
    for name, entries in entry_points.installed().items():
        problem: UsageProblem | None = None
        try:
            usable[name] = entry_points.load(name)
        except UsageProblem as error:
            problem = error
        for one in entries:
            origin, copy = origin_of(one.distribution), one.distribution
            found.append(
                InstalledProvider(
                    name,
                    usable[name].title if name in usable else "",
                    copy.name,
                    copy.version,
                    str(origin or ""),
                    origin is not None and origin.editable,
                    str(copy.locate_file("")),
                    tuple(usable[name].hosts) if name in usable else (),
                    name in usable and usable[name].fallback,
                    problem,
                )
            )
    return [
        replace(one, problem=_conflict(usable[one.name], usable.values())) if one.name in usable else one
        for one in found
    ]


def _conflict(provider: Provider, usable: Iterable[Provider]) -> UsageProblem | None:
    """The host of a provider that another one claims, too."""
    for pattern in provider.hosts:
        host = pattern.replace("*", "example")
        claiming = [one for one in usable if not one.fallback and _claims(one, host)]
        if len(claiming) > 1:
            return messages.host_claimed_twice(pattern, entry_points.labels(claiming))
    return None


def _claims(provider: Provider, host: str) -> bool:
    try:
        return provider.claims(host)
    except Exception:  # noqa: BLE001  - a third party's plugin may fail in any way
        return False
