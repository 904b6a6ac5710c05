"""A hint that ends in something to be typed is printed without a full stop after it, which would be copied
too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.model.text import sentence

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (
    r"(?:pullkey|az|gcloud|akka|docker|curl|pip|pipx|uv|printf|base64|kubectl|fuser) (?:-|[a-z.%]|[A-Z]+_)"
)


@pytest.mark.parametrize(
    "hint",
    [
        "Run: akka auth login",
        "Find out why; then: az ad sp update --id 0 --set accountEnabled=true",
        "Name it: --registry NAME",
        "Pass --registry acmeshop.azurecr.io",
        "Pass --expires-in 24h",
        "Install it: https://doc.akka.io/",
        "Plan again: pullkey plan -f FILE --save PLAN",
        "Set it: PULLKEY_STATE_DIR=/var/lib/pullkey",
        "Pass it on stdin: ... < FILE",
        (
            "To remove them: gcloud iam service-accounts keys delete a; gcloud iam service-accounts "
            "keys delete b"
        ),
    ],
)
def test_nothing_is_put_after_what_is_typed(hint: str) -> None:
    assert sentence(hint) == hint


@pytest.mark.parametrize(
    "hint",
    [
        "Run it again in a while",
        "Set a shorter one, or leave --email out",
        "Pass --yes to proceed or --dry-run to preview",
        "`pullkey onboard` registers one",
        "Check --registry against `az acr list`",
        "Restore it, or name another: its name does",
        "pullkey does not write such a record",
        "Pass --key-source upload too",
        "Log in to docker first",
    ],
)
def test_any_other_ends_in_a_full_stop(hint: str) -> None:
    assert sentence(hint) == f"{hint}."


def _filled_in(value: ast.AST) -> str:
    return "az do" if "command" in ast.unparse(value) else "X"


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What a module may print: its texts but for docstrings, with X for what is filled in."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if id(node) in docstrings | parts:
            continue
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(
                    str(one.value) if isinstance(one, ast.Constant) else _filled_in(one)
                    for one in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_text_of_ours_has_one_glued_to_a_command() -> None:
    glued = []
    for folder in ("bootstrap", "providers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if {"emulator", "sandbox", "testing"} & set(path.parts):
                continue
            for number, text in _texts(ast.parse(path.read_text())):
                shown = re.sub(r"`[^`]*`", "(command)", sentence(text))
                if re.search(rf"(?:: |first: |then: )(?:{PROGRAM}|--)[^\n]*?[^\s.…)]\.(?:\s|$)", shown):
                    glued.append(f"{path.relative_to(ROOT)}:{number}: {text}")
    assert not glued, "\n".join(glued)
