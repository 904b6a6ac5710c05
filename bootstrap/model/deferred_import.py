"""Modules that are run when they are first used, not when another module imports them.

The clouds' SDKs import much that most runs never touch: parsers of certificates, the clients of six more
services. A deferred module is in `sys.modules` at once; its code runs when something asks it for a name.
Whatever an SDK asks for is found, so a version of it that uses such a module while it is imported is slower,
and not broken.

A module of a deferred package is imported without the code of the package. Defer only what allows that.
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
    """Stands for a module until it is asked for one of its names, and passes each question on from then
    on.
    """

    def __getattr__(self, name: str) -> Any:
        real = vars(self).get("__wrapped__")
        # `from package import module` asks for the name first, and takes the module only.
        if real is None and "__path__" in vars(self):
            module = f"{self.__name__}.{name}"
            if importlib.util.find_spec(module) is not None:
                return importlib.import_module(module)
        return getattr(real or self._import(), name)

    def _import(self) -> ModuleType:
        """Import the module itself. That several threads import it once is up to Python's own locks."""
        with _REMOVING:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        real = importlib.import_module(self.__name__)
        for name, value in list(vars(self).items()):
            # Of a package: its modules that were imported before it, which it need not import again.
            if sys.modules.get(f"{self.__name__}.{name}") is value is not None:
                vars(real).setdefault(name, value)
        vars(self)["__wrapped__"] = real
        return real


def defer(*names: str) -> None:
    """Let modules wait until they are used. One that is imported already, or is not installed, stays as it
    is.
    """
    for name in names:
        if name in sys.modules:
            continue
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is None or name in sys.modules:  # its package may have imported it just now
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
