"""Plugins that a test installs: metadata and a module, in a folder that Python imports from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bootstrap.fleet import fields
from bootstrap.plugin import entry_points
from bootstrap.testing.harness.world import World

RIVAL = (
    "from providers.acr import AcrProvider\nclass Rival(AcrProvider):\n    name, title = 'rival', 'A rival'\n"
)
"""A provider that works, and claims what Azure's does."""


def install(
    place: Path,
    name: str,
    module: str | None,
    *,
    entry: str = "",
    distribution: str = "",
    version: str = "1.0",
) -> None:
    """Install a plugin: its distribution, and its module if there is one.

    Args:
        place: the folder.
        name: of the provider.
        module: the source of the module `NAME_plugin`; None if there is none.
        entry: what its entry point says; `NAME_plugin:provider` by default.
        distribution: its name; `acme-NAME` by default.
    """
    distribution = distribution or f"acme-{name}"
    info = place / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    importable = f"{name.replace('-', '_')}_plugin"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(
        f"[pullkey.providers]\n{name} = {entry or f'{importable}:provider'}\n"
    )
    if module is not None:
        (place / f"{importable}.py").write_text(module)


def _forget() -> None:
    for cached in (
        entry_points.installed,
        entry_points._imported,
        fields.provider_names,
        fields.provider_named,
        fields.own_fields,
        fields.target_fields,
    ):
        cached.cache_clear()
    for name in [one for one in sys.modules if one.endswith("_plugin")]:
        del sys.modules[name]


@contextmanager
def imported_from(place: Path) -> Iterator[None]:
    """Within this, the plugins of a folder are installed for this process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(place)
        _forget()
        yield
    _forget()


def environment(place: Path, world: World | None = None) -> dict[str, str]:
    """The variable by which the plugins of a folder are installed for a process."""
    known = world.environment().get("PYTHONPATH", "") if world else os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(place), known)))}
