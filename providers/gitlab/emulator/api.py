"""The part of an instance's REST API that concerns deploy tokens.

Sources, in gitlabhq/gitlabhq: lib/api/deploy_tokens.rb (calls, parameters, roles), lib/api/helpers.rb (what
is not found, and projects that were moved), lib/api/api_guard.rb (`error`), lib/api/helpers/pagination and
doc/api/rest/_index.md (pages), doc/api/openapi (paths and status codes).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, RestApi
from bootstrap.sandbox.images import ImageStore
from providers.gitlab.emulator.caller import Access, ApiError
from providers.gitlab.emulator.pages import page_of
from providers.gitlab.emulator.state import MAINTAINER, OWNER, DeployToken, GitlabState, Namespace

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SCOPES = frozenset(
    {
        "read_repository",
        "read_registry",
        "write_registry",
        "read_virtual_registry",
        "write_virtual_registry",
        "read_package_registry",
        "write_package_registry",
    }
)
_USERNAME = re.compile(r"^[a-zA-Z0-9.+_-]+$")
_LONGEST = 255


def render_error(status: int, code: str, message: str) -> web.Response:
    """An error of a fault; a rate limit is answered as text
    (doc/security/user_and_ip_rate_limits.md).
    """
    del code
    if status == 429:
        return web.Response(text="Retry later\n", status=429)
    return web.json_response({"message": f"{status} {message}".strip()}, status=status)


class GitlabApi:
    """The API, added to the application of the registry: the token service is at the same host."""

    def __init__(self, state: GitlabState, images: ImageStore, gate: CallGate, app: web.Application) -> None:
        self._state = state
        self._images = images
        self._access = Access(state)
        api, base = RestApi(gate, "gitlab", render_error, app), f"{state.root}/api/v4"

        def route(verb: str, path: str, method: str, handler: Answering) -> None:
            api.route(verb, f"{base}/{path}", method, self._answering(handler))

        route("GET", "version", "GetVersion", self._version)
        route("GET", "user", "GetUser", self._user)
        route("GET", "personal_access_tokens/self", "GetAccessToken", self._own_token)
        route(
            "GET",
            "projects/{id}/registry/repositories",
            "ListRegistryRepositories",
            self._of("project", self._repositories),
        )
        route("GET", "groups/{id}/members/all/{user}", "GetMember", self._member)
        for kind in ("project", "group"):
            name = kind.capitalize()
            tokens = f"{kind}s/{{id}}/deploy_tokens"
            route("GET", f"{kind}s/{{id}}", f"Get{name}", self._of(kind, self._show))
            route("GET", tokens, f"List{name}DeployTokens", self._of(kind, self._list))
            route("POST", tokens, f"Create{name}DeployToken", self._of(kind, self._create))
            route("GET", f"{tokens}/{{token}}", f"Get{name}DeployToken", self._of(kind, self._get))
            route("DELETE", f"{tokens}/{{token}}", f"Delete{name}DeployToken", self._of(kind, self._delete))
        app.router.add_route("*", f"{base}/{{rest:.*}}", self._no_route)

    def _answering(self, handler: Answering) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            if self._state.maintenance and request.method != "GET":
                # lib/gitlab/middleware/read_only/controller.rb
                text = "You cannot perform write operations on a read-only instance"
                return web.json_response({"message": text}, status=403)
            try:
                return await handler(request)
            except ApiError as error:
                return error.response

        return answer

    async def _no_route(self, request: web.Request) -> web.Response:
        return web.json_response({"error": "404 Not Found"}, status=404)

    # -- the caller ------------------------------------------------------------------------------------------

    async def _version(self, request: web.Request) -> web.Response:
        self._access.user(request)
        return web.json_response({"version": "18.6.0", "revision": "0000000000"})

    async def _user(self, request: web.Request) -> web.Response:
        user = self._access.user(request, "read_user")
        # lib/api/users.rb: UserWithAdmin
        admin = {"is_admin": True} if user in self._state.administrators else {}
        return web.json_response(
            {"id": self._state.users[user], "username": user, "state": "active", **admin}
        )

    async def _own_token(self, request: web.Request) -> web.Response:
        token = self._access.token(request)
        if token is None:
            raise ApiError(401, message="401 Unauthorized")
        return web.json_response(
            {"id": 1, "name": "sandbox", "revoked": False, "scopes": list(token.scopes), "active": True}
        )

    async def _member(self, request: web.Request) -> web.Response:
        group = self._access.visible(request, "group")
        wanted = request.match_info["user"]
        name = next((one for one, number in self._state.users.items() if str(number) == wanted), "")
        level = self._state.level(name, group.path)
        if not level:
            raise ApiError(404, message="404 Not found")
        role = {"id": 1, "name": "custom"} if name in self._state.custom_roles else None
        return web.json_response(
            {"id": int(wanted), "username": name, "access_level": level, "member_role": role}
        )

    # -- projects, groups and deploy tokens ------------------------------------------------------------------

    def _of(
        self, kind: str, handler: Callable[[web.Request, Namespace], Awaitable[web.StreamResponse]]
    ) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await handler(request, self._access.visible(request, kind))

        return answer

    async def _show(self, request: web.Request, where: Namespace) -> web.Response:
        if where.kind == "group":
            if self._state.deprecated_limited and request.query.get("with_projects") != "false":
                # By default it shows the group's projects too, which is deprecated (lib/api/groups.rb)
                # and has a rate limit of its own (lib/gitlab/rack_attack/request.rb).
                return render_error(429, "", "")
            return web.json_response({"id": where.number, "full_path": where.path, "path": where.path})
        token = self._access.token(request)
        level = self._state.level(token.user, where.path) if token is not None else 0
        return web.json_response(
            {
                "id": where.number,
                "description": None,
                "name": where.path.rpartition("/")[2],
                "path_with_namespace": where.path,
                "container_registry_access_level": where.registry,
                "container_registry_image_prefix": f"{self._state.registry}/{where.path.lower()}",
                "permissions": {
                    "project_access": None,
                    "group_access": {"access_level": level} if level else None,
                },
            }
        )

    async def _repositories(self, request: web.Request, where: Namespace) -> web.Response:
        """The repositories that have an image (lib/api/entities/container_registry.rb)."""
        names = await self._images.below(self._state.registry)
        found = [name for name in names if self._state.project_of(name) is where]
        rows = [
            {
                "id": number,
                "name": name.removeprefix(where.path.lower()).strip("/"),
                "path": name,
                "project_id": where.number,
                "location": f"{self._state.registry}/{name}",
            }
            for number, name in enumerate(found, 1)
        ]
        return page_of(request, rows)

    async def _list(self, request: web.Request, where: Namespace) -> web.Response:
        self._access.at_least(request, where, MAINTAINER)
        tokens = where.tokens
        if request.query.get("active") == "true":
            tokens = [one for one in tokens if self._state.is_valid(one)]
        return page_of(request, [one.shown(self._now) for one in tokens])

    def _token(self, request: web.Request, where: Namespace) -> DeployToken:
        asked = request.match_info["token"]
        if not asked.isdecimal():
            raise ApiError(400, error="token_id is invalid")
        found = next((one for one in where.tokens if one.number == int(asked)), None)
        if found is None:
            raise ApiError(404, message="404 Not found")
        return found

    async def _get(self, request: web.Request, where: Namespace) -> web.Response:
        self._access.at_least(request, where, MAINTAINER)
        return web.json_response(self._token(request, where).shown(self._now))

    async def _create(self, request: web.Request, where: Namespace) -> web.Response:
        body = await _body(request)
        if isinstance(body.get("scopes"), str):
            body["scopes"] = body["scopes"].split(",")
        self._check(body)
        self._access.at_least(request, where, OWNER if where.kind == "group" else MAINTAINER)
        username = str(body.get("username") or "")
        if username and (not _USERNAME.match(username) or len(username) > _LONGEST):
            raise ApiError(400, message="Username can contain only letters, digits, '_', '-', '+', and '.'")
        if len(str(body["name"])) > _LONGEST:
            raise ApiError(400, message={"name": ["is too long (maximum is 255 characters)"]})
        made = DeployToken(
            self._state.number(),
            str(body["name"]),
            tuple(body["scopes"]),
            self._now,
            expires=_time(body.get("expires_at")),
            username=username,
        )
        where.tokens.append(made)
        return web.json_response({**made.shown(self._now), "token": made.text}, status=201)

    def _check(self, body: Mapping[str, Any]) -> None:
        missing = [f"{name} is missing" for name in ("name", "scopes") if not body.get(name)]
        if missing:
            raise ApiError(400, error=", ".join(missing))
        if not isinstance(body["scopes"], list) or not set(body["scopes"]) <= _SCOPES:
            raise ApiError(400, error="scopes does not have a valid value")
        _time(body.get("expires_at"))

    async def _delete(self, request: web.Request, where: Namespace) -> web.Response:
        self._access.at_least(request, where, OWNER if where.kind == "group" else MAINTAINER)
        where.tokens.remove(self._token(request, where))
        return web.Response(status=204)

    @property
    def _now(self) -> dt.datetime:
        return self._state.sandbox.now()


def _time(text: Any) -> dt.datetime | None:
    """Parse a date or a timestamp; a bare date is the start of that day. A past one is accepted."""
    if text is None:
        return None
    try:
        seen = dt.datetime.fromisoformat(str(text))
    except ValueError:
        raise ApiError(400, error="expires_at is invalid") from None
    return seen if seen.tzinfo else seen.replace(tzinfo=dt.UTC)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise ApiError(400, error="The body could not be parsed") from None
    return body if isinstance(body, dict) else {}
