"""The contract between pullkey and a plugin is in types, not in words that both happen to spell alike."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from bootstrap.plugin.step import StepRole

ROOT = Path(__file__).parent.parent
MODULES = [
    path
    for top in ("bootstrap", "providers")
    for path in sorted((ROOT / top).rglob("*.py"))
    if "emulator" not in path.parts and "sandbox" not in path.parts
]
ROLES = {str(role) for role in StepRole}


def _is_role(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return any(map(_is_role, node.elts))
    return isinstance(node, ast.Constant) and node.value in ROLES


def _spelled_out(tree: ast.Module) -> list[int]:
    """The lines that write a role as a string: `step="key"`, `step.name == "key"`, `name = "key"`."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            lines += [one.value.lineno for one in node.keywords if one.arg == "step" and _is_role(one.value)]
        elif isinstance(node, ast.Compare) and ast.unparse(node.left).endswith(("name", "step")):
            lines += [one.lineno for one in node.comparators if _is_role(one)]
        elif isinstance(node, ast.ClassDef):
            lines += [
                one.lineno
                for one in node.body
                if isinstance(one, ast.Assign | ast.AnnAssign)
                and ast.unparse(one.targets[0] if isinstance(one, ast.Assign) else one.target)
                in ("name", "after")
                and one.value is not None
                and _is_role(one.value)
            ]
    return lines


def test_a_role_is_never_spelled_out() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in MODULES
        for line in _spelled_out(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(("role", "word"), [("IDENTITY", "identity"), ("GRANT", "grant"), ("KEY", "key")])
def test_journal_and_json_keep_the_words(role: str, word: str) -> None:
    assert json.dumps({"step": StepRole[role], StepRole[role]: 1}) == f'{{"step": "{word}", "{word}": 1}}'
