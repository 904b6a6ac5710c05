"""Sends one call of Harbor's API, and returns its answer or raises its error."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from bootstrap.model.secret import Secret
from bootstrap.plugin.rest_client import Reply, RestClient
from providers.harbor.errors import HarborApiError

API = "/api/v2.0"


class Connection(RestClient):
    """The connections to one Harbor, shared by the sessions of a command.

    They keep no cookies: Harbor requires a CSRF token of a request with its session's cookie
    (goharbor/harbor, src/server/middleware/csrf/csrf.go).
    """

    name = "harbor"
    error = HarborApiError

    def __init__(self, host: str) -> None:
        super().__init__(f"https://{host}{API}")

    def error_text(self, body: Mapping[str, Any]) -> str:
        """The text of an error: `{"errors": [{"code", "message"}]}`, or that of an unknown path."""
        return _first_error(body)[1] or super().error_text(body)

    def error_of(self, reply: Reply, summary: str) -> HarborApiError:
        code = _first_error(reply.body)[0] if isinstance(reply.body, dict) else ""
        return HarborApiError(reply.status, summary, code, retry_after=self.retry_after(reply.headers))


def basic(user: str, password: Secret) -> Secret:
    """The `Authorization` header of a user name and password; itself a secret."""
    return Secret(f"Basic {base64.b64encode(f'{user}:{password.reveal()}'.encode()).decode()}")


def _first_error(body: Mapping[str, Any]) -> tuple[str, str]:
    try:
        first = body["errors"][0]
        return str(first.get("code") or ""), str(first.get("message") or "")
    except (LookupError, TypeError, AttributeError):
        return "", ""
