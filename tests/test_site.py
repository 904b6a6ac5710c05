"""The site builds without a warning, its links lead somewhere, it loads nothing from elsewhere, and what
is generated is fresh.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.harness import chromium
from tests.harness.documents import ROOT

LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}
NOT_LOADED = {"canonical", "next", "prev"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _environment() -> dict[str, str]:
    import os

    # mkdocs-material announces the next mkdocs with each build.
    return {**os.environ, "NO_MKDOCS_2_WARNING": "1"}


class Tags(HTMLParser):
    """The attributes of a page's tags, and its ids."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    @property
    def ids(self) -> set[str]:
        return {attributes["id"] for _, attributes in self.found if "id" in attributes}


def test_each_link_within_the_site_leads_to_a_page_and_a_heading(site: Path) -> None:
    pages = {path: Tags(path) for path in site.rglob("*.html") if path.name != "404.html"}
    wrong = [
        f"{path.relative_to(site)}: {link}"
        for path, tags in pages.items()
        for link in _links(tags)
        if not _leads(path, link, pages)
    ]
    assert not wrong, "\n".join(wrong)


def _links(tags: Tags) -> Iterator[str]:
    for tag, attributes in tags.found:
        if tag == "a" and (link := attributes.get("href")) and not urlsplit(link).scheme:
            yield link


def _leads(path: Path, link: str, pages: dict[Path, Tags]) -> bool:
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if target not in pages:
        return target.is_file()
    return not parts.fragment or parts.fragment == "__top" or unquote(parts.fragment) in pages[target].ids


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    foreign = [
        f"{path.relative_to(site)}: {attributes[name]}"
        for path in site.rglob("*.html")
        for tag, attributes in Tags(path).found
        for name in ("src", "href")
        if (tag, name) in LOADED and attributes.get("rel") not in NOT_LOADED
        if name in attributes
        and (urlsplit(attributes[name]).netloc or urlsplit(attributes[name]).scheme not in {"", "data"})
    ]
    assert not foreign
    for path in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        loaded = re.findall(
            r"(?:url\(|@import\s)['\"]?((?:https?:)?//[^'\")]+)", path.read_text(encoding="utf-8")
        )
        assert not loaded, path


@pytest.mark.skipif(chromium.PROGRAM is None, reason="needs Chromium")
@pytest.mark.parametrize("page", ["index.html", "cli/onboard.html", "reliability-figures.html"])
def test_a_browser_asks_no_other_host_and_nothing_is_wider_than_a_phone(site: Path, page: str) -> None:
    async def look() -> tuple[list[str], int]:
        async with chromium.opened(site / page) as opened:
            await opened.width(400)
            await asyncio.sleep(0.3)
            return opened.requests, await opened.value("document.documentElement.scrollWidth")

    requests, width = asyncio.run(look())
    assert [one for one in requests if urlsplit(one).scheme not in {"file", "data", "blob"}] == []
    assert width <= 400


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/where-to-change-what.md"],
)
def test_each_link_in_the_repository_leads_to_a_file(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert urlsplit(link).scheme or (path.parent / link).exists(), link


@pytest.mark.parametrize("script", ["reference", "recording", "reliability-report"])
def test_what_is_generated_is_fresh(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_the_manual_pages_have_no_mistakes() -> None:
    for path in sorted((ROOT / "docs" / "man").glob("*.1")):
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", str(path)], capture_output=True, text=True, check=True
        )
        mistakes = [line for line in done.stderr.splitlines() if "can't break line" not in line]
        assert not mistakes, path
