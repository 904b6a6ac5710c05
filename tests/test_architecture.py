"""Rules of the source that a reader relies on; each says why."""

from __future__ import annotations

import ast
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
SDK_ERRORS = ("google.api_core.exceptions", "google.auth.exceptions", "azure.core.exceptions", "azure.identity", "kiota_abstractions.api_error")  # fmt: skip
CLIENTS = {
    "providers/gcr/client.py", "providers/gcr/login.py", "providers/acr/cloud.py", "providers/acr/arm_pipeline.py",
    "providers/acr/graph_client.py", "providers/acr/login.py", "providers/acr/sdk_imports.py", "providers/acr/tokens.py",
}  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    """Each name that a module imports, whole: `google.api_core.exceptions`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_sdks_exceptions_do_not_leave_its_client(path: Path) -> None:
    """Everything else knows one kind of error, `ApiError`: what one SDK raises is not what the next one does."""
    if str(path.relative_to(ROOT)) in CLIENTS:
        return

    assert not [name for name in imported(path) if name.startswith(SDK_ERRORS)]


@pytest.mark.parametrize(
    "package", ["providers.acr", "providers.gcr", "providers.docker_hub", "providers.private"]
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
    """What test files share is in `tests/harness`, under the name of the thing: nothing there needs a test file either."""
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


# -- import circles ------------------------------------------------------------------------------------------------

_NOT_YET = ("bootstrap.testing", "bootstrap.plugin", "bootstrap.observe", "bootstrap.waiting")
"""Still in circles, or about to move."""


def _needed(path: Path, modules: set[str]) -> set[str]:
    """The modules of ours that a module needs to be imported or understood, `TYPE_CHECKING` included; not what a function imports late."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{name.name}" for name in node.names]
            found |= {name if name in modules else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        waiting += ast.iter_child_nodes(node)
    return found & modules


def test_no_import_circle() -> None:
    """Who reads a module must not have to know one that needs it."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "bootstrap").rglob("*.py")
    }
    modules = {name for name in files if not name.startswith(_NOT_YET)}
    needs = {name: _needed(files[name], modules) - {name} for name in modules}
    while leaves := {name for name, needed in needs.items() if not needed}:
        needs = {name: needed - leaves for name, needed in needs.items() if name not in leaves}

    assert needs == {}, "these are in a circle, or need one that is"
