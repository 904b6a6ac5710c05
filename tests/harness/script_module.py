"""Load a program of `scripts/` as a module."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
_numbers = itertools.count(1)


def script_module(name: str) -> ModuleType:
    """The program of that file name, without its `main()`. Each call loads a module of its own."""
    # Known by its name, which dataclasses look up.
    own = f"{Path(name).stem.replace('-', '_')}_{next(_numbers)}"
    loader = importlib.machinery.SourceFileLoader(own, str(_SCRIPTS / name))
    spec = importlib.util.spec_from_loader(own, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[own] = module
    loader.exec_module(module)
    return module
