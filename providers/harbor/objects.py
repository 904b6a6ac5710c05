"""The objects of Harbor's API: the server, a project, a robot account.

Source: goharbor/harbor, api/v2.0/swagger.yaml.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bootstrap.model import clock
from bootstrap.model.api_times import time_in_json
from bootstrap.model.secret import Secret
from providers.harbor.errors import HarborApiError
from providers.harbor.names import key_id_of, run_id_of

_VERSION = re.compile(r"^v?(\d+)\.(\d+)")
# What a registry takes in a path (OCI Distribution Specification, "Pulling manifests").
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)+")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class ServerInfo:
    """What `GET /systeminfo` shows to this login.

    Attributes:
        version: as Harbor spells it; "" if it is not shown.
        auth_mode: `db_auth`, `ldap_auth`, `oidc_auth`, ...
        read_only: whether nothing can be changed.
    """

    version: str = ""
    auth_mode: str = ""
    read_only: bool = False

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than 2.2, the first version with `/api/v2.0/robots`."""
        found = _VERSION.match(self.version)
        return found is not None and (int(found[1]), int(found[2])) < (2, 2)


@dataclass(frozen=True)
class Project:
    """A project; anyone may pull from a public one."""

    number: int
    name: str
    public: bool


@dataclass(frozen=True)
class Robot:
    """A robot account, without its secret.

    Attributes:
        number: its id.
        name: its current user name, with the server's prefix. A changed prefix changes the names of all robot
            accounts at once (src/controller/robot/controller.go, `populate`).
        shown: the whole answer, which a change has to send again.
    """

    number: int
    name: str
    level: str
    created: dt.datetime | None
    expires: dt.datetime | None
    disabled: bool
    shown: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def run_id(self) -> str:
        """The run that created it, by its name; "" where pullkey did not."""
        return run_id_of(self.name)

    @property
    def key_id(self) -> str:
        """The id by which pullkey names it; "" if pullkey did not create it."""
        return key_id_of(self.number, self.run_id) if self.run_id else ""

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= clock.now()

    @property
    def projects(self) -> tuple[str, ...]:
        """The projects from which it may pull; `*` is all of them."""
        return tuple(sorted({str(one.get("namespace")) for one in self._permissions if _pulls(one)}))

    def pulls(self, project: str) -> bool:
        return bool({project, "*"} & {*self.projects})

    @property
    def _permissions(self) -> list[Mapping[str, Any]]:
        found = self.shown.get("permissions")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


@dataclass(frozen=True)
class NewRobot:
    """A robot account that was created, with the only copy of its secret."""

    robot: Robot
    secret: Secret


def server_info(body: Any) -> ServerInfo:
    """Read `GeneralInfo`.

    Raises:
        HarborApiError: the answer is not one.
    """
    if not isinstance(body, dict) or "auth_mode" not in body:
        raise HarborApiError(0, "the answer is not Harbor's")
    version = body.get("harbor_version")
    return ServerInfo(
        version if isinstance(version, str) else "",
        str(body["auth_mode"] or ""),
        body.get("read_only") is True,
    )


def project(body: Any) -> Project:
    """Read `Project`.

    Raises:
        HarborApiError: the answer is not one.
    """
    shown = body if isinstance(body, dict) else {}
    number, name, metadata = shown.get("project_id"), shown.get("name"), shown.get("metadata")
    if not isinstance(number, int) or number <= 0 or not isinstance(name, str):
        raise HarborApiError(0, "the answer is not a project")
    public = isinstance(metadata, dict) and str(metadata.get("public")).lower() == "true"
    return Project(number, name, public)


def robot(body: Any) -> Robot:
    """Read `Robot` or `RobotCreated`.

    Raises:
        HarborApiError: the answer is neither; it counts as unanswered.
    """
    shown = body if isinstance(body, dict) else {}
    number, name = shown.get("id"), shown.get("name")
    if not isinstance(number, int) or number <= 0 or not isinstance(name, str) or not _is_plain(name):
        raise HarborApiError(0, "the answer is not a robot account")
    return Robot(
        number,
        name,
        str(shown.get("level") or ""),
        time_in_json(shown.get("creation_time")),
        _end(shown.get("expires_at")),
        shown.get("disable") is True,
        shown,
    )


def new_robot(body: Any) -> NewRobot:
    """Read `RobotCreated` with its secret.

    Raises:
        HarborApiError: the answer is not one; it counts as unanswered.
    """
    found = robot(body)
    secret = body.get("secret")
    if not isinstance(secret, str) or not secret or not _is_plain(secret):
        raise HarborApiError(0, "the answer has no secret")
    return NewRobot(found, Secret(secret))


def repositories(body: Any) -> list[str]:
    """The names in a list of `Repository`, of those that are not empty."""
    rows = body if isinstance(body, list) else []
    names = [
        str(one.get("name") or "") for one in rows if isinstance(one, dict) and one.get("artifact_count")
    ]
    return [one for one in names if _REPOSITORY.fullmatch(one)]


def newest_image(body: Any) -> str:
    """The tag, or else the digest, of the first image in a list of `Artifact`; "" where it has none."""
    for one in body if isinstance(body, list) else []:
        if isinstance(one, dict) and one.get("type") == "IMAGE":
            tags = one.get("tags")
            named = [
                tag.get("name") for tag in (tags if isinstance(tags, list) else []) if isinstance(tag, dict)
            ]
            for reference in (*named, one.get("digest")):
                if isinstance(reference, str) and _REFERENCE.fullmatch(reference):
                    return reference
    return ""


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= 1_000


def _pulls(permission: Mapping[str, Any]) -> bool:
    """Whether a permission lets pull from its project; one to push does so too
    (src/common/security/robot/context.go).
    """
    access = permission.get("access")
    return permission.get("kind") == "project" and any(
        isinstance(one, dict)
        and one.get("resource") == "repository"
        and one.get("action") in ("pull", "push", "*")
        and one.get("effect") != "deny"
        for one in (access if isinstance(access, list) else [])
    )


def _end(seconds: Any) -> dt.datetime | None:
    """The expiry; -1 is none."""
    if not isinstance(seconds, int) or seconds <= 0:
        return None
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None
