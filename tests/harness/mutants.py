"""Small mistakes that are put into the product while its tests run, to see whether they notice.

A mutant is a function's code with one thing changed. It is swapped in where the function is loaded, in the
tests' own process and in each child of the fork server (`PULLKEY_TESTS_MUTANT` names it); no file is changed.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from bootstrap.testing.harness.fork_server import CHANGE

VARIABLE = "PULLKEY_TESTS_MUTANT"
_OTHER: dict[type[ast.AST], Any] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """One mistake: the NUMBER-th that can be made in a module, in which function, and what it does."""

    module: str
    number: int
    function: str
    line: int
    what: str

    @property
    def name(self) -> str:
        return f"{self.module}#{self.number}"

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.function}: {self.what}"


def _mistakes(node: ast.AST) -> Iterator[tuple[str, Callable[[], ast.AST]]]:
    """What can be done wrong at one place, in words, and what then stands there.

    Messages are left alone, since they decide nothing.
    """
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case (
            ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break() | ast.Return(value=None)
        ):
            yield f"without: {ast.unparse(node)}", ast.Pass
        case ast.Return(
            value=ast.expr(),
        ) if not ast.unparse(node).endswith("None"):
            yield f"returns None: {ast.unparse(node)}", lambda: ast.Return(ast.Constant(None))
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare | ast.UnaryOp):
            # A single comparison is turned round by itself.
            yield f"if not: {ast.unparse(test)}", lambda: _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Compare(ops=[op, *_]):
            yield f"the other way round: {ast.unparse(node)}", lambda: _with(node, ops=[_OTHER[type(op)]()])
        case ast.BoolOp(op=op):
            yield (
                f"{'or' if isinstance(op, ast.And) else 'and'}: {ast.unparse(node)}",
                lambda: _with(node, op=_OTHER[type(op)]()),
            )
        case ast.BinOp(op=op) if type(op) in _OTHER:
            yield f"another operator: {ast.unparse(node)}", lambda: _with(node, op=_OTHER[type(op)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield f"without not: {ast.unparse(node)}", lambda: operand
        case ast.Constant(value=bool() as value):
            yield f"{not value} for {value}", lambda: ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield f"{value + 1} for {value}", lambda: ast.Constant(value + 1)


def _with(node: ast.AST, **parts: Any) -> ast.AST:
    for name, part in parts.items():
        setattr(node, name, part)
    return node


class _Mutator(ast.NodeTransformer):
    """Makes the mistake that is wanted, and notes all that could be made."""

    def __init__(self, module: str, wanted: int = -1) -> None:
        self._module = module
        self._wanted = wanted
        self._names: list[str] = []
        self.found: list[Mutant] = []

    def visit(self, node: ast.AST) -> Any:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                self._names.append(node.name)
                node.body = [self.visit(one) for one in node.body]
                self._names.pop()
                return node
            case ast.JoinedStr() | ast.arguments() | ast.Import() | ast.ImportFrom():
                return node
            case ast.AnnAssign(value=value):
                node.value = self.visit(value) if value is not None else None
                return node
        # A class's own statements are done when the module is loaded.
        if self._names and self._names[-1].islower():
            for what, instead in _mistakes(node):
                one = Mutant(
                    self._module, len(self.found), ".".join(self._names), getattr(node, "lineno", 0), what
                )
                self.found.append(one)
                if one.number == self._wanted:
                    return ast.copy_location(instead(), node)
        return self.generic_visit(node)


def announce(name: str) -> None:
    """Let each process of the product that the tests start from now on be this mutant."""
    os.environ[VARIABLE] = name
    os.environ[CHANGE] = f"tests.harness.mutants:apply {name}"


def mutants(module: str) -> list[Mutant]:
    """All that can be made of a module's functions, by its dotted name."""
    mutator = _Mutator(module)
    mutator.visit(ast.parse(_source(module)))
    return mutator.found


def apply(name: str) -> bool:
    """Swap one in, in this process; False if its code cannot take the place of what is there.

    Args:
        name: `Mutant.name`.
    """
    module, _, number = name.rpartition("#")
    loaded = importlib.import_module(module)
    mutator = _Mutator(module, int(number))
    tree = ast.fix_missing_locations(mutator.visit(ast.parse(_source(module))))
    functions = _functions(loaded)
    function = mutator.found[int(number)].function
    while function and function not in functions:
        function = function.rpartition(".")[0]  # one that stands in another
    target = functions.get(function)
    code = next(
        (one for one in _codes(compile(tree, str(loaded.__file__), "exec")) if one.co_qualname == function),
        None,
    )
    if code is None or target is None or code.co_freevars != target.__code__.co_freevars:
        return False
    target.__code__ = code
    return True


def program() -> list[str]:
    """What Python is to be given to run `pullkey` in a process of its own, with the mutant of this one, if
    it has any.
    """
    if name := os.environ.get(VARIABLE):
        return [
            "-c",
            (
                f"from tests.harness import mutants; mutants.apply({name!r}); from bootstrap.cli import "
                "main; main()"
            ),
        ]
    return ["-m", "bootstrap"]


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes(one)


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    """Those of a module and of its classes, by qualified name; what is wrapped, without its wrapping."""
    found = {}
    for holder in [module, *(one for one in vars(module).values() if isinstance(one, type))]:
        for value in vars(holder).values():
            one = getattr(value, "fget", None) or getattr(value, "__func__", value)
            one = getattr(one, "__wrapped__", one)
            if isinstance(one, FunctionType) and one.__module__ == module.__name__:
                found[one.__qualname__] = one
    return found
