"""Build hook of hatchling: README.md as a package index shows it.

An index renders the README without the repository around it, so a link to a file of the repository leads
nowhere there. Where `project.urls` names the repository on GitHub (`Source`), links lead to its files at the
version's tag. Else the text stays, followed by the path in the source distribution, and no picture is shown.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<path>(?![a-z][a-z0-9+.-]*:|#)[^)\s]+)\)")
_COMMENTS = re.compile(r"^[ \t]*<!--.*?-->\n?", re.MULTILINE | re.DOTALL)


class ReadmeForAnIndex(MetadataHookInterface):
    """Sets the field `readme`, which pyproject.toml declares as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        source = metadata.get("urls", {}).get("Source", "")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": for_an_index(text, source, f"v{metadata['version']}"),
        }


def for_an_index(text: str, source: str, tag: str) -> str:
    """A README whose links do not need the repository around it."""

    def replaced(link: re.Match[str]) -> str:
        path = link["path"]
        if source:
            kind = "raw" if link["picture"] else "blob"
            return f"{link['picture']}[{link['text']}]({source.rstrip('/')}/{kind}/{tag}/{path})"
        return "" if link["picture"] else f"{link['text']} (`{path}`)"

    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(replaced, _COMMENTS.sub("", text)))
