"""Parse the requests of a registry's clients, and create its error answers.

Sources: "OCI Distribution Specification", "Error Codes"; the Distribution project's "Token Authentication
Specification" (challenge) and "Token Scope Documentation".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web

API_VERSION: Final = {"Docker-Distribution-Api-Version": "registry/2.0"}
_CODES: Final = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}
NO_DETAIL: Final = object()


def registry_error(
    status: int,
    code: str,
    message: str,
    *,
    detail: Any = NO_DETAIL,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An error in the specification's form. An empty `code` is replaced by the usual one for the status.

    `detail` is omitted unless given; some registries send null.
    """
    error = {"code": code or _CODES.get(status, "UNKNOWN"), "message": message}
    if detail is not NO_DETAIL:
        error["detail"] = detail
    return web.json_response({"errors": [error]}, status=status, headers=headers)


class Refusal(Exception):
    """Raised to answer a request with `response` and nothing else."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.text)
        self.response = response


@dataclass(frozen=True)
class Login:
    """A user name and password; both empty if the `Authorization` header cannot be parsed."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Scope:
    """The scope that a token is requested for, or grants: actions on one resource."""

    type: str
    name: str
    actions: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `TYPE:NAME:ACTION,ACTION`; a name may contain colons."""
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        return cls(kind, name, tuple(actions.split(",")))

    @classmethod
    def pull(cls, repository: str) -> Self:
        """The scope of a pull from a repository."""
        return cls("repository", repository, ("pull",))

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.actions)}"

    def covers(self, other: Scope) -> bool:
        """Whether it includes everything that `other` requests."""
        same = (self.type, self.name) == (other.type, other.name)
        return same and set(other.actions) <= set(self.actions)


CATALOG: Final = Scope("registry", "catalog", ("*",))
"""The scope of the list of repositories."""


def bearer_challenge(realm: str, service: str = "", scope: Scope | None = None, error: str = "") -> str:
    """The value of `WWW-Authenticate` that sends a client to the token service at `realm`, a URL."""
    parts = {"realm": realm, "service": service, "scope": str(scope or ""), "error": error}
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parts.items() if value)


def basic_login(request: web.Request) -> Login | None:
    """The login in a request; None without an `Authorization` header."""
    header = request.headers.get("Authorization", "")
    if not header:
        return None
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            return Login("", "")
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Login("", "")
    return Login(name, password)


def bearer_token(request: web.Request) -> str | None:
    """The bearer token of a request; None without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None
