"""One call of Harbor's API over HTTP: its answer, or the error that it is."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from bootstrap.model.secret import Secret
from bootstrap.plugin.rest_client import Reply, RestClient
from providers.harbor.errors import HarborApiError

API = "/api/v2.0"


class Connection(RestClient):
    """The connections to one Harbor, one set for a command.

    It keeps no cookies: Harbor wants a CSRF token of a request that carries its session's
    (goharbor/harbor, src/server/middleware/csrf/csrf.go).
    """

    name = "harbor"
    error = HarborApiError

    def __init__(self, host: str) -> None:
        super().__init__(f"https://{host}{API}")

    def error_text(self, body: Mapping[str, Any]) -> str:
        """The words of an error: `{"errors": [{"code", "message"}]}`, or those of an unknown path."""
        return _first_error(body)[1] or super().error_text(body)

    def error_of(self, reply: Reply, summary: str) -> HarborApiError:
        code = _first_error(reply.body)[0] if isinstance(reply.body, dict) else ""
        return HarborApiError(reply.status, summary, code, retry_after=self.retry_after(reply.headers))


def basic(user: str, password: Secret) -> Secret:
    """The header's value for a user name and password; a secret itself."""
    return Secret(f"Basic {base64.b64encode(f'{user}:{password.reveal()}'.encode()).decode()}")


def _first_error(body: Mapping[str, Any]) -> tuple[str, str]:
    try:
        first = body["errors"][0]
        return str(first.get("code") or ""), str(first.get("message") or "")
    except (LookupError, TypeError, AttributeError):
        return "", ""
