"""What a docstring says can be relied on: its examples are what the code does, and its arguments exist."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("bootstrap", "providers") for path in sorted((ROOT / folder).rglob("*.py"))]
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCES
    if ">>> " in path.read_text(encoding="utf-8")
]
_NAMES = re.compile(r"^    ([A-Za-z_]\w*(?:, [A-Za-z_]\w*)*): ")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module(name: str) -> None:
    failed, tried = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE, report=True
    )
    assert tried
    assert not failed


def _described(docstring: str) -> Iterator[str]:
    """The names in its sections `Args` and `Attributes`."""
    inside = False
    for line in docstring.splitlines():
        if line in ("Args:", "Attributes:"):
            inside = True
        elif line and not line.startswith(" "):
            inside = False
        elif inside and (found := _NAMES.match(line)):
            yield from found[1].split(", ")


def _arguments(of: Function) -> set[str]:
    given = of.args
    named = [
        *given.posonlyargs,
        *given.args,
        *given.kwonlyargs,
        given.vararg,
        given.kwarg,
    ]
    return {one.arg for one in named if one is not None}


def _members(of: ast.ClassDef, classes: Mapping[str, Sequence[ast.ClassDef]]) -> set[str]:
    """What an object of a class has, and what it is created from."""
    found = set[str]()
    for node in ast.walk(of):
        if isinstance(node, Function):
            found |= {node.name, *(_arguments(node) if node.name in ("__init__", "__new__") else ())}
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    for base in of.bases:
        named = ast.unparse(base).partition("[")[0].rpartition(".")[2]
        if named != of.name:
            found |= set().union(*(_members(one, classes) for one in classes.get(named, ())))
    return found


def test_no_docstring_describes_an_argument_that_does_not_exist() -> None:
    nodes = [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | Function)
    ]
    classes = defaultdict[str, list[ast.ClassDef]](list)
    for _, node in nodes:
        if isinstance(node, ast.ClassDef):
            classes[node.name].append(node)

    assert not [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has no {name}"
        for path, node in nodes
        if (described := set(_described(ast.get_docstring(node) or "")))
        for name in sorted(
            described - (_arguments(node) if isinstance(node, Function) else _members(node, classes))
        )
    ]
