"""Chromium without a window, spoken to through its DevTools: what a person would see of a page, and do
with its keyboard.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " ")}


class Page:
    """One page that is open."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json(timeout=60)).get("id") != number:
            self.events.append(message)
        assert "error" not in message, message
        answer: dict[str, Any] = message["result"]
        return answer

    async def open(self, path: Path) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(await self._socket.receive_json(timeout=60))

    async def value(self, expression: str) -> Any:
        """What JavaScript says, as JSON."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def press(self, key: str) -> None:
        code, text = _KEYS[key]
        common = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def width(self, pixels: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=900, deviceScaleFactor=1, mobile=False
        )

    async def scheme(self, scheme: str, media: str = "screen") -> None:
        await self.call(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    async def picture(self, *, whole: bool = True) -> bytes:
        """A PNG of it."""
        answer = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    async def paper(self) -> bytes:
        """A PDF of it."""
        answer = await self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(answer["data"])

    @property
    def requests(self) -> list[str]:
        """All that it has asked for, but for itself."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ][1:]

    @property
    def complaints(self) -> list[str]:
        """What the browser has said of errors and of policies that were broken."""
        entries = [
            event["params"]["entry"]["text"] for event in self.events if event["method"] == "Log.entryAdded"
        ]
        return entries + [
            str(event["params"]) for event in self.events if event["method"] == "Runtime.exceptionThrown"
        ]


@asynccontextmanager
async def opened(path: Path, *, script: bool = True) -> AsyncIterator[Page]:
    """A page in a browser of its own, with a profile of its own."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="pullkey-chromium-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort", process)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    where = next(
                        one["webSocketDebuggerUrl"] for one in await answer.json() if one["type"] == "page"
                    )
                async with session.ws_connect(where, max_msg_size=0) as socket:
                    page = Page(socket)
                    if not script:
                        await page.call("Emulation.setScriptExecutionDisabled", value=True)
                    await page.open(path)
                    yield page
        finally:
            process.terminate()
            await process.wait()


async def _port(path: Path, process: asyncio.subprocess.Process) -> int:
    for _ in range(600):
        assert process.returncode is None, "Chromium has ended"
        if lines := _lines(path):
            return int(lines[0])
        await asyncio.sleep(0.1)
    raise AssertionError("Chromium does not begin")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []
