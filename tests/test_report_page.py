"""`pullkey report`: one page, the same data as `list`, that does nobody any harm and that a person can
use.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import html.parser
import json
import re
import stat
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bootstrap.output.html.listing import page
from bootstrap.testing.harness.world import World
from tests.harness import chromium

CONTAINERS = "europe-west1-docker-pkg-dev-acme-shop-containers"
FILE = """version: 1
defaults: {akka-project: shop, rotate-after: 60d}
targets:
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/tools}
"""
NOW = dt.datetime(2026, 11, 23, 18, tzinfo=dt.UTC)
in_a_browser = pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed")


class Elements(html.parser.HTMLParser):
    """What a page consists of, as a browser would read it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open += [tag] if tag != "meta" else []

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text[self._open[-1] if self._open else ""] = (
            self.text.get(self._open[-1] if self._open else "", "") + data
        )

    def data(self) -> Any:
        return json.loads(self.text["script"].partition("// Sorting")[0])


def credential(name_: str, *, made: int | None = -30, lasts: int | None = 90, **more: Any) -> dict[str, Any]:
    def day(days: int | None) -> str | None:
        return (NOW + dt.timedelta(days=days)).isoformat() if days is not None else None

    ends = made + lasts if made is not None and lasts is not None else None
    key = {"id": "0a1b2c3d", "created": day(made), "ends": day(ends), "disabled": False}
    return {
        "name": name_,
        "state": "ok",
        "provider": "acr",
        "registry": "acmeshop",
        "server": "acmeshop.azurecr.io",
        "username": "ops",
        "email": "a@b.c",
        "status": "OK",
        "regions_behind": None,
        "identity": "akka-docker-reader",
        "grant": "in place",
        "right": "AcrPull on the registry acmeshop",
        "key_id": "0a1b2c3d",
        "key": key if made is not None else None,
        "replaced_key": None,
        "due": None,
        "due_on": day(made + 60) if made is not None else None,
        "last_pulled": None,
        "wrong": [],
        "not_seen": [],
        "notes": [],
        **more,
    }


def listing(*credentials: dict[str, Any], project: str = "shop") -> dict[str, Any]:
    return {
        "schema_version": 1,
        "command": "list",
        "exit_code": 0,
        "akka": {"project": project, "owner": None, "region": None},
        "credentials": list(credentials),
    }


def of(*credentials: dict[str, Any]) -> str:
    return page(listing(*credentials), now=NOW, version="1.2.3")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registries.yaml"
    path.write_text(FILE)
    return path


# -- the command ---------------------------------------------------------------------------------------------


def test_the_page_of_a_file_has_the_data_of_its_listing_and_no_secret(
    gcr: World, file: Path, tmp_path: Path
) -> None:
    gcr.run("apply", "-f", str(file), "--yes", "--only", CONTAINERS)
    changes, at = gcr.changes(), tmp_path / "report.html"
    done = gcr.run("report", "-f", str(file), "--html", str(at))
    assert done.code == 5, done.err  # Akka has nothing of the other target
    assert gcr.changes() == changes
    assert stat.S_IMODE(at.stat().st_mode) == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["registries.yaml", "report.html"]
    text = at.read_text()
    assert Elements(text).data() == gcr.run("list", "-f", str(file), "--check", "--output", "json").json
    for told in (
        "akka-docker-reader@acme-shop.iam.gserviceaccount.com",
        "roles/artifactregistry.reader on repository containers",
        "Akka has no credential named europe-west1-docker-pkg-dev-acme-shop-tools",
    ):
        assert told in text
    # rotate-after of the file, not the usual 90 days
    (held,) = [one["credential"] for one in Elements(text).data()["targets"] if one["credential"]]
    made, due = (dt.datetime.fromisoformat(one) for one in (held["key"]["created"], held["due_on"]))
    assert due - made == dt.timedelta(days=60)
    assert gcr.held(CONTAINERS).password not in text
    assert "PRIVATE KEY" not in text


def test_a_listing_tells_what_is_due_by_the_file(gcr: World, file: Path) -> None:
    file.write_text(FILE.replace("60d", "1s"))
    gcr.run("apply", "-f", str(file), "--yes", "--only", CONTAINERS)
    time.sleep(1.1)
    done = gcr.run("list", "-f", str(file), "--only", CONTAINERS, "--output", "json")
    (one,) = done.json["targets"]
    # An uploaded key's certificate is valid from minutes before, for clocks that are behind.
    assert re.fullmatch(r"it is \d min old", one["credential"]["due"])


def test_the_page_of_a_project(gcr: World, tmp_path: Path) -> None:
    gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers", "--akka-project", "shop")
    at = tmp_path / "report.html"
    done = gcr.run("report", "--html", str(at), "--akka-project", "shop")
    assert done.code == 0, done.err
    listed = gcr.run("list", "--akka-project", "shop", "--output", "json").json
    assert Elements(at.read_text()).data() == listed
    assert f"shop/{CONTAINERS}" in at.read_text()


def test_a_page_that_is_there_is_replaced_and_stays_readable_for_whom_it_was(
    gcr: World, tmp_path: Path
) -> None:
    at = tmp_path / "report.html"
    gcr.run("report", "--html", str(at), "--akka-project", "shop")
    at.chmod(0o644)
    first = at.read_text()
    gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers", "--akka-project", "shop")
    gcr.run("report", "--html", str(at), "--akka-project", "shop")
    assert at.read_text() != first
    assert stat.S_IMODE(at.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("registries.yaml", "is not a page that pullkey wrote"),
        ("no/report.html", "is not a folder"),
        (".", "is a folder"),
    ],
)
def test_what_is_no_page_is_not_overwritten_and_nobody_is_asked(
    gcr: World, file: Path, tmp_path: Path, name: str, says: str
) -> None:
    before = len(gcr.running.sandbox.log.calls)
    done = gcr.run("report", "-f", str(file), "--html", str(tmp_path / name))
    assert done.code == 2
    assert says in done.err
    assert file.read_text() == FILE
    assert len(gcr.running.sandbox.log.calls) == before


# -- the page ------------------------------------------------------------------------------------------------

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "registry\u202egpj.exe\u2066\u200f",
    "a\x00b\x1b[31m\n\ud800",
    "&lt;b&gt;",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_somebody_has_written_to_do_harm_is_text(name: str) -> None:
    texts = (
        "name",
        "registry",
        "server",
        "username",
        "email",
        "status",
        "identity",
        "right",
        "key_id",
        "due",
    )
    everywhere: dict[str, Any] = dict.fromkeys(texts, name)
    evil = credential(
        "x", **everywhere, wrong=[name], not_seen=[name], notes=[name], state="wrong", provider=name
    )
    evil["key"]["id"] = name
    text = page({**listing(evil, project=name)}, now=NOW, version="1.2.3")
    text.encode()
    usual, seen = (
        Elements(
            of(
                credential(
                    "x", identity="ops", state="wrong", wrong=["a"], not_seen=["b"], notes=["c"], due="d"
                )
            )
        ),
        Elements(text),
    )
    assert [one for one, _ in seen.elements] == [one for one, _ in usual.elements]
    allowed = {"href", "id", "class", "role", "data-label", "data-key", "data-sort", "scope"}
    for (tag, attributes), (_, plain) in zip(seen.elements, usual.elements, strict=True):
        assert set(attributes) == set(plain), tag
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
        assert all(
            attributes[key] == plain[key]
            for key in attributes
            if key not in allowed | {"aria-label", "content"}
        ), tag
    assert all(str(one.get("href", "#")).startswith("#") for _, one in seen.elements)
    assert not set(text) & set("\u202e\u2066\u200f\x00\x1b\ud800")
    assert seen.data()["credentials"][0]["identity"] == name, "the data is as Akka and the clouds have it"


def test_the_page_needs_nothing_but_itself() -> None:
    text = of(credential("a"), credential("b"))
    assert not re.search(r"\b(src|srcset|action)=|@import|url\(", text)
    assert not re.search(r"https?://", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]


def test_what_is_wrong_comes_first() -> None:
    text = of(
        credential("good"),
        credential("nearly", due="20 of its 90 days are left"),
        credential("unclear", state="unseen", not_seen=["key: it may not be seen"]),
        credential("bad", state="wrong", wrong=["grant: not granted"]),
    )
    first = text.partition("Expiry and rotation")[0]
    assert [first.index(f"shop/{name}") for name in ("bad", "unclear", "nearly")] == sorted(
        first.index(f"shop/{name}") for name in ("bad", "unclear", "nearly")
    )
    assert "shop/good" not in first
    rows = re.findall(r"<b>shop/(\w+)</b>", text)
    assert rows == ["bad", "unclear", "nearly", "good"]


def test_a_page_of_nothing_is_a_page() -> None:
    assert "Akka has no registry credentials here." in of()
    assert "No problems, and no key is due." in of(credential("a", made=None))


# -- in a browser --------------------------------------------------------------------------------------------


def browse(
    path: Path, work: Callable[[chromium.Page], Coroutine[Any, Any, None]], *, script: bool = True
) -> None:
    async def run() -> None:
        async with chromium.opened(path, script=script) as opened:
            await work(opened)

    asyncio.run(run())


@pytest.fixture
def written(tmp_path: Path) -> Path:
    rows = [credential(f"c{number}", made=-number * 7) for number in range(12)]
    rows += [
        credential(f"evil {one}", state="wrong", wrong=[one], identity=one, registry=one, made=None)
        for one in HOSTILE
        if one.isprintable()
    ]
    rows += [
        credential(
            "europe-west1-docker-pkg-dev-a-project-with-a-long-name-and-a-long-repository-too",
            lasts=None,
            identity="a" * 90,
        )
    ]
    path = tmp_path / "report.html"
    path.write_text(of(*rows))
    return path


SHOWN = """[...document.querySelectorAll('table.all tbody tr')].filter(row => row.checkVisibility())
  .map(row => row.cells[1].querySelector('b').textContent)"""


@in_a_browser
def test_a_keyboard_is_enough_to_sort_and_to_filter(written: Path) -> None:
    async def use(opened: chromium.Page) -> None:
        before = await opened.value(SHOWN)
        for _ in range(60):
            await opened.press("Tab")
            if await opened.value(
                "document.activeElement.closest('table.all') && document.activeElement.textContent "
                "=== 'Created'"
            ):
                break
        assert await opened.value("document.activeElement.tagName") == "BUTTON"
        assert await opened.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await opened.press("Enter")
        up = await opened.value(SHOWN)
        assert up[:2] == ["shop/c11", "shop/c10"]
        assert await opened.value("document.activeElement.closest('th').ariaSort") == "ascending"
        assert await opened.value("document.querySelectorAll('table.all th[aria-sort]').length") == 1
        await opened.press("Space")
        down = await opened.value(SHOWN)
        assert down[:2] == ["shop/c0", "shop/c1"]
        assert sorted(before) == sorted(up) == sorted(down)
        # What has no date is last both ways.
        assert {one.startswith("shop/evil") for one in up[13:] + down[13:]} == {True}
        await opened.value("document.querySelector('input').focus()")
        await opened.call("Input.insertText", text="C11")
        assert await opened.value(SHOWN) == ["shop/c11"]
        assert opened.requests == []
        assert opened.complaints == []

    browse(written, use)


@in_a_browser
def test_without_script_it_is_all_there(written: Path) -> None:
    async def use(opened: chromium.Page) -> None:
        tree = await opened.call("Page.captureSnapshot")
        assert "<button" not in tree["data"]
        assert tree["data"].count("shop/c11") >= 2
        assert opened.complaints == []

    browse(written, use, script=False)


@in_a_browser
@pytest.mark.parametrize("width", [1280, 480, 320])
def test_it_fits_a_screen_dark_or_light(written: Path, width: int) -> None:
    async def use(opened: chromium.Page) -> None:
        await opened.width(width)
        assert await opened.value("document.documentElement.scrollWidth") <= width
        colours = []
        for scheme in ("light", "dark"):
            await opened.scheme(scheme)
            colours.append(await opened.value("getComputedStyle(document.body).backgroundColor"))
        assert colours == ["rgb(255, 255, 255)", "rgb(15, 19, 24)"]
        # On paper it is light, whatever the screen is.
        await opened.scheme("dark", "print")
        assert await opened.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not await opened.value("document.querySelector('.filter').checkVisibility()")

    browse(written, use)
