"""Endpoints without TLS, on loopback: they work, and Google's get no token."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from bootstrap.model.deadline import Deadline
from bootstrap.testing.harness.world import World
from providers.gcr.cloud import GoogleCloud
from providers.gcr.errors import GoogleApiError


async def relay(port: int, trust: ssl.SSLContext) -> int:
    """A loopback port without TLS that leads to one with it."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trust, server_hostname="localhost"
        )
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


def test_azure_through_plaintext_on_loopback(acr: World) -> None:
    trust = ssl.create_default_context(cafile=acr.running.environment["SSL_CERT_FILE"])
    env = {}
    for name in ("PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT", "PULLKEY_AZURE_GRAPH_ENDPOINT"):
        port = urlsplit(acr.running.environment[name]).port
        assert port is not None
        env[name] = f"http://localhost:{acr.running.call(relay(port, trust))}"

    done = acr.onboard(env=env)

    assert done.code == 0, done.text


def test_google_through_plaintext_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    async def refuse(_request: bytes, context: Any) -> bytes:
        seen.append(dict(context.invocation_metadata()))
        await context.abort(grpc.StatusCode.NOT_FOUND, "Unknown service account")
        return b""

    async def work() -> None:
        server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(refuse)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("google.iam.admin.v1.IAM", {"GetServiceAccount": method})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        monkeypatch.setenv("PULLKEY_GOOGLE_IAM_ENDPOINT", f"http://127.0.0.1:{port}")
        cloud = GoogleCloud("", lambda _: None, Deadline(60))
        with pytest.raises(GoogleApiError, match="NOT_FOUND"):
            await cloud.account("projects/p/serviceAccounts/x")
        await cloud.close()
        await server.stop(None)

    asyncio.run(work())
    assert len(seen) == 1
    assert "authorization" not in seen[0]
