"""docs/provider-contract.md: each member of the classes that a provider subclasses, from their docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PLUGIN = Path(__file__).resolve().parent.parent / "bootstrap" / "plugin"
CLASSES = (
    "provider.Provider",
    "provider.Target",
    "session.Session",
    "step.Step",
    "resource.CloudStep",
    "resource.Resource",
    "keys.Keys",
    "key_kind.KeyKind",
    "key_resource.KeyResource",
    "supplied_key.SuppliedKey",
    "emulator.EmulatorOf",
    "conformance.InspectedEmulator",
    "context.Invalidated",
    "context.StateInvalidated",
    "context.Closed",
)
"""A class comes after those that it inherits from."""
_BEGIN = """\
<!-- Written by scripts/reference from bootstrap/plugin; do not edit. -->
# The contract of a provider

Each member that a [provider](providers.md) may set or override, by the class that declares it. A member in
**bold** has no default. What a method is given, returns and may raise is in its docstring.
"""


@dataclass(frozen=True)
class Member:
    """A public attribute, property or method that a class declares.

    Attributes:
        about: the first paragraph of its docstring, in one line; "" without.
        required: whether it has no default.
    """

    name: str
    about: str
    required: bool


def contract_page() -> str:
    """The page. A member that a class inherits from another one of the page, and does not describe anew, is
    left out.
    """
    lines = [_BEGIN]
    described: dict[str, set[str]] = {}
    for place in CLASSES:
        module, _, name = place.partition(".")
        found = _class(module, name)
        inherited = {one for base in _bases(found) for one in described.get(base, ())}
        members = [one for one in members_of(found) if one.about or one.name not in inherited]
        described[name] = inherited | {one.name for one in members}
        lines += [
            f"## {name}",
            "",
            f"{_paragraph(ast.get_docstring(found))} (`bootstrap/plugin/{module}.py`)",
            "",
        ]
        if members:
            lines += ["| Member | What it is |", "| --- | --- |", *map(_row, members), ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(one: Member) -> str:
    name = f"**`{one.name}`**" if one.required else f"`{one.name}`"
    return f"| {name} | {one.about} |"


def _class(module: str, name: str) -> ast.ClassDef:
    tree = ast.parse((PLUGIN / f"{module}.py").read_text(encoding="utf-8"))
    return next(one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name)


def _bases(found: ast.ClassDef) -> Iterator[str]:
    for base in found.bases:
        yield ast.unparse(base).partition("[")[0]


def members_of(found: ast.ClassDef) -> Iterator[Member]:
    """The public members that a class declares in its body."""
    for number, node in enumerate(found.body):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                name, about, required = node.name, ast.get_docstring(node), _is_required(node)
            case ast.AnnAssign() | ast.Assign():
                name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
                about, required = _text_below(found.body[number + 1 : number + 2]), node.value is None
            case _:
                continue
        if not name.startswith("_"):
            yield Member(name, _paragraph(about), required)


def _is_required(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is abstract, or has no body but its docstring and `...`."""
    abstract = any(ast.unparse(one) == "abstractmethod" for one in function.decorator_list)
    return abstract or ast.unparse(function.body[-1]) == "..."


def _text_below(nodes: Sequence[ast.stmt]) -> str | None:
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return None


def _paragraph(text: str | None) -> str:
    """The first paragraph, in one line, as the cell of a table."""
    paragraph = re.split(r"\n\s*\n", text.strip())[0] if text else ""
    return re.sub(r"\s+", " ", paragraph).replace("|", "\\|")
