"""The state of the emulated Docker Hub: users, organisations, repositories and their tokens."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.sandbox.host import Sandbox

PULL_SCOPES = frozenset({"repo:read", "repo:write", "repo:admin"})
ALL_SCOPES = frozenset({"repo:admin", "repo:write", "repo:read", "repo:public_read"})


@dataclass
class Pat:
    """A personal access token (schema `accessToken`)."""

    label: str
    scopes: tuple[str, ...]
    created: dt.datetime
    expires: dt.datetime | None = None
    generated_by: str = "manual"
    active: bool = True
    text: str = field(default_factory=lambda: f"dckr_pat_{secrets.token_urlsafe(20)}", repr=False)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def shown(self, *, text: str) -> dict[str, Any]:
        """The API's JSON; `text` is the token itself only in the answer to its creation."""
        return {
            "uuid": self.uuid,
            "client_id": "HUB",
            "creator_ip": "127.0.0.1",
            "creator_ua": "some user agent",
            "created_at": stamp(self.created, fraction=True),
            "last_used": None,
            "generated_by": self.generated_by,
            "is_active": self.active,
            "token": text,
            "token_label": self.label,
            "scopes": list(self.scopes),
            "expires_at": stamp(self.expires, fraction=True) if self.expires else None,
        }


@dataclass
class Oat:
    """An organisation access token (schema `orgAccessToken`)."""

    label: str
    created_by: str
    resources: Sequence[Mapping[str, Any]]
    created: dt.datetime
    expires: dt.datetime | None = None
    description: str = ""
    active: bool = True
    text: str = field(default_factory=lambda: f"dckr_oat_{secrets.token_urlsafe(20)}", repr=False)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "label": self.label,
            "created_by": self.created_by,
            "is_active": self.active,
            "created_at": stamp(self.created),
            "expires_at": stamp(self.expires) if self.expires else None,
            "last_used_at": None,
        }

    def may_pull(self, path: str) -> bool:
        """Whether one of its resources is the repository, or `NAMESPACE/*`."""
        namespace = path.partition("/")[0]
        return any(
            one["type"] == "TYPE_REPO"
            and one["path"] in {path, f"{namespace}/*"}
            and {"scope-image-pull", "scope-image-push", "scope-image-delete"} & set(one["scopes"])
            for one in self.resources
        )


@dataclass
class User:
    """A user account."""

    name: str
    password: str = field(repr=False)
    second_factor: bool = False
    tokens: list[Pat] = field(default_factory=list)


@dataclass
class Organization:
    """An organisation; every member may read its private repositories, its owners manage its tokens."""

    name: str
    owners: set[str]
    members: set[str] = field(default_factory=set)
    most_tokens: int = 10  # of a Docker Team subscription
    tokens: list[Oat] = field(default_factory=list)


@dataclass(frozen=True)
class Puller:
    """Who pulls: a user, with or without a token, or an organisation with one."""

    name: str
    pat: Pat | None = None
    oat: Oat | None = None


@dataclass
class HubState:
    """The whole state. `requests_left` are the requests until the rate limit, which lasts `limited_for`
    seconds.
    """

    sandbox: Sandbox
    users: dict[str, User] = field(default_factory=dict)
    organizations: dict[str, Organization] = field(default_factory=dict)
    repositories: dict[str, bool] = field(default_factory=dict)  # path: whether it is private
    requests_left: int = 600
    limited_for: float = 1.0

    def user(self, name: str) -> User:
        return self.users[name]

    def organization(self, name: str) -> Organization:
        return self.organizations[name]

    def good(self, token: Pat | Oat) -> bool:
        """Whether a token can be used now: it has reached the registry, is active, and has not expired."""
        now = self.sandbox.now()
        return (
            token.active
            and self.sandbox.visible(token.created, "key")
            and (token.expires is None or token.expires > now)
        )

    def sees(self, user: str, path: str) -> bool:
        """Whether a user may read a repository."""
        if path not in self.repositories:
            return False
        namespace = path.partition("/")[0]
        owner = self.organizations.get(namespace)
        inside = namespace == user or (owner is not None and user in owner.owners | owner.members)
        return inside or not self.repositories[path]

    def puller(self, name: str, secret: str) -> Puller | None:
        """The puller with this user name and password or token; None if they are wrong. With a second factor,
        only a token is accepted.
        """
        if (user := self.users.get(name)) is not None:
            for pat in user.tokens:
                if secrets.compare_digest(pat.text, secret):
                    return Puller(name, pat=pat) if self.good(pat) else None
            if not user.second_factor and secrets.compare_digest(user.password.encode(), secret.encode()):
                return Puller(name)
        if (organization := self.organizations.get(name)) is not None:
            for oat in organization.tokens:
                if secrets.compare_digest(oat.text, secret):
                    return Puller(name, oat=oat) if self.good(oat) else None
        return None

    def may_pull(self, puller: Puller | None, path: str) -> bool:
        """Whether a puller (None: anonymous) may pull a repository."""
        if path not in self.repositories:
            return False
        if puller is not None and puller.oat is not None:
            return puller.oat.may_pull(path) or not self.repositories[path]
        if not self.repositories[path]:
            return True
        if puller is None or (puller.pat is not None and not PULL_SCOPES & set(puller.pat.scopes)):
            return False
        return self.sees(puller.name, path)


def stamp(moment: dt.datetime, *, fraction: bool = False) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" if fraction else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
