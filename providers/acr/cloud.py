"""Azure's Resource Manager, as far as this provider calls it.

Every call is traced; its errors become `AzureApiError`. Of Azure's SDKs, only this module and `graph` know.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from bootstrap.model import clock
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from bootstrap.model.text import one_line
from bootstrap.plugin.cache import AsyncOnce
from providers.acr import token_claims as claims
from providers.acr.arm_objects import Assignment, Registry, as_assignment, as_registry
from providers.acr.arm_pipeline import no_web_page, plaintext_on_loopback, reads_only, sends_once
from providers.acr.cache import Facts
from providers.acr.errors import AzureApiError, NoLogin, retry_after, traced
from providers.acr.login import CLOUDS, Login, make_credential
from providers.acr.login_errors import login_error
from providers.acr.registry_login import AUDIENCE, log_in
from providers.acr.sdk_imports import import_clients, import_login, imported

if TYPE_CHECKING:
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.mgmt.authorization.v2022_04_01.aio import AuthorizationManagementClient
    from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient

    from providers.acr.graph import Graph

T = TypeVar("T")
_READ_SECONDS = 30
_LOG_IN_SECONDS = 10.0
_CALL_SECONDS = 120.0
_SEARCHES_AT_ONCE = 16


class Azure:
    """The calls, as the person whom the login is of.

    Args:
        cloud: a key of `CLOUDS`.
        auth: one of `target.LOGINS`.
        tenant: the directory, or "" for the login's own.
        trace: takes one line per call, without secrets.
        deadline: of the run; no call is waited for much longer.
    """

    graph: Graph

    def __init__(
        self, cloud: str, auth: str, tenant: str, trace: Callable[[str], None], deadline: Deadline
    ) -> None:
        self._deadline = deadline
        self._cloud = CLOUDS[cloud]
        # Whom a token is for does not change with the address at which the API is reached.
        self._scope = self._cloud.resource_manager_scope
        self._auth = auth
        self._tenant = tenant
        self._trace = trace
        self._login: Login | None = None
        self._transport: AioHttpTransport | None = None
        self._facts = Facts()
        self._room = asyncio.Semaphore(_SEARCHES_AT_ONCE)
        self._opened = AsyncOnce(self._open)
        self._importing = AsyncOnce(lambda: imported(import_clients))
        self._managing = AsyncOnce(self._manage)
        self._in_directory = AsyncOnce(self._enter_directory)
        self.clock_ahead: float | None = None
        self.manager_claims: Mapping[str, Any] = {}
        self.graph_claims: Mapping[str, Any] = {}

    # -- logging in ------------------------------------------------------------------------------------------

    async def connect(self) -> str:
        """Find the login, for Resource Manager only; return as whom.

        Raises:
            UsageProblem: Azure's libraries are not installed.
            NoLogin: there is no login, or it has ended.
        """
        await self._managing()
        return claims.person(self.manager_claims)

    async def connect_to_directory(self) -> str:
        """As `connect`, and the directory too, which not everybody has a login for."""
        await asyncio.gather(self._managing(), self._in_directory())
        return claims.person({**self.graph_claims, **self.manager_claims})

    async def _open(self) -> Login:
        await imported(import_login)
        manager = endpoint("PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT")
        self._manager = manager.url if manager else self._cloud.resource_manager
        with self._needs_login():
            self._login = Login(
                lambda: make_credential(self._cloud, self._auth, self._tenant), self._tenant, self._deadline
            )
        self._transport = sends_once()
        return self._login

    async def _manage(self) -> None:
        self.manager_claims = await self._claims(self._scope)

    async def _enter_directory(self) -> None:
        scope = f"{self._cloud.graph}/.default"
        self.graph_claims = await self._claims(scope, enable_cae=True)
        from providers.acr.graph import Graph

        graph = endpoint("PULLKEY_AZURE_GRAPH_ENDPOINT")
        url = graph.url if graph else self._cloud.graph
        self.graph = Graph(await self._opened(), url, scope, self._trace, self._deadline)

    async def _claims(self, scope: str, **options: Any) -> Mapping[str, Any]:
        """What a token says of its owner. While it is waited for, the clients that are to use it are
        imported.
        """
        login = await self._opened()
        self._importing.start()
        with self._needs_login():
            token = await login.get_token(scope, **options)
        await self._importing()
        return claims.read(token.token)

    async def registry_login(self, registry: Registry) -> Credential | None:
        """This login as a credential of the registry; None where the registry does not take it.

        Raises:
            AzureError: this login gets no token for registries.
        """
        token = await (await self._opened()).get_token(AUDIENCE)
        tenant = str(self.manager_claims.get("tid") or "")
        return await log_in(
            registry.login_server,
            Secret(token.token),
            tenant,
            trace=self._trace,
            seconds=self._deadline.clip(_LOG_IN_SECONDS),
        )

    @contextlib.contextmanager
    def _needs_login(self) -> Iterator[None]:
        from azure.core.exceptions import AzureError

        try:
            yield
        except (AzureError, ValueError, OSError) as error:
            found = login_error(error, auth=self._auth, tenant=self._tenant)
            raise NoLogin(found.what, fix=found.fix) from None

    def invalidate(self) -> None:
        """Whoever asks from now on asks anew."""
        self._facts.invalidate()
        if hasattr(self, "graph"):
            self.graph.invalidate()

    def invalidate_state(self) -> None:
        """As `bootstrap.plugin.context.Shared.invalidate_state`; all of it is in the directory."""
        if hasattr(self, "graph"):
            self.graph.invalidate_state()

    async def close(self) -> None:
        """Give back every connection."""
        if self._transport is not None:
            await self._transport.close()
        if hasattr(self, "graph"):
            await self.graph.close()
        if self._login is not None:
            await self._login.close()

    # -- Resource Manager ------------------------------------------------------------------------------------

    def _options(self) -> dict[str, Any]:
        return {
            "base_url": self._manager,
            "credential_scopes": [self._scope],
            "transport": self._transport,
            "per_call_policies": [
                no_web_page(),
                *([plaintext_on_loopback()] if self._manager.startswith("http:") else []),
            ],
            "retry_policy": reads_only(self._deadline),
            "connection_timeout": 10,
            "read_timeout": _READ_SECONDS,
        }

    def registries_client(self, subscription: str) -> ContainerRegistryManagementClient:
        from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient

        return ContainerRegistryManagementClient(self._credentials, subscription, **self._options())

    def _authorization(self, subscription: str) -> AuthorizationManagementClient:
        # The version is named, for the package's choice of "latest" is by date of release.
        from azure.mgmt.authorization.v2022_04_01.aio import AuthorizationManagementClient

        return AuthorizationManagementClient(self._credentials, subscription, **self._options())

    @property
    def _credentials(self) -> Any:
        return self._login

    async def call(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call; with a new token once more where the token was refused (401 is answered before
        anything is done).
        """
        sent = clock.monotonic()
        try:
            return await self._call_once(method, resource, call)
        except AzureApiError as error:
            if not error.unauthenticated or error.without_token or self._login is None:
                raise
            self._login.renew(sent)
        return await self._call_once(method, resource, call)

    async def _call_once(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        async def translated() -> T:
            from azure.core.exceptions import AzureError, DecodeError, HttpResponseError

            try:
                async with asyncio.timeout(self._deadline.clip(_CALL_SECONDS)):
                    return await call()
            except TimeoutError:
                raise AzureApiError(0, "", "there was no answer in time") from None
            except (DecodeError, ValueError, AttributeError, TypeError, LookupError):
                # It was answered, and nobody knows what.
                raise AzureApiError(0, "", "its answer cannot be read") from None
            except HttpResponseError as error:
                raise _call_refused(error) from None
            except AzureError as error:
                # No connection, or none that held until the answer came.
                raise AzureApiError(0, "", type(error).__name__) from None

        return await traced(self._trace, method, resource, translated)

    async def subscriptions(self) -> dict[str, str]:
        """The names of the subscriptions that this login sees, by id."""
        return await self._facts.get("subscriptions", self._subscriptions)

    async def _subscriptions(self) -> dict[str, str]:
        from azure.core.rest import HttpRequest

        async def pages() -> dict[str, str]:
            # Its own SDK would be another dependency, for one read.
            client = self.registries_client("-")
            found: dict[str, str] = {}
            url = "/subscriptions?api-version=2022-12-01"
            while url:
                begin = clock.time()
                response = await client.send_request(HttpRequest("GET", url))
                response.raise_for_status()
                self.clock_ahead = _ahead(response.headers.get("Date", ""), begin, clock.time())
                body = response.json()
                found |= {one["subscriptionId"]: one.get("displayName", "") for one in body["value"]}
                url = body.get("nextLink") or ""
            return found

        return await self.call("ListSubscriptions", "/subscriptions", pages)

    async def registries(self, subscription: str) -> list[Registry]:
        async def listed() -> list[Registry]:
            async with self._room:
                return [
                    as_registry(one) async for one in self.registries_client(subscription).registries.list()
                ]

        return await self._facts.get(
            ("registries", subscription.lower()),
            lambda: self.call("ListRegistries", f"/subscriptions/{subscription}", listed),
        )

    async def registries_of(self, subscriptions: list[str]) -> list[list[Registry] | AzureApiError]:
        """The registries of each, searched side by side; a subscription that refuses stops no other."""

        async def search(subscription: str) -> list[Registry] | AzureApiError:
            try:
                return await self.registries(subscription)
            except AzureApiError as error:
                return error

        return await asyncio.gather(*map(search, subscriptions))

    async def registry(self, subscription: str, group: str, name: str) -> Registry:
        resource = f"/subscriptions/{subscription}/resourceGroups/{group}/{name}".lower()

        async def got() -> Registry:
            return as_registry(await self.registries_client(subscription).registries.get(group, name))

        return await self._facts.get(resource, lambda: self.call("GetRegistry", resource, got))

    async def allowed_actions(self, registry: Registry) -> list[tuple[list[str], list[str]]]:
        """For each role that the caller has on the registry: its actions, and those taken away again."""

        async def listed() -> list[tuple[list[str], list[str]]]:
            held = self._authorization(registry.subscription).permissions.list_for_resource(
                registry.resource_group, "Microsoft.ContainerRegistry", "", "registries", registry.name
            )
            return [(list(one.actions or ()), list(one.not_actions or ())) async for one in held]

        return await self._facts.get(
            ("allowed", registry.id.lower()), lambda: self.call("ListPermissions", registry.id, listed)
        )

    async def assignments(self, registry: Registry, principal: str) -> list[Assignment]:
        """The roles of a service principal on the registry, those of its groups and of wider scopes
        included.
        """

        async def listed() -> list[Assignment]:
            found = self._authorization(registry.subscription).role_assignments.list_for_scope(
                registry.id, filter=f"atScope() and assignedTo('{principal}')"
            )
            return [as_assignment(one) async for one in found]

        return await self.call("ListRoleAssignments", registry.id, listed)

    async def assignments_in(self, subscription: str, principal: str) -> list[Assignment]:
        """Every role of a service principal in a subscription, on whatever is in it."""

        async def listed() -> list[Assignment]:
            async with self._room:
                found = self._authorization(subscription).role_assignments.list_for_subscription(
                    filter=f"principalId eq '{principal}'"
                )
                return [as_assignment(one) async for one in found]

        return await self.call("ListRoleAssignments", f"/subscriptions/{subscription}", listed)

    async def assignment(self, scope: str, name: str) -> Assignment | None:
        """The role assignment of that name, or None."""

        async def got() -> Assignment:
            return as_assignment(
                await self._authorization(_subscription(scope)).role_assignments.get(scope, name)
            )

        try:
            return await self.call("GetRoleAssignment", f"{scope} {name}", got)
        except AzureApiError as error:
            if error.missing:
                return None
            raise

    async def assign(self, scope: str, name: str, role: str, principal: str, description: str) -> Assignment:
        """Grant the role; the same name again changes nothing but the description. The answer is the same
        either way.
        """
        from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters

        subscription = _subscription(scope)
        definition = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        body = RoleAssignmentCreateParameters(
            role_definition_id=definition,
            principal_id=principal,
            # A principal that was just made may not have reached Resource Manager; so it need not look for
            # its type.
            principal_type="ServicePrincipal",
            description=description,
        )

        async def put() -> Assignment:
            return as_assignment(
                await self._authorization(subscription).role_assignments.create(scope, name, body)
            )

        return await self.call("PutRoleAssignment", f"{scope} {name}", put)

    async def unassign(self, scope: str, name: str) -> bool:
        """Take the role assignment of that name away; False if there was none."""

        async def delete() -> bool:
            client = self._authorization(_subscription(scope))
            return await client.role_assignments.delete(scope, name) is not None

        return await self.call("DeleteRoleAssignment", f"{scope} {name}", delete)


def _call_refused(error: Any) -> AzureApiError:
    told = getattr(error, "error", None)
    code, message = getattr(told, "code", None), getattr(told, "message", None)
    # Without a response it is the login that has failed (ClientAuthenticationError).
    status = error.status_code or (401 if error.response is None else 0)
    wait = retry_after(error.response.headers) if error.response is not None else None
    return AzureApiError(
        status,
        code or "",
        message or one_line(str(error.reason or error.message)),
        wait,
        without_token=error.response is None,
    )


def _ahead(date: str, begin: float, end: float) -> float | None:
    """By how many seconds this machine's clock is ahead of the one that wrote a `Date` header."""
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return (begin + end) / 2 - theirs


def _subscription(scope: str) -> str:
    return scope.split("/")[2]
