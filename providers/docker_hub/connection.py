"""The HTTP connection to Docker Hub's API."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from bootstrap.model import clock
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from bootstrap.plugin.rest_client import Reply, RestClient
from providers.docker_hub.errors import HubApiError

ENDPOINT = "PULLKEY_DOCKER_HUB_ENDPOINT"
HUB = "https://hub.docker.com"

_A_UNIX_TIME = 1e9


class Connection(RestClient):
    """The connections to Docker Hub, one pool per command."""

    name = "hub"
    error = HubApiError

    def __init__(self) -> None:
        named = endpoint(ENDPOINT)
        super().__init__(named.url if named else HUB)

    def error_text(self, body: Mapping[str, Any]) -> str:
        """The text of an error in any of the API's three forms (`error`, `Error`, `ValueError`)."""
        fields = body.get("fields")
        return super().error_text(body) or (json.dumps(fields) if isinstance(fields, dict) and fields else "")

    def retry_after(self, headers: Mapping[str, str]) -> float | None:
        """The seconds to wait, from `Retry-After` (seconds or a date) or Docker Hub's `X-Retry-After` (a Unix
        time).
        """
        found = super().retry_after(headers)
        if found is not None and found < _A_UNIX_TIME:
            return found
        for name in ("Retry-After", "X-Retry-After"):
            try:
                seconds = float(headers.get(name, ""))
            except ValueError:
                continue
            if math.isfinite(seconds):
                return max(0.0, seconds - clock.time() if seconds > _A_UNIX_TIME else seconds)
        return None

    def error_of(self, reply: Reply, summary: str) -> HubApiError:
        fields = reply.body if isinstance(reply.body, dict) else {}
        return HubApiError(
            reply.status,
            summary,
            retry_after=self.retry_after(reply.headers),
            second_factor=bool(fields.get("login_2fa_token")),
        )


def bearer_header(token: Secret | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.reveal()}"} if token is not None else {}
