"""What mkdocs does besides rendering docs/: pages from the top of the repository, no test markers,
no links to sources.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parent.parent
_FROM_THE_TOP = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
_SHORT_CODE = re.compile(r"<code>([^<>\n]{1,24})</code>")
_SOURCES = re.compile(r"\[(`[^`\n]+`)\]\(\.\./[^)\n]+\)")
_MARKERS = re.compile(r"^[ \t]*<!--.*?-->\n?", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    """Fill in the pages of the commands, which scripts/reference writes."""
    commands = sorted(path.name for path in (ROOT / "docs" / "cli").glob("*.md") if path.stem != "index")
    pages: list[Any] = ["cli/index.md", *({f"pullkey {name[:-3]}": f"cli/{name}"} for name in commands)]
    for section in config.nav or []:
        for entries in section.values():
            for entry in entries:
                if isinstance(entry, dict) and entry.get("Commands") == "cli/":
                    entry["Commands"] = pages
    return config


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add CONTRIBUTING.md and CHANGELOG.md, with links as they are seen from docs/."""
    for page, source in _FROM_THE_TOP.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text.replace("](docs/", "](")))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """No line break within a short piece of code, such as between the dashes of an option."""
    return _SHORT_CODE.sub(r'<code class="short">\1</code>', html)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leave out comments, which are for the tests, and links to sources, which the site does not have."""
    return _SOURCES.sub(r"\1", _MARKERS.sub("", markdown))
