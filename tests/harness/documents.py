"""The pages that people read, and the commands in them.

A command is a line of a ```bash block. Lines that begin with `scripts/` run as they stand; all others of a
page run one after another in one sandbox. A comment in front of a block says what a test has to know:

    <!-- test: skip: REASON -->        it cannot run here; no line of the block may begin with `pullkey`
    <!-- test: setup: COMMAND -->      run this first
    <!-- test: file: NAME -->          the block, of any language, is the content of this file
    <!-- test: exit: 0 or 3 -->        how each of the block's commands may exit; 0 unless given
    <!-- test: installed: FOLDER -->   from here on, the package in this folder is installed
    <!-- test: new sandbox -->         begin anew
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "docs" / "cli"
PAGES = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    + [path for path in (ROOT / "docs").rglob("*.md") if GENERATED not in path.parents]
)
_BLOCK = re.compile(
    r"^(?P<before>(?:[ ]*<!--[^\n]*-->\n)*)(?P<indent>[ ]*)```(?P<kind>\w*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_MARKER = re.compile(r"<!-- test: (skip|setup|file|exit|installed|new sandbox)(?:: (.*?))? -->")

PREAMBLE = """
set -eu
export PULLKEY_YES=1 PULLKEY_OVERLAP=0 NO_COLOR=1 TERM=dumb DOCKER_HUB_PASSWORD=sandbox-password
# A command says what it means by itself; the sandbox's defaults must not make up for what a page forgets.
unset ${!PULLKEY_GCR_@} ${!PULLKEY_ACR_@} ${!PULLKEY_DOCKER_HUB_HUB@} PULLKEY_DOCKER_HUB_IMAGE PULLKEY_GITLAB_IMAGE ${!PULLKEY_HARBOR_@} ${!PULLKEY_PRIVATE_@}
run() {
  local expected="$1" line="$2" code=0
  eval "$line" || code=$?
  case " $expected " in *" $code "*) ;; *) echo "exited with $code: $line" >&2; exit 1 ;; esac
}
"""  # noqa: E501
"""What is done before the commands of a page, and how each is run."""


@dataclass(frozen=True)
class Block:
    """A block of code of a page, with what the comments before it say."""

    page: str
    kind: str
    body: str
    markers: dict[str, str] = field(default_factory=dict)

    @property
    def commands(self) -> list[str]:
        """Its lines, without comments; a line that ends with a backslash goes on."""
        if self.kind != "bash":
            return []
        joined = re.sub(r"\\\n\s*", "", self.body)
        return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]

    @property
    def exits(self) -> list[int]:
        return [int(code) for code in self.markers.get("exit", "0").split(" or ")]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        markers = dict(_MARKER.findall(found["before"]))
        yield Block(name_of(page), found["kind"], textwrap.dedent(found["body"]), markers)


def as_they_stand() -> dict[str, str]:
    """The commands that need no sandbox around them, each once, with the page that has it."""
    return {
        line: block.page
        for page in reversed(PAGES)
        for block in blocks(page)
        if "skip" not in block.markers
        for line in block.commands
        if line.startswith("scripts/") and line != "scripts/test"
    }


def in_a_sandbox() -> dict[str, list[Block]]:
    """The blocks that run in one sandbox, by page; not those of which other pages have all the commands
    too.
    """
    runs: dict[str, list[Block]] = {}
    for page in PAGES:
        name = number = name_of(page)
        for block in blocks(page):
            if "new sandbox" in block.markers:
                number = f"{name}, sandbox {sum(one.startswith(name) for one in runs) + 1}"
            commands = [line for line in block.commands if not line.startswith("scripts/")]
            if "skip" not in block.markers and (commands or "file" in block.markers):
                runs.setdefault(number, []).append(block)
    chosen: dict[str, list[Block]] = {}
    seen: set[str] = set()
    for name, found in sorted(runs.items(), key=lambda run: -sum(len(block.commands) for block in run[1])):
        lines = {line for block in found for line in block.commands if not line.startswith("scripts/")}
        if lines - seen:
            seen |= lines
            chosen[name] = found
    return chosen
