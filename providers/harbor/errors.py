"""Harbor's refusals and missing answers as errors."""

from __future__ import annotations

from http import HTTPStatus

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.rest_client import limited_delay
from bootstrap.plugin.retry import Delay

_BUSY = "Harbor is busy or briefly away; trying again."
_LIMITED = "Harbor limits the rate of requests; trying again when it allows one."


class LoginMissing(PullkeyError):
    """Harbor's API needs a login, and none was supplied."""

    code = Code.HARBOR_LOGIN_MISSING


class HarborApiError(ApiError):
    """A call that Harbor refused, or did not answer as documented.

    The codes are those of its error bodies: UNAUTHORIZED, FORBIDDEN, DENIED, NOT_FOUND, CONFLICT, and UNKNOWN
    for any 500, whose details it hides (goharbor/harbor, src/lib/http/error.go).
    """

    service = "Harbor"

    @property
    def exists(self) -> bool:
        """A robot account of this name exists (src/pkg/robot/dao/dao.go)."""
        return self.status == HTTPStatus.CONFLICT

    @property
    def of_robot_login(self) -> bool:
        """The login is a robot account's, so there is no user: `GET /users/current` answers 412
        (src/server/v2.0/handler/user.go).
        """
        return self.status == HTTPStatus.PRECONDITION_FAILED


def busy(error: Exception) -> Delay | None:
    """The delay of a refusal that is worth a retry: a rate limit as long as Harbor says, others briefly."""
    return limited_delay(error, busy=_BUSY, limited=_LIMITED)
