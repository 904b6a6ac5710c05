"""Explain a failed login at Google: the token service has refused it, or has not answered.

google-auth (2.62) raises one and the same error for a refusal and for a server that is busy, in each flow but
that of a user's login: `impersonated_credentials` and `oauth2.sts` look at the body of an answer only. So a
503 is to be known by its status (googleapis/google-cloud-python#15174 and #15178,
google-github-actions/auth#427 and #486).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootstrap.model.text import one_line
from providers.gcr import messages
from providers.gcr.errors import NoLogin, is_refused_certificate, said_in

if TYPE_CHECKING:
    from google.auth.exceptions import GoogleAuthError

_PAGE = re.compile(r"a web page came from (\S+) in place of an answer")
# "... API has not been used in project 1 before or it is disabled. Enable it by visiting
# https://console.developers.google.com/apis/api/iamcredentials.googleapis.com/overview?project=1 ..."
_DISABLED = re.compile(r"/apis/api/(?P<service>[a-z0-9.]+)/overview\?project=(?P<project>[a-z0-9:.-]+)")


def no_login(error: GoogleAuthError, impersonate: str = "", status: int | None = None) -> NoLogin:
    """google-auth's error as one of pullkey's.

    Args:
        error: the error.
        impersonate: the account to act as, or "".
        status: the HTTP status of the answer that it is about; None if there was none.
    """
    summary = one_line(said_in(error), 400)
    if _is_unanswered(error, status):
        found = messages.login_unanswered(summary, status)
        found.passing = True
        return found
    return _login_refused(said_in(error), summary, impersonate)


def _is_unanswered(error: GoogleAuthError, status: int | None) -> bool:
    """Whether a login failed without being refused, so that another try may succeed."""
    from google.auth.exceptions import TransportError

    if is_refused_certificate(str(error)):
        return False
    if status is not None:
        return error.retryable or status in {408, 429} or status >= 500
    # That of a machine's own account says it in its cause only.
    return error.retryable or isinstance(error, TransportError) or isinstance(error.__cause__, TransportError)


def _login_refused(said: str, summary: str, impersonate: str) -> NoLogin:
    if page := _PAGE.search(said):
        return messages.login_answered_by_page(summary, page[1])
    if disabled := _DISABLED.search(said):
        return messages.login_api_disabled(disabled["service"], disabled["project"], summary)
    if "required permission to use project" in said:
        return messages.quota_project_denied(summary)
    if "iam.serviceAccounts.getAccessToken" in said:
        return messages.impersonation_denied(impersonate, summary)
    return messages.no_usable_login(summary)
