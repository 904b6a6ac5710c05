"""What an emulated GitLab instance holds: users, groups, projects, and their tokens.

Sources, in gitlabhq/gitlabhq: app/models/deploy_token.rb (default user name, `active`), lib/api/entities/
deploy_token.rb (what is shown), lib/gitlab/access.rb (access levels; a member of a group is one of its
subgroups and projects).
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.sandbox.host import Sandbox

GUEST, DEVELOPER, MAINTAINER, OWNER = 10, 30, 40, 50
PULL_SCOPES = frozenset({"read_registry", "write_registry"})


@dataclass
class AccessToken:
    """A personal access token."""

    text: str = field(repr=False)
    user: str
    scopes: tuple[str, ...] = ("api",)
    revoked: bool = False
    expires: dt.datetime | None = None


@dataclass
class DeployToken:
    """A deploy token of a project or group."""

    number: int
    name: str
    scopes: tuple[str, ...]
    created: dt.datetime
    expires: dt.datetime | None = None
    username: str = ""
    revoked: bool = False
    text: str = field(default_factory=lambda: f"gldt-{secrets.token_urlsafe(15)}", repr=False)

    def __post_init__(self) -> None:
        self.username = self.username or f"gitlab+deploy-token-{self.number}"

    def shown(self, now: dt.datetime) -> dict[str, Any]:
        """The token as the API shows it. `expired` counts in days: it is false for the rest of the day."""
        return {
            "id": self.number,
            "name": self.name,
            "username": self.username,
            "expires_at": f"{self.expires:%Y-%m-%dT%H:%M:%S}.000Z" if self.expires else None,
            "scopes": list(self.scopes),
            "revoked": self.revoked,
            "expired": self.expires is not None and self.expires.date() < now.date(),
        }


@dataclass
class Namespace:
    """A project or group, with its deploy tokens.

    Attributes:
        registry: the project's `container_registry_access_level`.
        public: whether it is visible to all.
    """

    kind: str
    number: int
    path: str
    tokens: list[DeployToken] = field(default_factory=list)
    registry: str = "enabled"
    public: bool = False


@dataclass
class GitlabState:
    """The content of one instance.

    Attributes:
        host: of the instance.
        registry: the host of its registry, with its port if it has one.
        root: the path of the instance: a relative URL root, or "".
        aliases: other hosts that lead to the registry.
        members: the access level of a user in a group or project, by its path.
        custom_roles: the users whose role is a custom one.
        administrators: of the instance; they may do everything, whatever their role.
        maintenance: whether the instance is in maintenance mode.
        deprecated_limited: whether the rate limit of deprecated calls is reached.
        moved: the current project of a former path.
        banned: whether logins to the token service are refused, since too many have failed.
    """

    sandbox: Sandbox
    host: str
    registry: str
    root: str = ""
    aliases: tuple[str, ...] = ()
    users: dict[str, int] = field(default_factory=dict)
    access_tokens: list[AccessToken] = field(default_factory=list)
    projects: dict[str, Namespace] = field(default_factory=dict)
    groups: dict[str, Namespace] = field(default_factory=dict)
    members: dict[tuple[str, str], int] = field(default_factory=dict)
    custom_roles: set[str] = field(default_factory=set)
    administrators: set[str] = field(default_factory=set)
    maintenance: bool = False
    deprecated_limited: bool = False
    moved: dict[str, str] = field(default_factory=dict)
    registry_enabled: bool = True
    banned: bool = False
    numbers: int = 100

    @property
    def hosts(self) -> Sequence[str]:
        """The hosts that lead here, without ports."""
        return list(dict.fromkeys((self.host, self.registry.partition(":")[0], *self.aliases)))

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def add_project(self, path: str, **more: Any) -> Namespace:
        self.projects[path] = Namespace("project", self.number(), path, **more)
        return self.projects[path]

    def add_group(self, path: str) -> Namespace:
        self.groups[path] = Namespace("group", self.number(), path)
        return self.groups[path]

    def add_user(self, name: str, token: str, *scopes: str, **levels: int) -> None:
        """Add a user with one access token; `levels` are those in top-level groups."""
        self.users[name] = self.number()
        self.access_tokens.append(AccessToken(token, name, scopes or ("api",)))
        self.members |= {(name, path): level for path, level in levels.items()}

    def add_deploy_token(self, where: Namespace, name: str, *scopes: str, **more: Any) -> DeployToken:
        made = DeployToken(self.number(), name, scopes, self.sandbox.now(), **more)
        where.tokens.append(made)
        return made

    def find(self, kind: str, reference: str) -> Namespace | None:
        """A project or group by its path or number."""
        places = self.projects if kind == "project" else self.groups
        if reference.isdecimal():
            return next((one for one in places.values() if one.number == int(reference)), None)
        return next((one for path, one in places.items() if path.lower() == reference.lower()), None)

    def level(self, user: str, path: str) -> int:
        """The access level of a user, inherited ones included."""
        return max(self.members.get((user, above), 0) for above in _above(path))

    def may(self, user: str, path: str) -> int:
        """The access level whose permissions a user has: an administrator has all of them."""
        return OWNER if user in self.administrators else self.level(user, path)

    def access_token(self, text: str) -> AccessToken | None:
        return next(
            (one for one in self.access_tokens if secrets.compare_digest(one.text.encode(), text.encode())),
            None,
        )

    def is_valid(self, token: AccessToken | DeployToken) -> bool:
        """Whether it can be used now, to the second."""
        return not token.revoked and (token.expires is None or token.expires >= self.sandbox.now())

    def deploy_token(self, username: str, text: str) -> tuple[Namespace, DeployToken] | None:
        """The deploy token of a user name and password, and whose it is; None if they are wrong or it is not
        valid.
        """
        for where in (*self.projects.values(), *self.groups.values()):
            for one in where.tokens:
                if one.username == username and secrets.compare_digest(one.text.encode(), text.encode()):
                    known = self.sandbox.visible(one.created, "key")
                    return (where, one) if known and self.is_valid(one) else None
        return None

    def project_of(self, repository: str) -> Namespace | None:
        """The project of a repository: the longest path that its name begins with."""
        found = [
            one
            for path, one in self.projects.items()
            if repository == path.lower() or repository.startswith(f"{path.lower()}/")
        ]
        return max(found, key=lambda one: len(one.path), default=None)


def _above(path: str) -> Iterator[str]:
    """A path and those of the groups that it is in."""
    parts = path.split("/")
    for count in range(len(parts), 0, -1):
        yield "/".join(parts[:count])
