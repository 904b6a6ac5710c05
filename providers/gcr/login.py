"""The Google login: the application default credentials, or a service account that they impersonate."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bootstrap.model import clock
from bootstrap.model.api_times import time_in_header
from bootstrap.model.deadline import Deadline, Tell, silent
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.errors import ApiError, answered_by_page, is_web_page
from bootstrap.plugin.retry import Delay, retry_while
from providers.gcr import messages
from providers.gcr.errors import BUSY, BUSY_SECONDS, NoLogin
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


class _TokenRequest:
    """The transport to Google's token service: `google.auth.transport.Request`.

    Args:
        deadline: of the run; no call is waited for much longer.
        note_skew: takes how far this machine's clock is ahead of Google's, by each answer.
    """

    def __init__(self, deadline: Deadline, note_skew: Callable[[dt.timedelta], None]) -> None:
        import google.auth.transport.requests

        self._inner = google.auth.transport.requests.Request()
        self._deadline = deadline
        self._note_skew = note_skew
        self.status: int | None = None
        """The HTTP status of the last call's answer; None if it got none. The errors of google-auth do not
        have it.
        """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from google.auth.exceptions import RefreshError

        self.status = None
        answer = self._inner(*arguments, **{"timeout": self._deadline.clip(_REFRESH_SECONDS), **options})
        self.status = answer.status
        theirs = time_in_header(answer.headers.get("date", ""))
        if theirs is not None:
            self._note_skew(clock.now() - theirs)
        if answer.status < 300 and is_web_page(answer.headers):
            host = urlsplit(str(options.get("url") or arguments[0])).netloc
            raise RefreshError(answered_by_page(ApiError(0, ""), host).message)  # type: ignore[no-untyped-call]
        return answer


class GoogleLogin:
    """The login with which Google is called; one for all sessions of a command.

    Args:
        impersonate: e-mail of a service account to act as, or "".
        deadline: of the run; no call is waited for much longer.
        tell: shows what is waited for.
    """

    def __init__(self, impersonate: str, deadline: Deadline, tell: Tell = silent) -> None:
        self.impersonate = impersonate
        self._deadline = deadline
        self._tell = tell
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
            NoLogin: there is no login, it has expired, or it was not answered.
        """
        if self.credentials is None:
            # Not with each try: a file may be a pipe, which can be read only once.
            self.credentials = await asyncio.to_thread(self._find)
        await self.renew()
        return (
            self.impersonate
            or getattr(self.credentials, "service_account_email", "")
            or getattr(self.credentials, "account", "")
            or "your Google login"
        )

    def _find(self) -> Any:
        """The credentials, before their first token."""
        try:
            from providers.gcr._fast_import import google  # noqa: I001  - before anything else of Google's
            import google.auth.exceptions
            import google.auth.transport.requests
            from google.auth import impersonated_credentials
            from google.auth.credentials import with_scopes_if_required
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
        except google.auth.exceptions.GoogleAuthError as error:
            raise self._no_login(error) from None
        if any(os.environ.get(f"PULLKEY_GOOGLE_{api}_ENDPOINT") for api in _APIS):
            credentials = _at_configured_endpoints_only(credentials)
        return credentials

    async def read_clock(self) -> None:
        """Note in `skew` how far this machine's clock is ahead of Google's, by the answer to a token refresh.

        Raises:
            NoLogin: the login has expired, or was not answered.
        """
        if self.skew is None:
            await self._refresh()

    async def _refresh(self) -> None:
        """Fetch a token, again while the token service does not answer."""

        def why(error: Exception) -> Delay | None:
            return Delay(BUSY, BUSY_SECONDS) if isinstance(error, NoLogin) and error.passing else None

        await retry_while(
            lambda: asyncio.to_thread(self._refresh_once), why=why, deadline=self._deadline, tell=self._tell
        )

    def _refresh_once(self) -> None:
        import google.auth.exceptions

        request = _TokenRequest(self._deadline, self._note_skew)
        try:
            self.credentials.refresh(request)
        except google.auth.exceptions.GoogleAuthError as error:
            raise self._no_login(error, request.status) from None
        except (AttributeError, TypeError, ValueError, LookupError):
            raise messages.no_usable_login("the answer of the token service cannot be read") from None

    def _no_login(self, error: GoogleAuthError, status: int | None = None) -> NoLogin:
        # Late, as all that only an error needs.
        from providers.gcr.login_errors import no_login

        return no_login(error, self.impersonate, status)

    def _note_skew(self, skew: dt.timedelta) -> None:
        self.skew = skew

    async def renew(self) -> None:
        """Fetch a token: the first one, or one to replace the one that Google has refused.

        Raises:
            NoLogin: the login has expired, or was not answered.
        """
        from google.oauth2 import service_account

        # A service account signs its own tokens; of every other login this shows whether it is still valid.
        if not isinstance(self.credentials, service_account.Credentials):
            await self._refresh()

    async def access_token(self) -> Secret | None:
        """The login's access token; None if it has none.

        Raises:
            NoLogin: the login has expired, or was not answered.
        """
        if not getattr(self.credentials, "valid", False):
            await self._refresh()
        token = getattr(self.credentials, "token", None)
        return Secret(token) if isinstance(token, str) and token else None
