"""GitLab's refusals and missing answers as errors.

Sources: gitlabhq/gitlabhq, lib/api/helpers.rb and lib/api/api.rb (`{"message": ...}`, and 409 "Resource
lock"), lib/api/api_guard.rb (`{"error": ...}`), doc/security/user_and_ip_rate_limits.md (429 as text).
"""

from __future__ import annotations

import re
from http import HTTPStatus

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.rest_client import limited_delay
from bootstrap.plugin.retry import Delay

_LOCK_SECONDS = 15.0
_BUSY = "GitLab is busy or briefly away; trying again."
_LIMITED = "GitLab limits how often it is asked; trying again once it may be."
_LOCKED = "GitLab is changing the same thing for another request; trying again."
_HIDDEN = re.compile(r"\b(?:project|group) not found", re.IGNORECASE)


class LoginMissing(PullkeyError):
    """GitLab needs an access token, and none was supplied."""

    code = Code.GITLAB_LOGIN_MISSING


class GitlabApiError(ApiError):
    """A call that GitLab refused, or did not answer as documented.

    Args:
        status: the HTTP status; 0 if there was no answer.
        message: its text, or what is wrong with the answer.
        code: `insufficient_scope` or `invalid_token`, if the answer has one.
        retry_after: the seconds to wait that it requests, if any.
        location: the new address of a moved project, as GitLab answers a GET of its former path.
        no_route: whether GitLab has no such call.
    """

    service = "GitLab"

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        *,
        retry_after: float | None = None,
        location: str = "",
        no_route: bool = False,
    ) -> None:
        super().__init__(status, message, code, retry_after=retry_after)
        self.location = location
        self.no_route = no_route

    @property
    def hidden(self) -> bool:
        """The project or group is not shown: it does not exist, or this token may not see it."""
        return self.status == HTTPStatus.NOT_FOUND and (
            self.no_route or _HIDDEN.search(self.message) is not None
        )

    @property
    def missing(self) -> bool:
        """The object in the project or group is not shown, but the project or group is."""
        return self.status == HTTPStatus.NOT_FOUND and not self.hidden

    @property
    def locked(self) -> bool:
        """Another request holds the lock; this one was not carried out."""
        return self.status == HTTPStatus.CONFLICT and "lock" in self.message.lower()

    @property
    def read_only(self) -> bool:
        """The instance takes no changes: it is in maintenance mode
        (gitlabhq/gitlabhq, lib/gitlab/middleware/read_only/controller.rb).
        """
        return self.forbidden and "read-only" in self.message.lower()

    @property
    def lacks_scope(self) -> bool:
        return self.code == "insufficient_scope"

    @property
    def problem_code(self) -> Code:
        if self.lacks_scope:
            return Code.GITLAB_TOKEN_SCOPE
        if self.hidden:
            return Code.GITLAB_PROJECT_NOT_FOUND
        return Code.GITLAB_LOGIN_REFUSED if self.unauthenticated else super().problem_code


def busy(error: Exception) -> Delay | None:
    """The delay of a refusal that is worth a retry: a rate limit as long as GitLab says, others briefly."""
    if not isinstance(error, GitlabApiError):
        return None
    if error.locked:
        return Delay(_LOCKED, at_most=_LOCK_SECONDS)
    return limited_delay(error, busy=_BUSY, limited=_LIMITED)
