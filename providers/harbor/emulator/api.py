"""The part of Harbor's API that concerns robot accounts, and the images that they pull.

Sources: goharbor/harbor, api/v2.0/swagger.yaml; handler/user.go, systeminfo.go, project.go;
src/server/middleware/readonly and security/oidc_cli.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, RestApi
from bootstrap.sandbox.images import ImageStore
from bootstrap.sandbox.registry.answers import basic_login
from providers.harbor.connection import API
from providers.harbor.emulator.answers import HarborError, answer_of, errors
from providers.harbor.emulator.images import Images
from providers.harbor.emulator.robots import Robots
from providers.harbor.emulator.state import Caller, HarborState, stamp

_READ_ONLY = "The system is in read only mode. Any modification is prohibited."
Answering = Callable[[web.Request, Caller], Awaitable[web.Response]]


class HarborApi:
    """The API's routes, added to the application of the registry: Harbor serves both at one address."""

    def __init__(self, state: HarborState, images: ImageStore, gate: CallGate, app: web.Application) -> None:
        self._state = state
        api = RestApi(gate, "harbor", errors, app)
        robots, listed = Robots(state), Images(state, images)
        repositories = "/projects/{name}/repositories"
        routes: tuple[tuple[str, str, str, Answering], ...] = (
            ("GET", "/systeminfo", "GetSystemInfo", self._info),
            ("GET", "/users/current", "GetCurrentUser", self._user),
            ("GET", "/users/current/permissions", "GetPermissions", self._permissions),
            ("GET", "/projects/{name}", "GetProject", self._project),
            ("GET", repositories, "ListRepositories", listed.list_repositories),
            ("GET", f"{repositories}/{{repository}}/artifacts", "ListArtifacts", listed.list_artifacts),
            ("GET", "/robots", "ListRobots", robots.list_some),
            ("POST", "/robots", "CreateRobot", robots.create),
            ("GET", "/robots/{id}", "GetRobot", robots.get),
            ("PUT", "/robots/{id}", "UpdateRobot", robots.update),
            ("PATCH", "/robots/{id}", "RefreshSecret", robots.refresh),
            ("DELETE", "/robots/{id}", "DeleteRobot", robots.delete),
        )
        for verb, path, method, handler in routes:
            api.route(verb, f"{API}{path}", method, self._answering(path, handler))

    def _answering(self, path: str, handler: Answering) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            if path.startswith("/robots") and not self._state.has_robots:
                body = {"code": 404, "message": f"path {request.path} was not found"}
                return web.json_response(body, status=404)
            if self._state.leads_to:
                return web.Response(status=302, headers={"Location": self._state.leads_to})
            if self._state.read_only and request.method != "GET":
                return errors(403, "DENIED", _READ_ONLY)
            try:
                return await handler(request, self._caller(request, path))
            except HarborError as error:
                return answer_of(error)

        return answer

    def _caller(self, request: web.Request, path: str) -> Caller:
        login = basic_login(request)
        if login is None or not login.name:
            return Caller()
        caller = self._state.caller(login.name, login.password)
        # A CLI secret authenticates a few reads only.
        closed = not path.startswith(("/systeminfo", "/projects"))
        if self._state.auth_mode == "oidc_auth" and caller.user and not caller.user.sysadmin and closed:
            return Caller()
        return caller

    async def _info(self, request: web.Request, caller: Caller) -> web.Response:
        state = self._state
        shown: dict[str, Any] = {
            "auth_mode": state.auth_mode,
            "primary_auth_mode": False,
            "self_registration": False,
            "banner_message": "",
            "oidc_provider_name": "",
        }
        if caller.known:
            shown |= {
                "harbor_version": state.version,
                "read_only": state.read_only,
                "external_url": f"https://{state.host}",
                "registry_url": state.host,
                "current_time": stamp(state.sandbox.now()),
            }
        return web.json_response(shown)

    async def _user(self, request: web.Request, caller: Caller) -> web.Response:
        if not caller.known:
            raise HarborError("UNAUTHORIZED", "unauthorized")
        if caller.user is None:
            raise HarborError("PRECONDITION", "get current user not available for security context: robot")
        user = caller.user
        shown = {"user_id": user.number, "username": user.name, "sysadmin_flag": user.sysadmin}
        return web.json_response({**shown, "admin_role_in_auth": False})

    async def _permissions(self, request: web.Request, caller: Caller) -> web.Response:
        if not caller.known:
            raise HarborError("UNAUTHORIZED", "unauthorized")
        scope = request.query.get("scope", "")
        project = self._state.project(scope.removeprefix("/project/")) if scope else None
        held = self._state.held(caller, project) if project else []
        prefix = "" if request.query.get("relative") == "true" else f"{scope}/"
        rows = [one.partition(":")[::2] for one in held]
        return web.json_response(
            [{"resource": f"{prefix}{resource}", "action": action} for resource, action in rows]
        )

    async def _project(self, request: web.Request, caller: Caller) -> web.Response:
        name = request.match_info["name"]
        is_name = request.headers.get("X-Is-Resource-Name", "").lower() == "true"
        project = self._state.project(name, is_name=is_name)
        if project is None or not self._state.may(caller, project, "project:read"):
            if not caller.known:
                raise HarborError("UNAUTHORIZED", "unauthorized")
            if project is None and caller.user is not None and caller.user.sysadmin:
                raise HarborError("NOT_FOUND", f"project {name} not found")
            raise HarborError("FORBIDDEN", "forbidden")
        return web.json_response(
            {
                "project_id": project.number,
                "name": project.name,
                "owner_name": "admin",
                "metadata": {"public": "true" if project.public else "false"},
                "repo_count": 1,
            }
        )
