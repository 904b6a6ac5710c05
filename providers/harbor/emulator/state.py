"""The content of the emulated Harbor: users, projects and their members, robot accounts, and its settings."""

from __future__ import annotations

import datetime as dt
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.sandbox.host import Sandbox

LOCKOUT = dt.timedelta(seconds=1.5)
"""How long a name is refused after a failed login, in seconds (src/core/auth/authenticator.go, `frozenTime`).
"""
_READS = frozenset({"repository:pull", "repository:list", "artifact:list", "project:read"})
_ROLES: dict[str, frozenset[str]] = {
    "projectAdmin": frozenset(
        {"repository:push"}
        | _READS
        | {f"robot:{action}" for action in ("create", "read", "update", "delete", "list")}
    ),
    "maintainer": _READS | {"repository:push", "robot:read", "robot:list"},
    "developer": _READS | {"repository:push", "robot:read", "robot:list"},
    "guest": _READS | {"robot:read", "robot:list"},
    "limitedGuest": _READS,
}
"""The permissions of each role, as far as they matter here (src/common/rbac/project/rbac_role.go)."""


def random_secret() -> str:
    """Generate a secret as Harbor does: 32 letters and digits, with each sort among them."""
    letters = string.ascii_letters + string.digits
    return "aA1" + "".join(secrets.choice(letters) for _ in range(29))


@dataclass
class User:
    """A user of Harbor's own database. In OIDC mode the password is the CLI secret."""

    name: str
    password: str = field(repr=False)
    sysadmin: bool = False
    number: int = 0


@dataclass
class Project:
    """A project: its members by name, with their roles, and whether anyone may pull from it.

    Attributes:
        refuses_images: the policy by which it refuses every image (412); "" for none.
    """

    number: int
    name: str
    public: bool = False
    members: dict[str, str] = field(default_factory=dict)
    refuses_images: str = ""


@dataclass
class Robot:
    """A robot account. `stored` is its name in the database, without the server's prefix."""

    number: int
    stored: str
    level: str
    project: int
    duration: int
    created: dt.datetime
    permissions: list[dict[str, Any]]
    description: str = ""
    disabled: bool = False
    expires_at: int = -1
    creator: str = ""
    secret: str = field(default_factory=random_secret, repr=False)

    def may(self, project: Project, permission: str) -> bool:
        """Whether it holds a permission of a project; `repository:push` includes `repository:pull`."""
        wanted = {permission} | ({"repository:push"} if permission == "repository:pull" else set())
        return any(
            one["kind"] == "project"
            and one["namespace"] in (project.name, "*")
            and f"{access['resource']}:{access['action']}" in wanted
            for one in self.permissions
            for access in one["access"]
        )


@dataclass(frozen=True)
class Caller:
    """The caller of a request; anonymous without `user` and `robot`."""

    user: User | None = None
    robot: Robot | None = None
    name: str = ""

    @property
    def known(self) -> bool:
        return self.user is not None or self.robot is not None


class HarborState:
    """The content of one Harbor, and its permission rules.

    Attributes:
        prefix: of the names of robot accounts (`robot_name_prefix`).
        version: what `/systeminfo` shows.
        auth_mode: `db_auth`, or `oidc_auth`, in which users have a CLI secret for a few paths.
        read_only: whether everything but reads is refused.
        has_robots: whether `/api/v2.0/robots` exists, as it does from 2.2.
        leads_to: where a proxy before the API redirects every call; "" for nowhere.
    """

    def __init__(self, sandbox: Sandbox, host: str) -> None:
        self.sandbox = sandbox
        self.host = host
        self.prefix = "robot$"
        self.version = "v2.15.2-3b8a6c1e"
        self.auth_mode = "db_auth"
        self.read_only = False
        self.leads_to = ""
        self.has_robots = True
        self.users: dict[str, User] = {}
        self.projects: dict[int, Project] = {}
        self.robots: dict[int, Robot] = {}
        self._next_robot = 1
        self._locked: dict[str, dt.datetime] = {}

    # -- content ---------------------------------------------------------------------------------------------

    def add_user(self, name: str, password: str, *, sysadmin: bool = False) -> User:
        self.users[name] = User(name, password, sysadmin, len(self.users) + 1)
        return self.users[name]

    def add_project(self, name: str, members: Mapping[str, str], *, public: bool = False) -> Project:
        number = max(self.projects, default=0) + 1
        self.projects[number] = Project(number, name, public, dict(members))
        return self.projects[number]

    def project(self, name_or_number: str, *, is_name: bool = False) -> Project | None:
        """Find a project by its name, or by its number if the text is one and is not marked as a name."""
        if name_or_number.isdecimal() and not is_name:
            return self.projects.get(int(name_or_number))
        return next((one for one in self.projects.values() if one.name == name_or_number), None)

    def add_robot(
        self,
        stored: str,
        level: str,
        project: int,
        duration: int,
        permissions: Sequence[dict[str, Any]],
        *,
        description: str = "",
        creator: str = "",
        age: dt.timedelta = dt.timedelta(),
    ) -> Robot:
        created = self.sandbox.now() - age
        robot = Robot(
            self._next_robot,
            stored,
            level,
            project,
            duration,
            created,
            list(permissions),
            description,
            expires_at=expiry_of(created, duration),
            creator=creator,
        )
        self._next_robot += 1
        self.robots[robot.number] = robot
        return robot

    def name_of(self, robot: Robot) -> str:
        return f"{self.prefix}{robot.stored}"

    # -- permissions -----------------------------------------------------------------------------------------

    def caller(self, name: str, password: str) -> Caller:
        """The caller of that user name and password; anonymous if they are wrong. Harbor does not report
        that: it proceeds without a login (src/server/middleware/security/security.go).
        """
        now = self.sandbox.now()
        if self._locked.get(name, now) > now:
            return Caller()
        robot = next((one for one in self.robots.values() if self.name_of(one) == name), None)
        if robot is not None and name.startswith(self.prefix):
            ended = robot.expires_at != -1 and robot.expires_at <= now.timestamp()
            if _same(robot.secret, password) and not robot.disabled and not ended:
                return Caller(robot=robot, name=name)
        user = self.users.get(name)
        if user is not None and _same(user.password, password):
            return Caller(user=user, name=name)
        self._locked[name] = now + LOCKOUT
        return Caller()

    def may(self, caller: Caller, project: Project, permission: str) -> bool:
        if caller.robot is not None:
            return caller.robot.may(project, permission) or (
                project.public and permission == "repository:pull"
            )
        if caller.user is not None and caller.user.sysadmin:
            return True
        if project.public and permission in _READS:
            return True
        role = project.members.get(caller.name) if caller.user is not None else None
        return role is not None and permission in _ROLES[role]

    def held(self, caller: Caller, project: Project) -> list[str]:
        """The permissions of a project that a caller holds."""
        known = sorted(frozenset().union(*_ROLES.values()))
        return [one for one in known if self.may(caller, project, one)]


def expiry_of(created: dt.datetime, duration: int) -> int:
    return -1 if duration == -1 else int((created + dt.timedelta(days=duration)).timestamp())


def stamp(moment: dt.datetime) -> str:
    """Format a time as go-openapi's `strfmt.DateTime` does."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
