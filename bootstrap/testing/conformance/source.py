"""What a provider's source and its import show, without running it."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bootstrap.plugin import entry_points as plugins

ALLOWED = ("bootstrap.plugin", "bootstrap.model")
"""What a provider may import of pullkey; its emulator may also import the sandbox."""
UNSPECIFIC = {"PullkeyError", "StepFailed", "Problem"}
"""These classes only say that something failed, so each use has to choose its code."""
_OURS = {"bootstrap", "click", "platformdirs"}
"""What pullkey itself imports immediately."""
_IMPORTED = """
import sys
from importlib.metadata import EntryPoint
import bootstrap.cli, bootstrap.plugin.provider
before = set(sys.modules)
EntryPoint("x", sys.argv[1], "x").load()
print(*(set(sys.modules) - before))
"""


def package_of(provider: str) -> str:
    """The topmost package that contains the provider's entry point, and that other distributions cannot add
    to; of pullkey's own, whose package has them all, the provider's.
    """
    one = plugins.installed()[provider][0]
    if one.built_in:
        return one.module
    parts = one.module.split(".")
    above = [".".join(parts[:number]) for number in range(1, len(parts))]
    return next((name for name in above if not _is_namespace(name)), one.module)


def _is_namespace(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    return spec is None or spec.origin is None


def sources(provider: str) -> dict[str, Path]:
    """The modules of the provider's package, by dotted name."""
    package = package_of(provider)
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return {}
    if not spec.submodule_search_locations:
        return {package: Path(spec.origin)}
    top = Path(spec.origin).parent
    return {
        ".".join([package, *path.relative_to(top).with_suffix("").parts]).removesuffix(".__init__"): path
        for path in sorted(top.rglob("*.py"))
    }


def is_of_emulator(module: str) -> bool:
    """Whether a module belongs to an emulator, by its name."""
    return "emulator" in module.split(".")


def foreign_imports(provider: str) -> Iterator[str]:
    """List the provider's imports of pullkey that are not for providers, each with its place."""
    for module, path in sources(provider).items():
        allowed = (*ALLOWED, "bootstrap.sandbox") if is_of_emulator(module) else ALLOWED
        for line, name in _imports(path):
            if name.split(".")[0] == "bootstrap" and not _within(name, allowed):
                yield f"{path}:{line} imports {name}"


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return name == "bootstrap" or any(name == one or name.startswith(f"{one}.") for one in packages)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "bootstrap":
                yield from ((node.lineno, f"bootstrap.{one.name}") for one in node.names)
            else:
                yield node.lineno, node.module


def errors_without_code(provider: str) -> Iterator[str]:
    """List the uses of a general error class without a code, each with its place."""
    for module, path in sources(provider).items():
        if is_of_emulator(module):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and _name_of(node.func) in UNSPECIFIC
                and not any(keyword.arg in ("code", None) for keyword in node.keywords)
            ):
                yield f"{path}:{node.lineno} {_name_of(node.func)}(...)"


def _name_of(function: ast.expr) -> str:
    return getattr(function, "id", "") or getattr(function, "attr", "")


def imported_early(provider: str) -> list[str]:
    """List the third-party packages that importing the provider imports.

    Raises:
        RuntimeError: it cannot be imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, plugins.installed()[provider][0].entry.value],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    own = package_of(provider).partition(".")[0]
    found = {name.partition(".")[0] for name in done.stdout.split()}
    emulator = {name for name in done.stdout.split() if name.startswith(f"{own}.") and is_of_emulator(name)}
    return sorted({*(found - _OURS - {own} - sys.stdlib_module_names), *emulator})


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
