"""Read what an access token says about its user.

It is our own token, straight from the directory over TLS, so nothing is verified; whatever cannot be read
counts as unknown, never as a missing permission. Names of claims: "Access token claims reference".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

GRAPH_RIGHT = "Application.ReadWrite.OwnedBy (Microsoft Graph)"

_OWNED = "Application.ReadWrite.OwnedBy"
_CHANGES_ALL = frozenset({"Application.ReadWrite.All", "Directory.ReadWrite.All"})
_MAKES_APPLICATIONS = _CHANGES_ALL | {_OWNED}
_DEVELOPER = "cf1c38e5-3621-4004-a7cb-879624dced7c"
"""The one of the directory's roles that changes only the applications that it owns."""
DIRECTORY_ROLES = {
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    _DEVELOPER: "Application Developer",
}
"""Those that may create applications where members may not ("Microsoft Entra built-in roles")."""


def read(token: str) -> Mapping[str, Any]:
    """The claims of a token; empty if it is none that can be read.

    >>> read("not a token")
    {}
    """
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def user_of(claims: Mapping[str, Any]) -> str:
    """The name of the token's user or application, for display."""
    for name in ("upn", "preferred_username", "unique_name", "email", "app_displayname"):
        if claims.get(name):
            return str(claims[name])
    return f"application {claims['appid']}" if claims.get("appid") else "your Azure login"


def makes_applications(claims: Mapping[str, Any]) -> bool:
    """Whether the token says that its user may create applications and their secrets.

    Of a member without a directory role, the tenant's policy decides; and a custom role of the directory, or
    one for a part of it, is in no token.
    """
    listed = DIRECTORY_ROLES.keys() & _texts(claims.get("wids"))
    if claims.get("scp") is None:
        listed |= _MAKES_APPLICATIONS & _texts(claims.get("roles"))
    return bool(listed)


def needs_ownership(claims: Mapping[str, Any]) -> bool:
    """Whether the token's user may change only the applications that it owns, as far as the token tells."""
    roles, directory = _texts(claims.get("roles")), _texts(claims.get("wids"))
    if roles & _CHANGES_ALL or directory & (DIRECTORY_ROLES.keys() - {_DEVELOPER}):
        return False
    return _OWNED in roles or _DEVELOPER in directory or claims.get("scp") is not None


def is_application(claims: Mapping[str, Any]) -> bool:
    """Whether the token is an application's own, with nobody signed in."""
    return bool(claims) and claims.get("scp") is None


def _texts(value: Any) -> frozenset[str]:
    return (
        frozenset(filter(lambda one: isinstance(one, str), value)) if isinstance(value, list) else frozenset()
    )
