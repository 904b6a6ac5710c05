"""Azure's login and Resource Manager, as far as this provider calls them.

Every call is traced; its errors become `CallRefused`. Of Azure's SDKs, only this module and `graph` know.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from bootstrap.errors import UsageProblem
from bootstrap.settings import endpoint
from bootstrap.words import one_line
from providers.acr import claims
from providers.acr.calls import INSTALL, CallRefused, NoLogin, traced

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.mgmt.authorization.v2022_04_01.aio import AuthorizationManagementClient
    from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient

    from providers.acr.graph import Graph

T = TypeVar("T")
_READ_SECONDS = 30
_RETRIES = 3
_SEARCHES_AT_ONCE = 16
_TOKEN_MARGIN_SECONDS = 300
_RESOURCE_ID = re.compile(r"^/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True)
class AzureCloud:
    """Where one of Azure's clouds is: `azure.mgmt.core.tools.get_arm_endpoints`, `azure.identity.AzureAuthorityHosts`,
    and Graph's "National cloud deployments".
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


@dataclass(frozen=True)
class Registry:
    """What Resource Manager says of a registry."""

    id: str
    name: str
    login_server: str
    abac: bool
    public_network: bool
    firewall_denies: bool
    firewall_exceptions: bool
    anonymous_pull: bool

    @property
    def subscription(self) -> str:
        match = _RESOURCE_ID.match(self.id)
        return match["subscription"] if match else ""

    @property
    def resource_group(self) -> str:
        match = _RESOURCE_ID.match(self.id)
        return match["group"] if match else ""


@dataclass(frozen=True)
class Assignment:
    """Who has which role where; `role` is the GUID of its definition."""

    role: str
    scope: str


class Login:
    """A credential that asks each token of the SDK's own once, whoever of the clients needs it.

    The SDK's clients keep a token each, and `az` is a program that takes half a second to answer.
    """

    def __init__(self, credential: Any, tenant: str) -> None:
        self._credential = credential
        self._tenant = tenant
        self._tokens: dict[tuple[str, ...], AccessToken] = {}
        self._lock = asyncio.Lock()

    async def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **options: Any
    ) -> AccessToken:
        """As `azure.core.credentials_async.AsyncTokenCredential`; a demand for more claims is passed through."""
        async with self._lock:
            kept = self._tokens.get(scopes)
            if kept is not None and not claims and kept.expires_on - time.time() > _TOKEN_MARGIN_SECONDS:
                return kept
            tenant = tenant_id or self._tenant
            more = {**({"claims": claims} if claims else {}), **({"tenant_id": tenant} if tenant else {})}
            token: AccessToken = await self._credential.get_token(*scopes, **more, **options)
            self._tokens[scopes] = token
            return token

    async def close(self) -> None:
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """The clients may be closed before the login."""


class Azure:
    """The calls, as the person whom the login is of.

    Args:
        cloud: a key of `CLOUDS`.
        auth: one of `target.LOGINS`.
        tenant: the directory, or "" for the login's own.
        trace: takes one line per call, without secrets.
    """

    graph: Graph

    def __init__(self, cloud: str, auth: str, tenant: str, trace: Callable[[str], None]) -> None:
        self._cloud = CLOUDS[cloud]
        self._auth = auth
        self._tenant = tenant
        self._trace = trace
        self._login: Login | None = None
        self._transport: AioHttpTransport | None = None
        self.graph_claims: Mapping[str, Any] = {}

    # -- logging in ----------------------------------------------------------------------------------------------

    async def connect(self) -> str:
        """Find the login; return as whom.

        Raises:
            UsageProblem: Azure's libraries are not installed.
            NoLogin: there is no login, or it has ended.
        """
        try:
            # They take a second to import, in which others may go on.
            await asyncio.to_thread(_import_sdks)
        except ImportError as error:
            raise UsageProblem(
                f"Azure's libraries are not installed ({error.name})", mend=f"Install them: {INSTALL}"
            ) from None
        from azure.core.exceptions import AzureError
        from azure.core.pipeline.transport import AioHttpTransport

        from providers.acr.graph import Graph

        # Whom a token is for does not change with the address at which the API is reached.
        scope = self._cloud.resource_manager_scope
        manager = endpoint("PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT")
        self._manager = manager.url if manager else self._cloud.resource_manager
        graph = endpoint("PULLKEY_AZURE_GRAPH_ENDPOINT")
        graph_url = graph.url if graph else self._cloud.graph
        try:
            self._login = Login(self._credential(), self._tenant)
            self._scope = scope
            self._transport = AioHttpTransport()
            self.graph = Graph(self._login, graph_url, f"{self._cloud.graph}/.default", self._trace)
            manager_token, graph_token = await asyncio.gather(
                self._login.get_token(scope),
                self._login.get_token(self.graph.scope, enable_cae=True),
            )
        except (AzureError, ValueError, OSError) as error:
            raise NoLogin(
                f"There is no usable Azure login ({_reason(error)})",
                mend=f"Run: az login{f' --tenant {self._tenant}' if self._tenant else ''} (in CI: set up workload identity federation)",
            ) from None
        self.graph_claims = claims.read(graph_token.token)
        return claims.person({**self.graph_claims, **claims.read(manager_token.token)})

    def _credential(self) -> Any:
        from azure.identity import aio

        where = endpoint("PULLKEY_AZURE_AUTHORITY_HOST")
        authority = where.url if where else self._cloud.authority
        # Discovery asks Microsoft whether it knows the authority, which it does not where that is somewhere else.
        discovery: dict[str, Any] = {"disable_instance_discovery": True} if where else {}
        tenants = [self._tenant] if self._tenant else []
        for_tenant: dict[str, Any] = {"additionally_allowed_tenants": tenants}
        with _default_authority(authority):
            if self._auth == "cli":
                return aio.AzureCliCredential(**for_tenant)
            if self._auth == "developer-cli":
                return aio.AzureDeveloperCliCredential(**for_tenant)
            if self._auth == "powershell":
                return aio.AzurePowerShellCredential(**for_tenant)
            if self._auth == "environment":
                return aio.EnvironmentCredential(authority=authority, **discovery, **for_tenant)
            if self._auth == "workload-identity":
                return aio.WorkloadIdentityCredential(authority=authority, **discovery, **for_tenant)
            if self._auth == "managed-identity":
                return aio.ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"))
            return aio.DefaultAzureCredential(authority=authority, **discovery, **for_tenant)

    async def close(self) -> None:
        """Give back every connection."""
        if self._transport is not None:
            await self._transport.close()
            await self.graph.close()
        if self._login is not None:
            await self._login.close()

    # -- Resource Manager ----------------------------------------------------------------------------------------

    def _options(self) -> dict[str, Any]:
        return {
            "base_url": self._manager,
            "credential_scopes": [self._scope],
            "transport": self._transport,
            "per_call_policies": [_plaintext_on_loopback()] if self._manager.startswith("http:") else [],
            "retry_total": _RETRIES,
            "connection_timeout": 10,
            "read_timeout": _READ_SECONDS,
        }

    def _registries(self, subscription: str) -> ContainerRegistryManagementClient:
        from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient

        return ContainerRegistryManagementClient(self._credentials, subscription, **self._options())

    def _authorization(self, subscription: str) -> AuthorizationManagementClient:
        # The version is named, for the package's choice of "latest" is by date of release.
        from azure.mgmt.authorization.v2022_04_01.aio import AuthorizationManagementClient

        return AuthorizationManagementClient(self._credentials, subscription, **self._options())

    @property
    def _credentials(self) -> Any:
        return self._login

    async def _call(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        async def translated() -> T:
            from azure.core.exceptions import AzureError, HttpResponseError

            try:
                return await call()
            except HttpResponseError as error:
                raise _call_refused(error) from None
            except AzureError as error:
                # No connection, or none that held until the answer came.
                raise CallRefused(0, "", type(error).__name__) from None

        return await traced(self._trace, method, resource, translated)

    async def subscriptions(self) -> dict[str, str]:
        """The names of the subscriptions that this login sees, by id."""
        from azure.core.rest import HttpRequest

        async def pages() -> dict[str, str]:
            # Its own SDK would be another dependency, for one read.
            client = self._registries("-")
            found: dict[str, str] = {}
            url = "/subscriptions?api-version=2022-12-01"
            while url:
                response = await client.send_request(HttpRequest("GET", url))
                response.raise_for_status()
                body = response.json()
                found |= {one["subscriptionId"]: one.get("displayName", "") for one in body["value"]}
                url = body.get("nextLink") or ""
            return found

        return await self._call("ListSubscriptions", "/subscriptions", pages)

    async def registries(self, subscription: str) -> list[Registry]:
        async def listed() -> list[Registry]:
            return [_registry(one) async for one in self._registries(subscription).registries.list()]

        return await self._call("ListRegistries", f"/subscriptions/{subscription}", listed)

    async def registries_of(self, subscriptions: list[str]) -> list[list[Registry] | CallRefused]:
        """The registries of each, searched side by side; a subscription that refuses stops no other."""
        room = asyncio.Semaphore(_SEARCHES_AT_ONCE)

        async def search(subscription: str) -> list[Registry] | CallRefused:
            async with room:
                try:
                    return await self.registries(subscription)
                except CallRefused as error:
                    return error

        return await asyncio.gather(*map(search, subscriptions))

    async def registry(self, subscription: str, group: str, name: str) -> Registry:
        return _registry(
            await self._call(
                "GetRegistry",
                f"/subscriptions/{subscription}/resourceGroups/{group}/{name}",
                lambda: self._registries(subscription).registries.get(group, name),
            )
        )

    async def allowed_actions(self, registry: Registry) -> list[tuple[list[str], list[str]]]:
        """For each role that the caller has on the registry: its actions, and those taken away again."""

        async def listed() -> list[tuple[list[str], list[str]]]:
            held = self._authorization(registry.subscription).permissions.list_for_resource(
                registry.resource_group, "Microsoft.ContainerRegistry", "", "registries", registry.name
            )
            return [(list(one.actions or ()), list(one.not_actions or ())) async for one in held]

        return await self._call("ListPermissions", registry.id, listed)

    async def assignments(self, registry: Registry, principal: str) -> list[Assignment]:
        """The roles of a service principal on the registry, those of its groups and of wider scopes included."""

        async def listed() -> list[Assignment]:
            found = self._authorization(registry.subscription).role_assignments.list_for_scope(
                registry.id, filter=f"atScope() and assignedTo('{principal}')"
            )
            return [
                Assignment(str(one.role_definition_id).rpartition("/")[2].lower(), str(one.scope))
                async for one in found
            ]

        return await self._call("ListRoleAssignments", registry.id, listed)

    async def assign(self, scope: str, name: str, role: str, principal: str) -> bool:
        """Give the role; the same name again changes nothing. True if it was not there yet."""
        from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters

        subscription = _subscription(scope)
        definition = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        body = RoleAssignmentCreateParameters(
            role_definition_id=definition,
            principal_id=principal,
            # A principal that was just made may not have reached Resource Manager; so it need not look for its type.
            principal_type="ServicePrincipal",
        )

        async def put() -> bool:
            status = await self._authorization(subscription).role_assignments.create(
                scope, name, body, cls=lambda response, _model, _headers: response.http_response.status_code
            )
            return bool(status == 201)

        return await self._call("PutRoleAssignment", f"{scope} {name}", put)

    async def unassign(self, scope: str, name: str) -> bool:
        """Take the role assignment of that name away; False if there was none."""

        async def delete() -> bool:
            client = self._authorization(_subscription(scope))
            return await client.role_assignments.delete(scope, name) is not None

        return await self._call("DeleteRoleAssignment", f"{scope} {name}", delete)


def _import_sdks() -> None:
    import azure.core.pipeline.transport
    import azure.identity.aio
    import azure.mgmt.authorization.v2022_04_01.aio
    import azure.mgmt.containerregistry.aio  # noqa: F401
    import msgraph  # noqa: F401


@contextlib.contextmanager
def _default_authority(authority: str) -> Iterator[None]:
    """`DefaultAzureCredential` hands its `authority` to some of its members only; the others read this when made."""
    before = os.environ.get("AZURE_AUTHORITY_HOST")
    os.environ["AZURE_AUTHORITY_HOST"] = authority
    try:
        yield
    finally:
        if before is None:
            del os.environ["AZURE_AUTHORITY_HOST"]
        else:
            os.environ["AZURE_AUTHORITY_HOST"] = before


def _plaintext_on_loopback() -> Any:
    """The SDK sends no token over http unless each call says so; `settings.endpoint` has seen to it that it is loopback."""
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class Plaintext(SansIOHTTPPolicy[Any, Any]):
        def on_request(self, request: Any) -> None:
            request.context.options["enforce_https"] = False

    return Plaintext()


def _call_refused(error: Any) -> CallRefused:
    told = getattr(error, "error", None)
    code, message = getattr(told, "code", None), getattr(told, "message", None)
    # Without a response it is the login that has failed (ClientAuthenticationError).
    status = error.status_code or (401 if error.response is None else 0)
    return CallRefused(status, code or "", message or one_line(str(error.reason or error.message)))


def _registry(found: Any) -> Registry:
    properties = found.properties
    rules = properties.network_rule_set

    def said(value: Any) -> str:
        return str(getattr(value, "value", value) or "").lower()

    return Registry(
        id=str(found.id),
        name=str(found.name),
        login_server=str(properties.login_server).lower(),
        abac=said(properties.role_assignment_mode) == "abacrepositorypermissions",
        public_network=said(properties.public_network_access) != "disabled",
        firewall_denies=rules is not None and said(rules.default_action) == "deny",
        firewall_exceptions=rules is not None and bool(rules.ip_rules),
        anonymous_pull=bool(properties.anonymous_pull_enabled),
    )


def _subscription(scope: str) -> str:
    return scope.split("/")[2]


def _reason(error: Exception) -> str:
    """The one reason out of a chain's many: each member of it tells at length why it was not the one."""
    text = str(getattr(error, "message", "") or error)
    members = re.findall(r"^\s*(\w+Credential): (.*)$", text, re.MULTILINE)
    # Most only say that they were not set up; what is told of a login that was tried says more.
    telling = [said for _, said in members if "AADSTS" in said] or [
        said for name, said in members if name == "AzureCliCredential"
    ]
    reason = one_line(telling[0] if telling else members[-1][1] if members else text)
    return re.split(r"(?<=[^A-Z.])\. |  *Trace ID", reason)[0].rstrip(".")
