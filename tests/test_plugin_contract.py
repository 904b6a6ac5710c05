"""The contract between pullkey and a plugin is in types, not in words that both happen to spell alike."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bootstrap.plugin
from bootstrap.plugin.emulator import SandboxServices
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


def _subclassed() -> Iterator[type]:
    """The classes of the plugin package that a provider can only use by implementing them."""
    for module in pkgutil.iter_modules(bootstrap.plugin.__path__, "bootstrap.plugin."):
        for one in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(one) and one.__module__ == module.name:
                protocol = getattr(one, "_is_protocol", False)
                if (protocol or inspect.isabstract(one)) and one is not SandboxServices:
                    yield one


@pytest.mark.parametrize("contract", list(_subclassed()), ids=lambda one: one.__name__)
def test_the_documentation_names_each_member_that_a_provider_may_set_or_override(contract: type) -> None:
    page = (ROOT / "docs" / "provider-contract.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert contract.__name__ in sections
    named = {
        member
        for base in contract.__mro__
        for member in re.findall(r"^\| \**`(\w+)`\** \| \S", sections.get(base.__name__, ""), re.MULTILINE)
    }
    declared = {*vars(contract), *inspect.get_annotations(contract)}
    assert sorted(one for one in declared if not one.startswith("_") and one not in named) == []
