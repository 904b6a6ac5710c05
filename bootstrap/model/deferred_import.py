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
from collections.abc import Mapping
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
            source = vars(self).get("__sources__", {}).get(name)
            found = getattr(importlib.import_module(source), name, None) if source else None
            if found is not None:
                return found
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


class _DeferredClass(type):
    """The type of stand-ins for the classes of a deferred module. Whatever is done with a stand-in (creating
    an object, reading an attribute, `isinstance`, subclassing) is done with the real class, except catching:
    no exception is an instance of a stand-in.
    """

    __real__: Any

    def __new__(mcs, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Any:
        if not any(isinstance(one, _DeferredClass) for one in bases):
            return super().__new__(mcs, name, bases, names)
        real = tuple(_real(one) if isinstance(one, _DeferredClass) else one for one in bases)
        return type(real[0])(name, real, names)

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        return _real(cls)(*arguments, **options)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):  # Python itself and `typing` look for many
            raise AttributeError(name)
        return getattr(_real(cls), name)

    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, _real(cls))

    def __subclasscheck__(cls, one: type) -> bool:
        return issubclass(one, _real(cls))


def _real(stand_in: _DeferredClass) -> Any:
    name = stand_in.__module__
    if isinstance(sys.modules.get(name), _DeferredClasses):
        with _REMOVING:
            if isinstance(sys.modules.get(name), _DeferredClasses):
                del sys.modules[name]
    return getattr(importlib.import_module(name), stand_in.__name__)


class _DeferredClasses(ModuleType):
    """A placeholder of a module that gives a stand-in for each of its classes."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        stand_in = _DeferredClass(name, (), {"__module__": self.__name__})
        vars(self)[name] = stand_in
        return stand_in


def defer(*names: str, sources: Mapping[str, str] | None = None) -> None:
    """Defer modules until they are used, except those that are already imported or not installed.

    Args:
        names: the modules.
        sources: for a package, the submodule that defines one of its names. That name is taken from there,
            without the package; if it is not there, from the package.
    """
    for name in names:
        module = _place(name, _Deferred)
        if module is not None and sources:
            vars(module)["__sources__"] = dict(sources)


def defer_classes(*names: str) -> None:
    """Defer modules of which other modules import classes by name (`from module import Class`), until one of
    the classes is used.

    The packages around each, which may import it themselves, are deferred too. Only for modules that define
    nothing but classes, of which none is an exception that is caught.
    """
    for name in names:
        packages = name.split(".")[:-1]
        defer(*(".".join(packages[: depth + 1]) for depth in range(len(packages))))
        _place(name, _DeferredClasses)


def _place(name: str, kind: type[ModuleType]) -> ModuleType | None:
    """Put a placeholder into `sys.modules`; return it, or None if the module is imported or not installed."""
    if name in sys.modules:
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if (
        spec is None or name in sys.modules
    ):  # find_spec imports the parent package, which may have imported it
        return None
    module = kind(name)
    module.__spec__, module.__loader__ = spec, spec.loader
    module.__package__ = spec.parent
    module.__file__ = spec.origin
    if spec.submodule_search_locations is not None:
        module.__path__ = list(spec.submodule_search_locations)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module
