"""Rules of the source that a reader relies on; each says why."""

from __future__ import annotations

import ast
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
    "providers/gcr/client.py", "providers/gcr/login.py", "providers/acr/cloud.py", "providers/acr/graph.py",
    "providers/acr/login.py", "providers/acr/tokens.py",
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
