"""The robot accounts of Harbor's API.

Source: goharbor/harbor, src/server/v2.0/handler/robot.go: what is validated before the login, the permission
rules, that a change replaces all of an account, and that its new expiry counts from its creation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from providers.harbor.emulator.answers import HarborError, object_of, page_of
from providers.harbor.emulator.state import (
    Caller,
    HarborState,
    Project,
    Robot,
    expiry_of,
    random_secret,
    stamp,
)

_NAME = re.compile(r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$")
_LONGEST = 2**31 - 1
# The permissions that an account can have (src/common/rbac/const.go), as far as they matter here.
_KNOWN = {
    "project": {"repository:pull", "repository:push", "repository:list", "repository:read", "project:read"}
    | {"artifact:list", "artifact:read"}
    | {f"robot:{action}" for action in ("create", "read", "list", "delete")},
    "system": {"project:list", "project:create", "catalog:read"}
    | {f"robot:{action}" for action in ("create", "read", "list", "delete")},
}
_MOST_OF_NAME = 255


class Robots:
    """The handlers of `/api/v2.0/robots`."""

    def __init__(self, state: HarborState) -> None:
        self._state = state

    async def create(self, request: web.Request, caller: Caller) -> web.Response:
        body = await object_of(request)
        name, level = str(body.get("name") or ""), str(body.get("level") or "")
        if not _NAME.match(name):
            raise HarborError("BAD_REQUEST", "robot name is not in lower case or contains illegal characters")
        duration, permissions = self._validated(body, body.get("duration") or 0)
        project = self._named_project(level, permissions)
        self._require(caller, level, project, "create", is_there=project is not None)
        if caller.robot is not None and not _is_subset(permissions, caller.robot.permissions):
            raise HarborError(
                "DENIED",
                "permission scope is invalid. It must be equal to or more restrictive than the creator "
                f"robot's permissions: {caller.name}",
            )
        for one in permissions:
            if (
                one["kind"] == "project"
                and one["namespace"] != "*"
                and not self._state.project(one["namespace"], is_name=True)
            ):
                raise HarborError("NOT_FOUND", f"project {one['namespace']} not found")
        stored = f"{project.name}+{name}" if level == "project" and project else name
        number = project.number if level == "project" and project else 0
        self._refuse_double(stored, number)
        robot = self._state.add_robot(
            stored,
            level,
            number,
            duration,
            permissions,
            description=str(body.get("description") or ""),
            creator=caller.name,
        )
        shown = {
            "id": robot.number,
            "name": self._state.name_of(robot),
            "secret": robot.secret,
            "creation_time": stamp(robot.created),
            "expires_at": robot.expires_at,
        }
        return web.json_response(shown, status=201, headers={"Location": f"{request.path}/{robot.number}"})

    def _refuse_double(self, stored: str, project: int) -> None:
        if len(stored) > _MOST_OF_NAME:
            raise HarborError("UNKNOWN", "value too long for type character varying(255)")
        if any((one.stored, one.project) == (stored, project) for one in self._state.robots.values()):
            raise HarborError("CONFLICT", f"robot account {project}:{stored} already exists")

    async def list_some(self, request: web.Request, caller: Caller) -> web.Response:
        self._require_login(caller)
        asked = dict(
            part.partition("=")[::2] for part in request.query.get("q", "").split(",") if "=" in part
        )
        level, project = asked.get("Level", "system"), None
        if level not in ("system", "project"):
            raise HarborError("BAD_REQUEST", "bad request error level input")
        if level == "project":
            number = asked.get("ProjectID", "")
            if not number:
                raise HarborError("BAD_REQUEST", "must with project ID when to query project robots")
            if not number.isdecimal() or int(number) <= 0:
                raise HarborError("BAD_REQUEST", "ProjectID must be a positive integer")
            project = self._state.projects.get(int(number))
        self._require(caller, level, project, "list", is_there=project is not None)
        found = [
            one for one in self._state.robots.values() if one.project == (project.number if project else 0)
        ]
        rows = [self._shown(one) for one in sorted(found, key=lambda one: one.stored)]
        return page_of(request, rows)

    async def get(self, request: web.Request, caller: Caller) -> web.Response:
        return web.json_response(self._shown(self._found(request, caller, "read")))

    async def delete(self, request: web.Request, caller: Caller) -> web.Response:
        robot = self._found(request, caller, "delete")
        del self._state.robots[robot.number]
        return web.Response(status=200)

    async def update(self, request: web.Request, caller: Caller) -> web.Response:
        body = await object_of(request)
        robot = self._found(request, caller, None)
        duration, permissions = self._validated(body, body.get("duration", robot.duration))
        level = str(body.get("level") or "")
        if robot.level == "project":
            named = self._state.project(str(permissions[0]["namespace"]), is_name=True)
            if named is None or named.number != robot.project:
                raise HarborError("BAD_REQUEST", "cannot update the project id of robot")
        self._require(caller, robot.level, self._state.projects.get(robot.project), "update", is_there=True)
        if level != robot.level or body.get("name") != self._state.name_of(robot):
            raise HarborError("BAD_REQUEST", "cannot update the level or name of robot")
        if duration != robot.duration:
            robot.duration, robot.expires_at = duration, expiry_of(robot.created, duration)
        robot.description = str(body.get("description") or "")
        robot.disabled = bool(body.get("disable"))
        robot.permissions = permissions
        return web.Response(status=200)

    async def refresh(self, request: web.Request, caller: Caller) -> web.Response:
        body = await object_of(request)
        robot = self._found(request, caller, "update")
        secret = str(body.get("secret") or "")
        if not secret:
            robot.secret = random_secret()
            return web.json_response({"secret": robot.secret})
        sorts = (str.isupper, str.islower, str.isdigit)
        if not 8 <= len(secret) <= 128 or not all(any(map(sort, secret)) for sort in sorts):
            raise HarborError(
                "BAD_REQUEST",
                "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, "
                "1 lowercase letter and 1 number",
            )
        robot.secret = secret
        return web.json_response({})

    # -- rules -----------------------------------------------------------------------------------------------

    def _found(self, request: web.Request, caller: Caller, action: str | None) -> Robot:
        self._require_login(caller)
        number = request.match_info["id"]
        if not number.isdecimal():
            message = f'robot_id in path must be of type int64: "{number}"'
            raise HarborError("UNPROCESSABLE_ENTITY", message)
        robot = self._state.robots.get(int(number))
        if robot is None:
            raise HarborError("NOT_FOUND", f"robot {number} not found")
        if action is not None:
            project = self._state.projects.get(robot.project)
            self._require(caller, robot.level, project, action, is_there=project is not None)
        return robot

    def _require_login(self, caller: Caller) -> None:
        if not caller.known:
            raise HarborError("UNAUTHORIZED", "unauthorized")

    def _require(
        self, caller: Caller, level: str, project: Project | None, action: str, *, is_there: bool
    ) -> None:
        """Robot accounts never have the permission to change one."""
        self._require_login(caller)
        sysadmin = caller.user is not None and caller.user.sysadmin
        if level == "system":
            if sysadmin or (action != "update" and _of_system(caller, f"robot:{action}")):
                return
            raise HarborError("FORBIDDEN", caller.name)
        if not is_there and sysadmin:
            return  # what is missing is found out later
        permission = f"robot:{action}"
        changes = action == "update" and caller.robot is not None
        if project is None or changes or not self._state.may(caller, project, permission):
            raise HarborError("FORBIDDEN", "forbidden")

    def _named_project(self, level: str, permissions: list[dict[str, Any]]) -> Project | None:
        return (
            self._state.project(str(permissions[0]["namespace"]), is_name=True)
            if level == "project"
            else None
        )

    def _validated(self, body: Mapping[str, Any], duration: Any) -> tuple[int, list[dict[str, Any]]]:
        if not isinstance(duration, int) or not (duration == -1 or 0 < duration < _LONGEST):
            raise HarborError(
                "BAD_REQUEST",
                f"bad request error duration input: {duration}, duration must be either -1(Never) or a "
                "positive integer",
            )
        level, permissions = body.get("level"), body.get("permissions")
        if level not in ("system", "project"):
            raise HarborError("BAD_REQUEST", f"bad request error level input: {level or ''}")
        if not isinstance(permissions, list) or not permissions or not all(permissions):
            raise HarborError("BAD_REQUEST", "bad request empty permission")
        if not all(one.get("access") and all(one["access"]) for one in permissions):
            raise HarborError("BAD_REQUEST", "bad request empty access")
        if level == "project" and len(permissions) > 1:
            raise HarborError("BAD_REQUEST", "bad request permission")
        for one in permissions:
            if one.get("kind") not in _KNOWN:
                raise HarborError("BAD_REQUEST", f"bad request permission level: {one.get('kind')}")
            for access in one["access"]:
                wanted = f"{access.get('resource')}:{access.get('action')}"
                if wanted not in _KNOWN[one["kind"]]:
                    raise HarborError("BAD_REQUEST", f"bad request permission: {wanted}")
        return duration, permissions

    def _shown(self, robot: Robot) -> dict[str, Any]:
        """`Robot` of swagger.yaml: empty texts are left out."""
        shown = {
            "id": robot.number,
            "name": self._state.name_of(robot),
            "description": robot.description,
            "level": robot.level,
            "duration": robot.duration,
            "editable": True,
            "disable": robot.disabled,
            "expires_at": robot.expires_at,
            "creation_time": stamp(robot.created),
            "update_time": stamp(robot.created),
            "creator_type": "robot" if robot.creator.startswith(self._state.prefix) else "local",
            "creator_ref": 1,
            "permissions": robot.permissions,
        }
        return {name: value for name, value in shown.items() if value != ""}


def _of_system(caller: Caller, permission: str) -> bool:
    return caller.robot is not None and any(
        one["kind"] == "system" and f"{access['resource']}:{access['action']}" == permission
        for one in caller.robot.permissions
        for access in one["access"]
    )


def _is_subset(asked: list[dict[str, Any]], held: list[dict[str, Any]]) -> bool:
    """Compared by the text of resource, action and effect, as Harbor does."""

    def texts(permission: Mapping[str, Any]) -> set[str]:
        return {f"{one['resource']}:{one['action']}:{one.get('effect', '')}" for one in permission["access"]}

    by_place = {(one["kind"], one["namespace"]): texts(one) for one in held}
    return all(
        texts(one) <= by_place.get((one["kind"], one["namespace"]), by_place.get((one["kind"], "*"), set()))
        for one in asked
    )
