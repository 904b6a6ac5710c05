"""GitLab's answers as values: projects, groups and deploy tokens."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, TypeGuard

from bootstrap.model import clock
from bootstrap.model.api_times import time_in_json
from bootstrap.model.secret import Secret
from providers.gitlab.errors import GitlabApiError

MARK = "pullkey "
"""The prefix of the names of pullkey's deploy tokens; the run's id and the time follow."""
READ_REGISTRY = "read_registry"
MAINTAINER, OWNER = 40, 50  # doc/api/access_requests.md, valid access levels
_LONGEST_USERNAME = 255


@dataclass(frozen=True)
class Namespace:
    """A project or group.

    Attributes:
        registry_off: whether the project's container registry is disabled.
        access: the access level of the caller; None if it is not shown.
    """

    kind: str
    number: int
    path: str
    registry_off: bool = False
    access: int | None = None


@dataclass(frozen=True)
class DeployToken:
    """What GitLab shows of a deploy token, without its text."""

    number: int
    name: str
    username: str
    expires: dt.datetime | None
    scopes: tuple[str, ...]
    revoked: bool = False

    @property
    def expired(self) -> bool:
        """By the second, as at its use: the answer's own `expired` counts in days
        (app/models/deploy_token.rb).
        """
        return self.expires is not None and self.expires <= clock.now()

    @property
    def created(self) -> dt.datetime | None:
        """When it was created, which GitLab does not show; pullkey writes it into the name."""
        if not self.name.startswith(MARK):
            return None
        return time_in_json("".join(self.name.split()[2:3]).rstrip(":"))

    @property
    def of_pullkey(self) -> bool:
        return self.name.startswith(MARK)


@dataclass(frozen=True)
class NewToken:
    """A deploy token that was created, with the only copy of its text."""

    token: DeployToken
    text: Secret


def name_of(run_id: str) -> str:
    """The name of the deploy token that a run creates, at most 255 characters (app/models/deploy_token.rb).

    >>> name_of("0123456789ab").startswith("pullkey 0123456789ab ")
    True
    """
    return f"{MARK}{run_id} {clock.now():%Y-%m-%dT%H:%M:%SZ}: Akka pulls with it"


def namespace(kind: str, body: Any) -> Namespace:
    """Read a project as `GET /projects/:id` shows it, or a group as `GET /groups/:id` does.

    Raises:
        GitlabApiError: the answer is neither; it counts as unanswered.
    """
    shown = body if isinstance(body, dict) else {}
    number, path = shown.get("id"), shown.get("path_with_namespace" if kind == "project" else "full_path")
    if not _is_number(number) or not isinstance(path, str) or not path.isprintable():
        raise GitlabApiError(0, f"the answer shows no {kind}")
    permissions = shown.get("permissions")
    levels = [
        one["access_level"]
        for one in (permissions.values() if isinstance(permissions, dict) else ())
        if isinstance(one, dict) and isinstance(one.get("access_level"), int)
    ]
    return Namespace(
        kind=kind,
        number=number,
        path=path,
        registry_off=shown.get("container_registry_access_level") == "disabled",
        access=max(levels) if levels else None,
    )


def deploy_token(body: Any) -> DeployToken:
    """Read a deploy token (lib/api/entities/deploy_token.rb); old servers show neither `revoked` nor
    `expired`.

    Raises:
        GitlabApiError: the answer is not one; it counts as unanswered.
    """
    shown = body if isinstance(body, dict) else {}
    number, scopes = shown.get("id"), shown.get("scopes")
    if not _is_number(number):
        raise GitlabApiError(0, "the answer shows a deploy token without an id")
    return DeployToken(
        number=number,
        name=str(shown.get("name") or ""),
        username=str(shown.get("username") or ""),
        expires=time_in_json(shown.get("expires_at")),
        scopes=tuple(str(one) for one in scopes) if isinstance(scopes, list) else (),
        revoked=shown.get("revoked") is True,
    )


def new_token(body: Any) -> NewToken:
    """Read the answer to a creation, the only one that has the token's text.

    Raises:
        GitlabApiError: the answer has none; it counts as unanswered.
    """
    text = body.get("token") if isinstance(body, dict) else None
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
        raise GitlabApiError(0, "the answer holds no token")
    created = deploy_token(body)
    name = created.username
    if not name or not name.isprintable() or ":" in name or len(name) > _LONGEST_USERNAME:
        raise GitlabApiError(0, "the answer holds no user name")
    return NewToken(created, Secret(text))


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**19
