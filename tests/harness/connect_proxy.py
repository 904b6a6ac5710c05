"""An HTTPS proxy that leads programs to emulated registries by their real names, since no DNS knows those."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from bootstrap.sandbox.host import LOOPBACK
from bootstrap.testing.harness.running_sandbox import RunningSandbox


def environment(running: RunningSandbox, ports: Mapping[str, int]) -> dict[str, str]:
    """Start a proxy in the sandbox's loop, which ends with it; return the environment of who is to use it.

    `ports` are the loopback ports by host. Nothing else is reached through it.
    """

    async def start() -> int:
        server = await asyncio.start_server(lambda *ends: _serve(ports, *ends), LOOPBACK, 0)
        return int(server.sockets[0].getsockname()[1])

    address = f"http://{LOOPBACK}:{running.call(start())}"
    names = {"HTTPS_PROXY": address, "https_proxy": address}
    return {**names, "NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"}


async def _serve(
    ports: Mapping[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    host = head.split()[1].decode().partition(":")[0]
    if host not in ports:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        return
    there, to_there = await asyncio.open_connection(LOOPBACK, ports[host])
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await asyncio.gather(_copy(reader, to_there), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
