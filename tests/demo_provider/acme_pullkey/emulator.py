"""The Acme registry in the sandbox: its API and its registry, on one port."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from acme_pullkey import HOST
from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.calls import RestApi
from bootstrap.sandbox.host import LOOPBACK, Sandbox
from bootstrap.sandbox.images import Image
from bootstrap.sandbox.registry.answers import Login
from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy
from bootstrap.sandbox.registry.server import RegistryServer


class AcmePolicy(RegistryPolicy):
    """Who may pull: every robot account, everything."""

    api = "acme-registry"

    def __init__(self, robots: Mapping[str, dict[str, Any]]) -> None:
        super().__init__(HOST)
        self._robots = robots

    def caller(self, request: web.Request, login: Login | None) -> Caller:
        if login is None:
            return Caller()
        if any((one["name"], one["secret"]) == (login.name, login.password) for one in self._robots.values()):
            return Caller(login.name, lambda _: ("pull",))
        raise self.refusal(401, "UNAUTHORIZED", "incorrect username or password")


class AcmeEmulator:
    name = "acme"

    def __init__(self) -> None:
        self.robots: dict[str, dict[str, Any]] = {}
        self._token = secrets.token_urlsafe()

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        self._now, self._shows = sandbox.now, sandbox.shows
        self._add("of another user")
        await sandbox.images.put(f"{HOST}/shop/checkout", "1.0", Image.build("Hello\n"))
        server = RegistryServer(AcmePolicy(self.robots), sandbox.images, sandbox.gate)
        api = RestApi(sandbox.gate, "acme", _error, server.app)
        api.route("POST", "/api/robots", "CreateRobot", self._create)
        api.route("GET", "/api/robots", "ListRobots", self._list)
        api.route("DELETE", "/api/robots/{id}", "DeleteRobot", self._delete)
        port = await sandbox.serve(server.app, hosts=[HOST])
        token = sandbox.directory / "acme-token"
        token.write_text(self._token, encoding="utf-8")
        return {
            "PULLKEY_REGISTRY_CONNECT_TO": f"{HOST}={LOOPBACK}:{port}",
            "PULLKEY_ACME_IMAGE": f"{HOST}/shop/checkout:1.0",
            "ACME_TOKEN_FILE": str(token),
        }

    def inventory(self) -> Iterable[InventoryItem]:
        return [InventoryItem(f"robot account {one}", "key", one) for one in self.robots]

    async def stop(self) -> None:
        """The sandbox stops what it serves."""

    async def _create(self, request: web.Request) -> web.Response:
        if not self._is_logged_in(request):
            return _error(401, "", "log in first")
        note = str((await request.json()).get("note", ""))
        return web.json_response(self._add(note), status=201)

    def _add(self, note: str) -> dict[str, Any]:
        key_id, since = secrets.token_hex(6), self._now()
        self.robots[key_id] = {
            "id": key_id,
            "name": f"robot-{key_id}",
            "note": note,
            "created": since.isoformat(),
            "since": since,
            "secret": secrets.token_urlsafe(24),
        }
        return {name: one for name, one in self.robots[key_id].items() if name != "since"}

    async def _list(self, request: web.Request) -> web.Response:
        if not self._is_logged_in(request):
            return _error(401, "", "log in first")
        # A real list shows a new account late: `TestLag` has the sandbox say when.
        there = [one for one in self.robots.values() if self._shows(one["since"], "key", one["id"])]
        shown = [{name: one[name] for name in ("id", "name", "note", "created")} for one in there]
        return web.json_response({"robots": shown})

    async def _delete(self, request: web.Request) -> web.Response:
        if not self._is_logged_in(request):
            return _error(401, "", "log in first")
        if self.robots.pop(request.match_info["id"], None) is None:
            return _error(404, "", "there is no such robot account")
        return web.Response(status=204)

    def _is_logged_in(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self._token}"


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
