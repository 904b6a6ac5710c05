"""The registry, registry-1.docker.io, and its token service, auth.docker.io.

Sources: Distribution, "Token Authentication Specification"; "Docker Hub usage and limits" for the addresses; the words
of the refusals as `docker pull` and `docker login` show them (docker/hub-feedback issues 1981 and 2127).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, Handler, RestApi
from bootstrap.sandbox.images import ImageStore, registry_error
from bootstrap.settings import is_loopback
from providers.docker_hub.emulator.state import HubState, Puller, stamp
from providers.docker_hub.target import REGISTRY

AUTH = "auth.docker.io"
SERVICE = "registry.docker.io"
_LIFETIME_SECONDS = 300
_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}


@dataclass(frozen=True)
class _Granted:
    """What one of the service's tokens is good for."""

    repositories: frozenset[str]


def _error_form(status: int, code: str, message: str) -> web.Response:
    return registry_error(status, code or _CODES.get(status, "UNKNOWN"), message)


class RegistryService:
    """Both hosts on one port: each has paths of its own."""

    def __init__(self, state: HubState, images: ImageStore, gate: CallGate) -> None:
        self._state = state
        self._images = images
        self._granted: dict[str, _Granted] = {}
        gate.recognise(
            lambda token: str(sorted(self._granted[token].repositories)) if token in self._granted else None
        )
        self.app = web.Application()
        api = RestApi(gate, "registry", _error_form, self.app)

        def route(verb: str, path: str, method: str, handler: Handler) -> None:
            api.route(verb, path, method, handler, changes=False, resource=_resource)

        route("GET", "/token", "GetToken", self._token_by_basic)
        route("POST", "/token", "GetToken", self._token_by_form)
        route("GET", "/v2/", "Ping", self._ping)
        route("GET", "/v2/{name:.+}/tags/list", "ListTags", self._tags)
        for verb in ("GET", "HEAD"):
            route(verb, "/v2/{name:.+}/manifests/{reference}", "GetManifest", self._manifest)
            route(verb, "/v2/{name:.+}/blobs/{digest}", "GetBlob", self._blob)

    # -- the token service ---------------------------------------------------------------------------------------

    async def _token_by_basic(self, request: web.Request) -> web.Response:
        scopes = request.query.getall("scope", [])
        header = request.headers.get("Authorization", "")
        if not header:
            return self._issue(None, scopes)
        try:
            user, _, secret = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")  # fmt: skip
        except (binascii.Error, UnicodeDecodeError):
            return _unauthorized()
        puller = self._state.puller(user, secret)
        return self._issue(puller, scopes) if puller else self._refused(user)

    async def _token_by_form(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        user = form.get("username", "")
        puller = self._state.puller(user, form.get("password", ""))
        return self._issue(puller, form.get("scope", "").split()) if puller else self._refused(user)

    def _refused(self, name: str) -> web.Response:
        user = self._state.users.get(name)
        if user is not None and user.second_factor:
            return _unauthorized("please use personal access token to login")
        return _unauthorized()

    def _issue(self, puller: Puller | None, scopes: Iterable[str]) -> web.Response:
        """A token for what of the scopes may be pulled; asking for too much is no error, and grants nothing."""
        repositories = set()
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            path, _, actions = rest.rpartition(":")
            if kind == "repository" and "pull" in actions.split(",") and self._state.may_pull(puller, path):
                repositories.add(path)
        token = secrets.token_urlsafe(48)
        self._granted[token] = _Granted(frozenset(repositories))
        issued = stamp(self._state.sandbox.now(), fraction=True)
        return web.json_response({"token": token, "access_token": token, "expires_in": _LIFETIME_SECONDS, "issued_at": issued})  # fmt: skip

    # -- the registry --------------------------------------------------------------------------------------------

    async def _ping(self, request: web.Request) -> web.Response:
        if self._bearer(request) is None:
            return self._challenge(request, "")
        return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})

    async def _tags(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not self._pulls(request, name):
            return self._challenge(request, name)
        return web.json_response({"name": name, "tags": await self._images.tags(f"{REGISTRY}/{name}") or []})

    async def _manifest(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not self._pulls(request, name):
            return self._challenge(request, name)
        head = request.method == "HEAD"
        return await self._images.manifest(f"{REGISTRY}/{name}", request.match_info["reference"], head=head)

    async def _blob(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not self._pulls(request, name):
            return self._challenge(request, name)
        head = request.method == "HEAD"
        return await self._images.blob(f"{REGISTRY}/{name}", request.match_info["digest"], head=head)

    def _bearer(self, request: web.Request) -> _Granted | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._granted.get(token) if scheme.lower() == "bearer" else None

    def _pulls(self, request: web.Request, name: str) -> bool:
        granted = self._bearer(request)
        return granted is not None and name in granted.repositories

    def _challenge(self, request: web.Request, name: str) -> web.Response:
        """Whoever may not pull is told the same as whoever asks for what is not there."""
        # A client that came by a loopback address finds its way back here; the real name leads elsewhere.
        realm = request.host if is_loopback(request.host.partition(":")[0]) else AUTH
        challenge = f'Bearer realm="https://{realm}/token",service="{SERVICE}"'
        error: dict[str, Any] = {"code": "UNAUTHORIZED", "message": "authentication required", "detail": None}
        if name:
            challenge += f',scope="repository:{name}:pull"'
            error["detail"] = [{"Type": "repository", "Class": "", "Name": name, "Action": "pull"}]
            if "Authorization" in request.headers:
                challenge += ',error="insufficient_scope"'
        headers = {"WWW-Authenticate": challenge, "Docker-Distribution-Api-Version": "registry/2.0"}
        return web.json_response({"errors": [error]}, status=401, headers=headers)


def _unauthorized(details: str = "incorrect username or password") -> web.Response:
    """The token service's own form of a refusal."""
    return web.json_response({"details": details}, status=401)


def _resource(request: web.Request) -> str:
    return f"{request.host}{request.path}"
