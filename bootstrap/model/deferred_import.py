"""Modules whose code runs when they are first used, not when they are imported.

The clouds' SDKs import much that most runs never use: certificate parsers, the clients of six more services.
A deferred module is in `sys.modules` immediately; its code runs at the first access to one of its names. An
SDK version that uses a deferred module during its own import still works, but is slower.

A submodule of a deferred package is imported without running the package's code. Defer only packages that
allow that.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

_REMOVING = threading.Lock()


class _Deferred(ModuleType):
    """A placeholder that imports the real module at the first access, and then forwards to it."""

    def __getattr__(self, name: str) -> Any:
        real = vars(self).get("__wrapped__")
        # `from package import module` accesses the name first; import that module alone.
        if real is None and "__path__" in vars(self):
            module = f"{self.__name__}.{name}"
            if importlib.util.find_spec(module) is not None:
                return importlib.import_module(module)
        return getattr(real or self._import(), name)

    def _import(self) -> ModuleType:
        """Import the real module. Python's import locks make sure that concurrent threads import it once."""
        with _REMOVING:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        real = importlib.import_module(self.__name__)
        for name, value in list(vars(self).items()):
            # Keep the submodules of a package that were imported before it.
            if sys.modules.get(f"{self.__name__}.{name}") is value is not None:
                vars(real).setdefault(name, value)
        vars(self)["__wrapped__"] = real
        return real


def defer(*names: str) -> None:
    """Defer modules until they are used, except those that are already imported or not installed."""
    for name in names:
        if name in sys.modules:
            continue
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        if (
            spec is None or name in sys.modules
        ):  # find_spec imports the parent package, which may have imported it
            continue
        module = _Deferred(name)
        module.__spec__, module.__loader__ = spec, spec.loader
        module.__package__ = spec.parent
        module.__file__ = spec.origin
        if spec.submodule_search_locations is not None:
            module.__path__ = list(spec.submodule_search_locations)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
