"""The registry's API and its token service.

Sources: "OCI Distribution Specification"; the Distribution project's "Token Authentication Specification" and "Token
Scope Documentation": a token service that knows the caller gives a token for what the caller may, which can be nothing.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, Handler, RestApi
from bootstrap.sandbox.images import ImageStore, registry_error

# What a token holds that is good for the list of repositories; no repository is called so.
_CATALOG = "registry:catalog"
Mode = Literal["bearer", "basic", "open"]
_BY_STATUS = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}


@dataclass
class User:
    """Who may pull what: repositories by how their names begin."""

    password: str = field(repr=False)
    may_pull: tuple[str, ...] = ("",)


class PrivateRegistry:
    """A registry on one port, under all the names that its certificate has.

    Attributes:
        mode: what it asks for. "bearer": a token; "basic": name and password; "open": nothing.
        realm: the host of its token service; "" for its own.
        public: the repositories that anybody may pull, by how their names begin.
        got_password: the hosts that were sent a name and password.
        lists: whether a user may list the repositories.
        page: how many of them are listed at a time.
    """

    def __init__(self, host: str, images: ImageStore, gate: CallGate) -> None:
        self.mode: Mode = "bearer"
        self.realm = ""
        self.public: tuple[str, ...] = ()
        self.users: dict[str, User] = {}
        self.got_password: list[str] = []
        self.lists = True
        self.page = 1000
        self._host = host
        self._images = images
        self._tokens: dict[str, set[str]] = {}
        gate.recognise(lambda token: str(sorted(self._tokens[token])) if token in self._tokens else None)
        self.app = web.Application()
        api = RestApi(
            gate,
            "private",
            lambda status, code, said: registry_error(
                status, code or _BY_STATUS.get(status, "UNKNOWN"), said
            ),
            self.app,
        )

        def route(verb: str, path: str, method: str, handler: Handler) -> None:
            api.route(verb, path, method, handler, changes=False)

        route("GET", "/v2/", "Ping", self._ping)
        route("GET", "/token", "GetToken", self._token)
        route("GET", "/v2/_catalog", "ListRepositories", self._catalog)
        route("GET", "/v2/{name:.+}/tags/list", "ListTags", self._tags)
        for verb in ("GET", "HEAD"):
            route(verb, "/v2/{name:.+}/manifests/{reference}", "GetManifest", self._manifest)
            route(verb, "/v2/{name:.+}/blobs/{digest}", "GetBlob", self._blob)

    def add_user(self, name: str, password: str, *, may_pull: tuple[str, ...] = ("",)) -> None:
        self.users[name] = User(password, may_pull)

    # -- the token service -----------------------------------------------------------------------------------------

    async def _token(self, request: web.Request) -> web.Response:
        header = request.headers.get("Authorization", "")
        caller = self._caller(request)
        if header and caller is None:
            return registry_error(401, "UNAUTHORIZED", "incorrect username or password")
        asked = {
            scope.split(":")[1]
            for scope in request.query.getall("scope", [])
            if scope.startswith("repository:") and scope.count(":") == 2 and "pull" in scope.split(":")[2]
        }
        token = secrets.token_urlsafe(32)
        self._tokens[token] = {name for name in asked if self._may_pull(caller, name)}
        if caller is not None and self.lists and "registry:catalog:*" in request.query.getall("scope", []):
            self._tokens[token].add(_CATALOG)
        return web.json_response({"token": token, "expires_in": 300})

    def _caller(self, request: web.Request) -> User | None:
        """Whose name and password were sent; None if there are none, or wrong ones."""
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        self.got_password.append(request.host)
        try:
            name, _, password = base64.b64decode(sent, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        user = self.users.get(name)
        return user if user is not None and user.password == password else None

    def _may_pull(self, caller: User | None, name: str) -> bool:
        return name.startswith(self.public) or (caller is not None and name.startswith(caller.may_pull))

    # -- the Distribution API --------------------------------------------------------------------------------------

    async def _ping(self, request: web.Request) -> web.Response:
        return self._refusal(request, "") or web.json_response(
            {}, headers={"Docker-Distribution-Api-Version": "registry/2.0"}
        )

    async def _catalog(self, request: web.Request) -> web.Response:
        """The repositories in pages (Distribution, "Pagination"), for those who may list them: not each registry lets anybody."""
        if (refusal := self._refusal(request, _CATALOG)) is not None:
            return refusal
        if not self.lists:
            return registry_error(401, "UNAUTHORIZED", "authentication required")
        found = await self._images.below(self._host)
        most = min(int(request.query.get("n", self.page)), self.page)
        rest = [name for name in found if name > request.query.get("last", "")]
        response = web.json_response({"repositories": rest[:most]})
        if len(rest) > most:
            response.headers["Link"] = (
                f'</v2/_catalog?last={quote(rest[most - 1], safe="")}&n={most}>; rel="next"'
            )
        return response

    async def _tags(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if (refusal := self._refusal(request, name)) is not None:
            return refusal
        tags = await self._images.tags(f"{self._host}/{name}")
        if tags is None:
            return registry_error(404, "NAME_UNKNOWN", "repository name not known to registry")
        return web.json_response({"name": name, "tags": tags})

    async def _manifest(self, request: web.Request) -> web.Response:
        name, reference = request.match_info["name"], request.match_info["reference"]
        return self._refusal(request, name) or await self._images.manifest(
            f"{self._host}/{name}", reference, head=request.method == "HEAD"
        )

    async def _blob(self, request: web.Request) -> web.Response:
        name, digest = request.match_info["name"], request.match_info["digest"]
        return self._refusal(request, name) or await self._images.blob(
            f"{self._host}/{name}", digest, head=request.method == "HEAD"
        )

    def _refusal(self, request: web.Request, name: str) -> web.Response | None:
        """What a caller is told who may not; None for one who may. `name` is "" for `/v2/`."""
        if self.mode == "open":
            return None
        if self.mode == "basic":
            caller = self._caller(request)
            if caller is None:
                return self._challenge('Basic realm="Registry"')
            if name and name != _CATALOG and not self._may_pull(caller, name):
                return registry_error(403, "DENIED", "requested access to the resource is denied")
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        granted = self._tokens.get(token) if scheme.lower() == "bearer" else None
        if granted is not None and (not name or name in granted):
            return None
        # The host that the client used, so that a client at a loopback address finds its way back here.
        challenge = f'Bearer realm="https://{self.realm or request.host}/token",service="{self._host}"'
        if name:
            challenge += f',scope="{name}:*"' if name == _CATALOG else f',scope="repository:{name}:pull"'
        if granted is not None:
            challenge += ',error="insufficient_scope"'
        return self._challenge(challenge)

    @staticmethod
    def _challenge(challenge: str) -> web.Response:
        response = registry_error(401, "UNAUTHORIZED", "authentication required")
        response.headers["WWW-Authenticate"] = challenge
        return response
