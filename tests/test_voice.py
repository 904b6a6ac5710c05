"""One voice in every text that a user sees: messages, help, documents, deploy files. The words are those
of the field.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

AVOIDED = re.compile(
    r"""(?xi) (?<!there\ ) \b (?:
      told | mend(?:s|ed|ing)? | whoever | somebody | nobody | anybody | made-up | brought | in\ spite\ of
    | there\ is\ none | there\ are\ none | stands?\ (?:in|behind|there|at|for|beside) | what\ is\ behind | behind\ it
    | (?: is | are | was )\ no \ (?!longer|more|one|such|answer)
    | took\ \S+\ from | (?:it|they)\ do(?:es)?\ not\ have\ it | is\ gone | are\ gone | proven? | proves | anew | wholly
    | lacks?\ the\ right | whoever\ has | all\ the\ same | made\ (?:by|for|here) | makes?\ a\ (?:key|token|credential)
    | a\ person | stood | is\ to\ go | goes\ on | switched\ o(?:n|ff)
    )\b"""  # noqa: E501
)
"""Words of an older voice. Say what the field says: shows, fix, you, user-supplied, expires, verified,
deleted, disabled, again.
"""

EXCEPTIONS = (
    # The marks by which pullkey recognises what it created in a cloud.
    "Made by pullkey",
    # Names of values in JSON.
    'who = ["nobody"]',
    "| `proven` |",
    "`brought` (a user-supplied password",
    # The name of a directory.
    "| `proven/KEY_ID` |",
    # What another program prints.
    "(c) nobody documented this",
)

# Keys of JSON and of a record on disk, names of states, what another program prints: not text for a user.
_KEYS = re.compile(r"[a-z0-9_.:-]*|[A-Z_]+")


def _docstrings(tree: ast.AST) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for one in body if isinstance(body, list) else ():
            # A string alone on its line is a docstring, also that of a variable.
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
                found.add(id(one.value))
    return found


def _click_helps(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The docstrings of commands, which are their help."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(
            "click.command" in ast.unparse(one)
            or ".command(" in ast.unparse(one)
            or "click.group" in ast.unparse(one)
            for one in node.decorator_list
        ):
            yield node.lineno, ast.get_docstring(node) or ""


def texts() -> Iterator[tuple[str, str]]:
    """Each text that a user may see, with its place."""
    for folder in ("bootstrap", "providers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docstrings = _docstrings(tree)
            place = path.relative_to(ROOT)
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and id(node) not in docstrings
                    and not _KEYS.fullmatch(node.value)
                ):
                    yield f"{place}:{node.lineno}", node.value
            yield from ((f"{place}:{line}", text) for line, text in _click_helps(tree))
    documents = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*"),
        *(ROOT / "bootstrap").rglob("*.toml"),
        *(ROOT / ".github").rglob("*.yml"),
    ]
    for path in sorted(documents):
        if path.is_file() and path.name not in ("CHANGELOG.md", "reliability.md", "reliability-figures.md"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield f"{path.relative_to(ROOT)}:{number}", line


def _without_exceptions(text: str) -> str:
    for one in EXCEPTIONS:
        text = text.replace(one, "") if " " in one else text
    return text


def test_every_text_has_the_one_voice() -> None:
    found = [
        f"{place}: {hit[0]!r} in {text.strip()[:160]!r}"
        for place, text in texts()
        if (hit := AVOIDED.search(_without_exceptions(text)))
    ]
    assert found == [], "\n".join(found)
