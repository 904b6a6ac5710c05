"""A web page with a good status, as a proxy or a network's login page sends it in place of an answer.

It is named at once, with the host and what to do, and nothing is asked again and again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.model.deadline import Deadline
from bootstrap.testing.harness.world import Result, World
from providers.gcr.client import READ_SECONDS, GoogleClient
from providers.gcr.errors import GoogleApiError, NoLogin
from providers.gcr.login import GoogleLogin
from tests.harness import docker_hub_state, gitlab_state, harbor_state

Onboard = Callable[[World], Result]


def _plain(world: World) -> Result:
    return world.onboard()


def _hub(world: World) -> Result:
    return docker_hub_state.onboard(world, *docker_hub_state.LOGIN)


@pytest.mark.parametrize(
    ("kind", "onboard", "call", "host"),
    [
        ("hub", _hub, "hub.CreateAuthToken", "localhost:"),
        ("gitlab", gitlab_state.onboard, "gitlab.GetProject", "localhost:"),
        ("harbor", harbor_state.onboard, "harbor.GetCurrentUser", "harbor.sandbox.example"),
        ("harbor", harbor_state.onboard, "harbor.ListRobots", "harbor.sandbox.example"),
        ("acr", _plain, "arm.ListRegistries", "localhost:"),
        ("acr", _plain, "graph.GetApplication", "localhost:"),
        ("acr", _plain, "entra.GetToken", "localhost:"),
    ],
)
def test_a_read_that_a_page_answers_ends_at_once(
    request: pytest.FixtureRequest, kind: str, onboard: Onboard, call: str, host: str
) -> None:
    world: World = request.getfixturevalue(kind)
    world.fault(f"{call}=html*forever")

    done = onboard(world)

    text = " ".join(done.text.split())
    assert done.code in (1, 3), done.text
    assert f"a web page came from {host}" in text
    assert "open https://" in text
    assert "busy" not in text
    assert world.calls(call) <= 3
    assert world.names() == []


@pytest.mark.parametrize(
    ("kind", "onboard", "call"),
    [
        ("hub", _hub, "hub.CreateAccessToken"),
        ("harbor", harbor_state.onboard, "harbor.CreateRobot"),
        ("gitlab", gitlab_state.onboard, "gitlab.CreateProjectDeployToken"),
        ("acr", _plain, "graph.AddPassword"),
        ("acr", _plain, "arm.PutRoleAssignment"),
    ],
)
def test_a_change_that_a_page_answers_is_sent_once_and_undone(
    request: pytest.FixtureRequest, kind: str, onboard: Onboard, call: str
) -> None:
    world: World = request.getfixturevalue(kind)
    world.fault(f"{call}=html*forever")

    done = onboard(world)

    text = " ".join(done.text.split())
    assert done.code == 1, done.text
    assert "a web page came from" in text
    assert "left over" not in text
    assert world.calls(call) == 1
    assert world.names() == []


def test_a_page_in_place_of_a_token_of_google(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.transport import requests
    from google.oauth2.credentials import Credentials

    asked = []

    def page(_: object, url: str, *__: object, **___: object) -> object:
        asked.append(url)
        return SimpleNamespace(status=200, headers={"Content-Type": "text/html"}, data=b"<html>")

    token = "https://oauth2.googleapis.com/token"
    found: Any = Credentials
    user = found(None, refresh_token="r", token_uri=token, client_id="i", client_secret="s")
    monkeypatch.setattr(google.auth, "default", lambda: (user, "acme-shop"))
    monkeypatch.setattr(requests.Request, "__call__", page)

    with pytest.raises(NoLogin, match=r"a web page came from oauth2\.googleapis\.com") as caught:
        asyncio.run(_connect())

    assert asked == [token]
    assert "open https://oauth2.googleapis.com" in caught.value.fix


async def _connect() -> str:
    return await GoogleLogin("", Deadline(20.0)).connect()


def test_a_server_without_http2_in_place_of_google_is_asked_once() -> None:
    asked = 0

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
        await writer.drain()

    async def run() -> GoogleApiError:
        import grpc.aio

        server = await asyncio.start_server(page, "127.0.0.1", 0)
        client = GoogleClient("", lambda _: None, Deadline(60.0))
        from google.cloud.iam_admin_v1.services.iam import IAMAsyncClient

        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        transport: Any = IAMAsyncClient.get_transport_class("grpc_asyncio")(channel=channel)
        iam = IAMAsyncClient(transport=transport)
        try:
            await client.read(
                "GetServiceAccount",
                "a",
                lambda: iam.get_service_account(name="projects/-/a", **client.reading),
            )
        except GoogleApiError as error:
            return error
        finally:
            await transport.close()
            server.close()
        raise AssertionError("it was answered")

    begin = time.monotonic()
    error = asyncio.run(run())

    assert time.monotonic() - begin < READ_SECONDS
    assert "what answers is not Google's API" in error.summary
    assert "NO_PROXY" in error.fix
