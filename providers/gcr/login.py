"""The Google login: the application default credentials, or a service account that they impersonate."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bootstrap.model import clock
from bootstrap.model.api_times import time_in_header
from bootstrap.model.deadline import Deadline
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from bootstrap.model.text import one_line
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.errors import ApiError, answered_by_page, is_web_page
from providers.gcr import messages
from providers.gcr.errors import NoLogin, is_refused_certificate, said_in
from providers.gcr.key_file_login import key_file_login

if TYPE_CHECKING:
    from google.auth.exceptions import GoogleAuthError

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_APIS = (
    "ARTIFACTREGISTRY",
    "IAM",
    "IAMCREDENTIALS",
    "ORGPOLICY",
    "RESOURCEMANAGER",
    "SERVICEUSAGE",
)
_REFRESH_SECONDS = 30.0
_PAGE = re.compile(r"a web page came from (\S+) in place of an answer")


# "... API has not been used in project 1 before or it is disabled. Enable it by visiting
# https://console.developers.google.com/apis/api/iamcredentials.googleapis.com/overview?project=1 ..."
_DISABLED = re.compile(r"/apis/api/(?P<service>[a-z0-9.]+)/overview\?project=(?P<project>[a-z0-9:.-]+)")


def _no_login(error: GoogleAuthError, impersonate: str = "") -> NoLogin:
    found = _login_refused(error, impersonate)
    found.passing = _is_unanswered(error)
    return found


def _is_unanswered(error: GoogleAuthError) -> bool:
    """Whether a login failed without being refused, so that another try may succeed."""
    from google.auth.exceptions import TransportError

    if is_refused_certificate(str(error)):
        return False
    # That of a machine's own account says it in its cause only.
    return error.retryable or isinstance(error, TransportError) or isinstance(error.__cause__, TransportError)


def _login_refused(error: GoogleAuthError, impersonate: str) -> NoLogin:
    said = said_in(error)
    summary = one_line(said, 400)
    if page := _PAGE.search(said):
        return messages.login_answered_by_page(summary, page[1])
    if disabled := _DISABLED.search(said):
        return messages.login_api_disabled(disabled["service"], disabled["project"], summary)
    if "required permission to use project" in said:
        return messages.quota_project_denied(summary)
    if "iam.serviceAccounts.getAccessToken" in said:
        return messages.impersonation_denied(impersonate, summary)
    return messages.no_usable_login(summary)


def _set_proxies_for_grpc() -> None:
    """Set the proxy variables in lower case, which is all that gRPC reads; other libraries read both."""
    for name in ("https_proxy", "no_proxy"):
        if name.upper() in os.environ:
            os.environ.setdefault(name, os.environ[name.upper()])


def _at_configured_endpoints_only(credentials: Any) -> Any:
    """The same credentials, which call no endpoint of Google's but the configured ones.

    Beside the first call google-auth (2.62) asks iamcredentials.googleapis.com in which regions the account
    may be used, whatever endpoint is configured for that API; for a workload identity the credentials of the
    account that it impersonates do so. The answer is a hint, and no setting turns it off.
    """
    kind = type(credentials)
    silent = {
        "_is_regional_access_boundary_lookup_required": lambda _: False,
        "_maybe_start_regional_access_boundary_refresh": lambda *_: None,
    }
    # By its class, since the SDKs make copies of it.
    credentials.__class__ = type(kind.__name__, (kind,), silent)
    return credentials


def _at_endpoints(credentials: Any) -> Any:
    """The same credentials, which impersonate at the endpoint configured for that API, if there is one.

    The configuration of a workload identity names the public one (`service_account_impersonation_url`).
    """
    from google.auth import external_account

    override = endpoint("PULLKEY_GOOGLE_IAMCREDENTIALS_ENDPOINT")
    if override is None or not isinstance(credentials, external_account.Credentials):
        return credentials
    info = dict(credentials.info)
    url = info.get("service_account_impersonation_url")
    if not url:
        return credentials
    info["service_account_impersonation_url"] = override.url + urlsplit(url).path
    return type(credentials).from_info(info)  # type: ignore[no-untyped-call]


class GoogleLogin:
    """The login with which Google is called; one for all sessions of a command.

    Args:
        impersonate: e-mail of a service account to act as, or "".
        deadline: of the run; no call is waited for much longer.
    """

    def __init__(self, impersonate: str, deadline: Deadline) -> None:
        self.impersonate = impersonate
        self._deadline = deadline
        self.connect = AsyncOnce(
            self._connect, lambda error: isinstance(error, NoLogin) and error.passing, deadline=deadline
        )
        self.credentials: Any = None
        self.default_project: str | None = None
        self.skew: dt.timedelta | None = None
        """How far this machine's clock is ahead of Google's, once a token was fetched."""

    async def _connect(self) -> str:
        """Find the login; return its name.

        Raises:
            UsageProblem: Google's libraries are not installed.
            NoLogin: there is no login, or it has expired.
        """
        return await asyncio.to_thread(self._log_in)

    def _log_in(self) -> str:
        try:
            from providers.gcr._fast_import import google  # noqa: I001  - before anything else of Google's
            import google.auth.exceptions
            import google.auth.transport.requests
            from google.auth import impersonated_credentials
            from google.auth.credentials import with_scopes_if_required
            from google.oauth2 import service_account
        except ImportError as error:
            raise messages.sdk_missing(error) from None
        _set_proxies_for_grpc()
        # Of a login without a quota project. An API that needs one says so itself (`quota_project_fix`).
        warnings.filterwarnings("ignore", "Your application has authenticated using end user credentials")
        try:
            # Without scopes at first: with them google-auth asks Resource Manager, at its public address, for
            # the project of a workload identity, of which only `doctor` would show the name.
            credentials, self.default_project = key_file_login() or google.auth.default()
            credentials = with_scopes_if_required(_at_endpoints(credentials), _SCOPES)  # type: ignore[no-untyped-call]
            if self.impersonate:
                override = endpoint("PULLKEY_GOOGLE_IAMCREDENTIALS_ENDPOINT")
                generate = f"/v1/projects/-/serviceAccounts/{self.impersonate}:generateAccessToken"
                credentials = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
                    source_credentials=credentials,
                    target_principal=self.impersonate,
                    target_scopes=list(_SCOPES),
                    iam_endpoint_override=override.url + generate if override else None,
                )
            if not isinstance(credentials, service_account.Credentials):
                # A service account signs its own tokens; of every other login this shows whether it is still
                # valid.
                credentials.refresh(self._request())
        except google.auth.exceptions.GoogleAuthError as error:
            raise _no_login(error, self.impersonate) from None
        if any(os.environ.get(f"PULLKEY_GOOGLE_{api}_ENDPOINT") for api in _APIS):
            credentials = _at_configured_endpoints_only(credentials)
        self.credentials = credentials
        return (
            self.impersonate
            or getattr(credentials, "service_account_email", "")
            or getattr(credentials, "account", "")
            or "your Google login"
        )

    def _request(self) -> Any:
        """The transport to Google's token service; notes the time of its answers in `skew`."""
        import google.auth.transport.requests
        from google.auth.exceptions import RefreshError

        inner = google.auth.transport.requests.Request()

        def call(*arguments: Any, **options: Any) -> Any:
            answer = inner(*arguments, **{"timeout": self._deadline.clip(_REFRESH_SECONDS), **options})
            theirs = time_in_header(answer.headers.get("date", ""))
            if theirs is not None:
                self.skew = clock.now() - theirs
            if answer.status < 300 and is_web_page(answer.headers):
                host = urlsplit(str(options.get("url") or arguments[0])).netloc
                raise RefreshError(answered_by_page(ApiError(0, ""), host).message)  # type: ignore[no-untyped-call]
            return answer

        return call

    async def read_clock(self) -> None:
        """Note in `skew` how far this machine's clock is ahead of Google's, by the answer to a token refresh.

        Raises:
            NoLogin: the login has expired.
        """
        if self.skew is None:
            await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        import google.auth.exceptions

        try:
            self.credentials.refresh(self._request())
        except google.auth.exceptions.GoogleAuthError as error:
            raise _no_login(error, self.impersonate) from None

    async def renew(self) -> None:
        """Fetch a token to replace the one that Google has refused.

        Raises:
            NoLogin: the login has expired.
        """
        from google.oauth2 import service_account

        # A service account signs its own tokens.
        if not isinstance(self.credentials, service_account.Credentials):
            await asyncio.to_thread(self._refresh)

    async def access_token(self) -> Secret | None:
        """The login's access token; None if it has none.

        Raises:
            NoLogin: the login has expired.
        """
        if not getattr(self.credentials, "valid", False):
            await asyncio.to_thread(self._refresh)
        token = getattr(self.credentials, "token", None)
        return Secret(token) if isinstance(token, str) and token else None
