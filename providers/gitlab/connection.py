"""Sends one call of GitLab's REST API, and returns its answer or raises its error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bootstrap.plugin.rest_client import Reply, RestClient
from providers.gitlab.errors import GitlabApiError


class Connection(RestClient):
    """The connections to one instance, shared by the sessions of a command."""

    name = "gitlab"
    error = GitlabApiError

    def error_text(self, body: Mapping[str, Any]) -> str:
        """The text of an error: `message`, which may be an object, or `error` with its description."""
        message = body.get("message")
        if isinstance(message, dict | list) and message:
            return json.dumps(message, ensure_ascii=False)
        if isinstance(message, str) and message:
            return message
        summary = [body.get("error"), body.get("error_description")]
        return ": ".join(one for one in summary if isinstance(one, str) and one)

    def error_of(self, reply: Reply, summary: str) -> GitlabApiError:
        body = reply.body if isinstance(reply.body, dict) else {}
        named = body.get("error")
        described = isinstance(named, str) and named.replace("_", "").isalpha() and named.islower()
        return GitlabApiError(
            reply.status,
            summary,
            str(named) if described else "",
            retry_after=self.retry_after(reply.headers),
            location=reply.headers.get("Location", "") if reply.status in (301, 302) else "",
            no_route="error" in body or (reply.body is None and reply.status == 404),
        )
