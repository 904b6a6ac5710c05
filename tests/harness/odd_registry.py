"""A registry whose every answer a test sets, with Akka beside it: for `pullkey onboard private` whole."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from bootstrap.sandbox.akka import AkkaEmulator
from bootstrap.sandbox.host import LOOPBACK, Sandbox
from bootstrap.testing.harness.running_sandbox import RunningSandbox
from bootstrap.testing.harness.world import Result, World

HOST = "registry.odd.example"
SISTER = "tokens.odd.example"  # of the same owner
FOREIGN = "tokens.foreign.example"  # of another
GITHUB = "ghcr.io"
IMAGE = f"{HOST}/shop/checkout:1.0"
NAME = "registry-odd-example"
USER = "ops"
PASSWORD = "pull-in-the-0dd-sandbox"
MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'

Answer = Callable[[web.Request], Any]


def says(status: int, code: str = "", message: str = "", **headers: str) -> web.Response:
    """An error as the Distribution specification has it; an underscore in a header's name is a dash."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"errors": [{"code": code, "message": message}]} if code else {}
    return web.json_response(body, status=status, headers=named)


def basic_of(request: web.Request) -> str | None:
    """`USER:PASSWORD` of a request; None where there is none."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    return base64.b64decode(sent).decode() if scheme == "Basic" else None


class OddRegistry:
    """As Distribution with a token service would answer, but for what a test sets.

    Attributes:
        seen: each request, as METHOD HOST/PATH.
        got_password: the hosts and paths that were sent a name and password.
    """

    name = "odd"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.got_password: list[str] = []
        self.realm = f"https://{HOST}/token"
        self.ping: Answer = self.pinged
        self.token: Answer = self.tokened
        self.manifest: Answer = self.manifested
        self.port = 0

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        names = (HOST, SISTER, FOREIGN, GITHUB)
        self.port = await sandbox.serve(app, hosts=names)
        return {
            "PULLKEY_REGISTRY_CONNECT_TO": ",".join(f"{name}={LOOPBACK}:{self.port}" for name in names),
            "PULLKEY_PRIVATE_SERVER": f"https://{HOST}/v1/",
            "PULLKEY_PRIVATE_USERNAME": USER,
            "PULLKEY_PRIVATE_IMAGE": IMAGE,
        }

    async def stop(self) -> None:
        return

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.host}{request.path}")
        if basic_of(request) is not None:
            self.got_password.append(f"{request.host}{request.path}")
        answer = (
            self.ping
            if request.path == "/v2/"
            else self.manifest
            if request.path.startswith("/v2/")
            else self.token
        )
        found = answer(request)
        answered: web.StreamResponse = await found if inspect.isawaitable(found) else found
        return answered

    # -- as it should be -------------------------------------------------------------------------------------

    def challenge(self) -> str:
        return f'Bearer realm="{self.realm}",service="odd"'

    def pinged(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").startswith("Bearer "):
            return web.json_response({})
        return says(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=self.challenge())

    def tokened(self, request: web.Request) -> web.Response:
        sent = basic_of(request)
        if sent is None:
            return web.json_response({"token": "of-anybody"})
        if sent != f"{USER}:{PASSWORD}":
            return says(401, "UNAUTHORIZED", "incorrect username or password")
        return web.json_response({"token": "of-ops"})

    def manifested(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer of-ops":
            return says(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=self.challenge())
        return web.Response(text=MANIFEST, content_type="application/vnd.oci.image.manifest.v1+json")


def make_odd() -> Iterator[World]:
    """A sandbox of this registry and Akka; when it ends, nothing of a key may stand anywhere but in Akka."""
    with RunningSandbox({"akka": AkkaEmulator, "cloud": OddRegistry}) as running:
        akka = running.sandbox.emulators["akka"]
        assert isinstance(akka, AkkaEmulator)
        world = World(running, running.sandbox.emulators["cloud"], akka, "private")
        world.passwords.append(PASSWORD)
        try:
            yield world
            assert world.leaks() == []
        finally:
            world.close()


def onboard(world: World, *arguments: str, password: str = PASSWORD, **how: Any) -> Result:
    return world.onboard("--password-stdin", *arguments, stdin=password, **how)
