"""Rules of the source that a reader relies on; each says why."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("bootstrap", "providers")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not {"sandbox", "emulator"} & set(path.relative_to(ROOT).parts)
]
SDK_ERRORS = (
    "google.api_core.exceptions",
    "google.auth.exceptions",
    "azure.core.exceptions",
    "azure.identity",
    "kiota_abstractions.api_error",
)
CLIENTS = {
    "providers/gcr/client.py",
    "providers/gcr/login.py",
    "providers/gcr/login_errors.py",
    "providers/acr/cloud.py",
    "providers/acr/arm_pipeline.py",
    "providers/acr/graph_client.py",
    "providers/acr/http_transport.py",
    "providers/acr/login.py",
    "providers/acr/login_errors.py",
    "providers/acr/sdk_imports.py",
    "providers/acr/tokens.py",
}


@functools.cache
def imported(path: Path) -> tuple[str, ...]:
    """Each name that a module imports, whole: `google.api_core.exceptions`."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_an_sdks_exceptions_do_not_leave_its_client() -> None:
    """Everything else knows one kind of error, `ApiError`: what one SDK raises is not what the next one
    does.
    """
    others = [path for path in SOURCES if str(path.relative_to(ROOT)) not in CLIENTS]
    assert len(others) > 300
    assert not [
        f"{path.relative_to(ROOT)}: {name}"
        for path in others
        for name in imported(path)
        if name.startswith(SDK_ERRORS)
    ]


@pytest.mark.parametrize(
    "package",
    [
        "providers.acr",
        "providers.gcr",
        "providers.docker_hub",
        "providers.gitlab",
        "providers.harbor",
        "providers.private",
    ],
)
def test_no_module_imports_one_that_imports_it(package: str) -> None:
    """Not even for its types: what two modules know of each other belongs into one, or into a third."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCES
    }
    needs = {
        name: {one for one in imported(path) if one in modules and one not in (name, package)}
        for name, path in modules.items()
        if name.startswith(f"{package}.")
    }

    while free := {name for name, others in needs.items() if not others & needs.keys()}:
        for name in free:
            del needs[name]
    assert not needs


def test_a_test_file_is_no_library() -> None:
    """What test files share is in `tests/harness`, under the name of the thing: nothing there needs a test
    file either.
    """
    files = [
        *(ROOT / "tests").rglob("*.py"),
        *(path for path in (ROOT / "scripts").iterdir() if _is_python(path)),
    ]

    assert not [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imported(path)
        if name.startswith(("tests.test_", "tests.conftest"))
    ]


def test_the_scripts_name_tests_that_exist() -> None:
    """A test that was renamed or moved would else be missing from a suite, and nobody would see it."""
    files = {path.name: path.read_text() for path in (ROOT / "tests").glob("test_*.py")}
    names = {name for text in files.values() for name in re.findall(r"def (test_\w+)", text)} | {
        name.removesuffix(".py") for name in files
    }
    named = re.compile(r"\btest_\w{12,}")

    assert not [
        f"{path.name} names {name}"
        for path in (ROOT / "scripts").iterdir()
        if path.is_file()
        for name in named.findall(path.read_text())
        if not any(one.startswith(name) for one in names)
    ]


def _is_python(path: Path) -> bool:
    return path.is_file() and (path.suffix == ".py" or "python" in path.read_text().partition("\n")[0])


# -- who imports whom ----------------------------------------------------------------------------------------

LAYERS = ("model", "files", "http", "registry", "plugin", "akka", "engine", "fleet", "output", "cli")
"""The packages of `bootstrap`: each imports only those before it. `sandbox` and `testing` may import any
but `cli`.
"""
OF_PROVIDERS = {"model", "plugin"}
"""What a provider may import; its emulator may also import the sandbox."""


def _modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for folder in ("bootstrap", "providers")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


MODULES = _modules()


def _needed(path: Path) -> set[str]:
    """The modules of ours that a module imports: at once, late, or only for their types."""
    found = {name for name in imported(path) if name in MODULES}
    # `from package import module` needs the module; the package's own text is read with it only if something
    # else is taken.
    return {one for one in found if not any(other.startswith(f"{one}.") for other in found)}


def _package(module: str) -> str:
    return [*module.split("."), ""][1]


def test_imports_go_one_way() -> None:
    """A reader of one layer need not know those above it."""
    assert len(MODULES) > 500
    upward = {module: _upward(module) for module in MODULES}
    assert not {module: packages for module, packages in upward.items() if packages}


def _upward(module: str) -> set[str]:
    """The packages that a module imports, and may not."""
    needed = {_package(one) for one in _needed(MODULES[module]) if one.startswith("bootstrap.")}
    if module.startswith("bootstrap.") and _package(module) in LAYERS:
        return needed - {*LAYERS[: LAYERS.index(_package(module)) + 1], *_ALSO.get(module, ())}
    if module.startswith("providers.") and ".emulator" not in module:
        return needed - OF_PROVIDERS
    return set()


_ALSO = {"bootstrap.cli.sandbox": {"sandbox"}}
"""The command that runs the sandbox."""


def test_no_import_circle() -> None:
    """Who reads a module must not have to know one that needs it."""
    needs = {name: _needed(path) - {name} for name, path in MODULES.items()}
    while leaves := {name for name, needed in needs.items() if not needed}:
        needs = {name: needed - leaves for name, needed in needs.items() if name not in leaves}

    assert needs == {}, "these are in a circle, or need one that is"
