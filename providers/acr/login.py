"""Log in to Azure: the endpoints of each cloud, the SDK's credential for `--auth`, and one token cache for
all clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from bootstrap.model import clock
from bootstrap.model.deadline import Deadline
from bootstrap.model.settings import endpoint
from providers.acr.errors import NoToken
from providers.acr.login_errors import login_error

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

_TOKEN_MARGIN_SECONDS = 300
_UNREADABLE = ValueError("the directory's answer cannot be read")
_SECONDS = 60.0
_PROGRAM_SECONDS = 45
"""What az, azd and PowerShell may take. The SDK gives them 10 seconds, which a cold or busy machine exceeds
(Azure/azure-cli#20404, Azure/azure-sdk-for-python#37167).
"""


@dataclass(frozen=True)
class AzureCloud:
    """The endpoints of one of Azure's clouds: `azure.mgmt.core.tools.get_arm_endpoints`,
    `azure.identity.AzureAuthorityHosts`, and Graph's "National cloud deployments".
    """

    authority: str
    resource_manager: str
    resource_manager_scope: str
    graph: str


CLOUDS = {
    "public": AzureCloud(
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        "https://management.azure.com/.default",
        "https://graph.microsoft.com",
    ),
    "usgov": AzureCloud(
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "https://management.core.usgovcloudapi.net/.default",
        "https://graph.microsoft.us",
    ),
    "china": AzureCloud(
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        "https://management.chinacloudapi.cn/.default",
        "https://microsoftgraph.chinacloudapi.cn",
    ),
}


class Login:
    """A credential that requests each token once, and shares it between all clients.

    Each of the SDK's clients would request its own token, and `az` is a program that takes half a second to
    answer.

    Args:
        make: creates the SDK's credential.
        auth: the login that `make` uses, one of `target.LOGINS`.
        tenant: the directory, or "" for the login's own.
        deadline: of the run; limits each request.
    """

    def __init__(self, make: Callable[[], Any], auth: str, tenant: str, deadline: Deadline) -> None:
        self._make = make
        self._credential = make()
        self._auth = auth
        self._tenant = tenant
        self._deadline = deadline
        self._tokens: dict[tuple[str, ...], AccessToken] = {}
        self._locks: defaultdict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._replaced: list[Any] = []
        self._fetched = clock.monotonic()

    def renew(self, sent: float) -> None:
        """Discard the tokens after one was refused, unless they were renewed since the refused call was sent.

        A token may be revoked, or expire while the machine sleeps. The SDK's credentials keep tokens of their
        own, so the credential is created again; az renews the tokens that it caches.

        Args:
            sent: when the refused call began, by `clock.monotonic`.
        """
        if self._fetched > sent:
            return  # another call has renewed them
        self._fetched = clock.monotonic()
        self._tokens.clear()
        self._replaced.append(self._credential)  # a call may be using it
        self._credential = self._make()

    async def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **options: Any
    ) -> AccessToken:
        """See `azure.core.credentials_async.AsyncTokenCredential`; a demand for more claims is passed
        through.

        Raises:
            NoToken: the login was refused, or not answered.
        """
        async with self._locks[scopes]:
            kept = self._tokens.get(scopes)
            if kept is not None and not claims and kept.expires_on - clock.time() > _TOKEN_MARGIN_SECONDS:
                return kept
            tenant = tenant_id or self._tenant
            more = {**({"claims": claims} if claims else {}), **({"tenant_id": tenant} if tenant else {})}
            token = await self._request_token(scopes, {**more, **options})
            self._tokens[scopes] = token
            return token

    async def _request_token(self, scopes: tuple[str, ...], options: Mapping[str, Any]) -> AccessToken:
        from azure.core.exceptions import ClientAuthenticationError

        try:
            async with asyncio.timeout(self._deadline.clip(_SECONDS)):
                answer: Any = await self._credential.get_token(*scopes, **options)
        except TimeoutError:
            raise self._no_token(TimeoutError("there was no answer in time")) from None
        except ClientAuthenticationError as error:
            raise self._no_token(error) from None
        except (AttributeError, TypeError, ValueError, LookupError):
            raise self._no_token(_UNREADABLE) from None
        if not (isinstance(answer.token, str) and isinstance(answer.expires_on, int)):
            raise self._no_token(_UNREADABLE)
        token: AccessToken = answer
        return token

    def _no_token(self, error: Exception) -> NoToken:
        return NoToken(login_error(error, auth=self._auth, tenant=self._tenant))

    async def close(self) -> None:
        for one in (*self._replaced, self._credential):
            await one.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Keep the login open: the clients may be closed before it."""


def make_credential(cloud: AzureCloud, auth: str, tenant: str) -> Any:
    """Create the SDK's credential for one of `target.LOGINS`."""
    from azure.identity import aio

    where = endpoint("PULLKEY_AZURE_AUTHORITY_HOST")
    authority = where.url if where else cloud.authority
    # Discovery asks Microsoft whether it knows the authority, which fails for an endpoint of another host.
    discovery: dict[str, Any] = {"disable_instance_discovery": True} if where else {}
    tenants = [tenant] if tenant else []
    for_tenant: dict[str, Any] = {"additionally_allowed_tenants": tenants}
    of_program = {**for_tenant, "process_timeout": _PROGRAM_SECONDS}
    over_http: dict[str, Any] = {**discovery, **_transport()}
    with _default_authority(authority):
        if auth == "cli":
            return aio.AzureCliCredential(**of_program)
        if auth == "developer-cli":
            return aio.AzureDeveloperCliCredential(**of_program)
        if auth == "powershell":
            return aio.AzurePowerShellCredential(**of_program)
        if auth == "environment":
            return aio.EnvironmentCredential(authority=authority, **over_http, **for_tenant)
        if auth == "workload-identity":
            return aio.WorkloadIdentityCredential(authority=authority, **over_http, **for_tenant)
        if auth == "managed-identity":
            return aio.ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"), **_transport())
        return aio.DefaultAzureCredential(authority=authority, **over_http, **of_program)


def _transport() -> dict[str, Any]:
    """The option of the SDK's credentials for our transport. Service Fabric's managed identity has a
    certificate of its own, which only the SDK's transport accepts.
    """
    from providers.acr.http_transport import LoginTransport

    return {} if os.environ.get("IDENTITY_SERVER_THUMBPRINT") else {"transport": LoginTransport()}


@contextlib.contextmanager
def _default_authority(authority: str) -> Iterator[None]:
    """Set AZURE_AUTHORITY_HOST: `DefaultAzureCredential` passes its `authority` to some of its members
    only, and the others read the variable when they are created.
    """
    before = os.environ.get("AZURE_AUTHORITY_HOST")
    os.environ["AZURE_AUTHORITY_HOST"] = authority
    try:
        yield
    finally:
        if before is None:
            del os.environ["AZURE_AUTHORITY_HOST"]
        else:
            os.environ["AZURE_AUTHORITY_HOST"] = before
