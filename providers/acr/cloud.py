"""The calls of Azure's Resource Manager that this provider needs.

Every call is traced; its errors become `AzureApiError`. Only this module, `tokens`, `assignments` and the
`graph` modules call Azure's SDKs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from bootstrap.model import clock
from bootstrap.model.api_times import time_in_header
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from bootstrap.model.text import one_line
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.http import not_connected
from providers.acr import token_claims as claims
from providers.acr.arm_objects import Registry, as_registry
from providers.acr.arm_pipeline import no_web_page, plaintext_on_loopback, reads_only
from providers.acr.cache import Facts
from providers.acr.errors import AzureApiError, NoLogin, NoToken, is_transient, retry_after, traced
from providers.acr.login import CLOUDS, Login, make_credential
from providers.acr.login_errors import login_error
from providers.acr.registry_login import AUDIENCE, log_in
from providers.acr.sdk_imports import import_clients, import_login, imported

if TYPE_CHECKING:
    from azure.mgmt.authorization.v2022_04_01.aio import AuthorizationManagementClient
    from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient

    from providers.acr.graph import Graph
    from providers.acr.http_transport import HttpxTransport

T = TypeVar("T")
_LOG_IN_SECONDS = 10.0
_CALL_SECONDS = 120.0
_SEARCHES_AT_ONCE = 16


class Azure:
    """The calls, with the user's login.

    Args:
        cloud: a key of `CLOUDS`.
        auth: one of `target.LOGINS`.
        tenant: the directory, or "" for the login's own.
        trace: takes one line per call, without secrets.
        deadline: of the run; limits each call.
    """

    graph: Graph

    def __init__(
        self, cloud: str, auth: str, tenant: str, trace: Callable[[str], None], deadline: Deadline
    ) -> None:
        self._deadline = deadline
        self._cloud = CLOUDS[cloud]
        # The scope of a token does not depend on the address at which the API is reached.
        self._scope = self._cloud.resource_manager_scope
        self._auth = auth
        self._tenant = tenant
        self._trace = trace
        self._login: Login | None = None
        self._transport: HttpxTransport | None = None
        self._facts = Facts(deadline)
        self.searches = asyncio.Semaphore(_SEARCHES_AT_ONCE)
        self._logged_in = AsyncOnce(self._open, deadline=deadline)
        self._importing = AsyncOnce(lambda: imported(import_clients))
        self._managing = AsyncOnce(self._manage, is_transient, deadline=deadline)
        self._in_directory = AsyncOnce(self._enter_directory, is_transient, deadline=deadline)
        self.clock_ahead: float | None = None
        self.manager_claims: Mapping[str, Any] = {}
        self.graph_claims: Mapping[str, Any] = {}

    # -- logging in ------------------------------------------------------------------------------------------

    async def connect(self) -> str:
        """Log in to Resource Manager; return the user's name.

        Raises:
            UsageProblem: Azure's libraries are not installed.
            NoLogin: there is no login, or it has expired.
        """
        await self._managing()
        return claims.user_of(self.manager_claims)

    async def connect_to_directory(self) -> str:
        """Log in to Resource Manager and to the directory, which not every login may use."""
        await asyncio.gather(self._managing(), self._in_directory())
        return claims.user_of({**self.graph_claims, **self.manager_claims})

    async def _open(self) -> Login:
        await imported(import_login)
        manager = endpoint("PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT")
        self._manager = manager.url if manager else self._cloud.resource_manager
        with self._as_no_login():
            self._login = Login(
                lambda: make_credential(self._cloud, self._auth, self._tenant),
                self._auth,
                self._tenant,
                self._deadline,
            )
        from providers.acr.http_transport import HttpxTransport

        self._transport = HttpxTransport()
        return self._login

    async def _manage(self) -> None:
        self.manager_claims = await self._claims(self._scope)

    async def _enter_directory(self) -> None:
        scope = f"{self._cloud.graph}/.default"
        self.graph_claims = await self._claims(scope, enable_cae=True)
        from providers.acr.graph import Graph

        graph = endpoint("PULLKEY_AZURE_GRAPH_ENDPOINT")
        url = graph.url if graph else self._cloud.graph
        self.graph = Graph(await self._logged_in(), url, scope, self._trace, self._deadline)

    async def _claims(self, scope: str, **options: Any) -> Mapping[str, Any]:
        """Return the claims of a new token. Import the clients that will use it meanwhile."""
        login = await self._logged_in()
        self._importing.start()
        with self._as_no_login():
            token = await login.get_token(scope, **options)
        await self._importing()
        return claims.read(token.token)

    async def registry_login(self, registry: Registry) -> Credential | None:
        """Exchange this login for a credential of the registry; None if the registry does not accept it.

        Raises:
            AzureApiError: this login gets no token for registries.
        """
        token = await (await self._logged_in()).get_token(AUDIENCE)
        tenant = str(self.manager_claims.get("tid") or "")
        return await log_in(
            registry.login_server,
            Secret(token.token),
            tenant,
            trace=self._trace,
            seconds=self._deadline.clip(_LOG_IN_SECONDS),
        )

    @contextlib.contextmanager
    def _as_no_login(self) -> Iterator[None]:
        from azure.core.exceptions import AzureError

        try:
            yield
        except NoToken as error:
            raise NoLogin(error.found) from None
        except (AzureError, ValueError, OSError) as error:
            raise NoLogin(login_error(error, auth=self._auth, tenant=self._tenant)) from None

    def invalidate(self) -> None:
        """Discard all cached answers."""
        self._facts.invalidate()
        if hasattr(self, "graph"):
            self.graph.invalidate()

    def invalidate_state(self) -> None:
        """See `bootstrap.plugin.context.Shared.invalidate_state`; all such state is in the directory."""
        if hasattr(self, "graph"):
            self.graph.invalidate_state()

    async def close(self) -> None:
        """Close every connection."""
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
        }

    def registries_client(self, subscription: str) -> ContainerRegistryManagementClient:
        from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient

        return ContainerRegistryManagementClient(self._credentials, subscription, **self._options())

    def authorization_client(self, subscription: str) -> AuthorizationManagementClient:
        # The version is explicit, because the package's choice of "latest" is by date of release.
        from azure.mgmt.authorization.v2022_04_01.aio import AuthorizationManagementClient

        return AuthorizationManagementClient(self._credentials, subscription, **self._options())

    @property
    def _credentials(self) -> Any:
        return self._login

    async def call(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call; repeat it once with a new token after 401, which is answered before any change, or to
        a read of what became of an accepted one.
        """
        sent = clock.monotonic()
        try:
            return await self._call_once(method, resource, call)
        except AzureApiError as error:
            if not error.unauthenticated or isinstance(error, NoToken) or self._login is None:
                raise
            accepted = error.accepted
            self._login.renew(sent)
        try:
            return await self._call_once(method, resource, call)
        except AzureApiError as error:
            error.accepted |= accepted
            raise

    async def _call_once(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        async def translated() -> T:
            from azure.core.exceptions import AzureError, DecodeError, HttpResponseError

            try:
                async with asyncio.timeout(self._deadline.clip(_CALL_SECONDS)):
                    return await call()
            except TimeoutError:
                raise AzureApiError(0, "", "there was no answer in time") from None
            except (DecodeError, ValueError, AttributeError, TypeError, LookupError):
                # There was an answer, which cannot be read.
                raise AzureApiError(0, "", "its answer cannot be read") from None
            except HttpResponseError as error:
                raise call_refused(error) from None
            except AzureError as error:
                # The connection failed, or was lost before the answer.
                raise not_connected(AzureApiError(0, "", type(error).__name__), error, to="Azure") from None

        return await traced(self._trace, method, resource, translated)

    async def subscriptions(self) -> dict[str, str]:
        """The names of the subscriptions that this login sees, by id."""
        return await self._facts.get("subscriptions", self._subscriptions)

    async def _subscriptions(self) -> dict[str, str]:
        from azure.core.rest import HttpRequest

        async def pages() -> dict[str, str]:
            # Azure's SDK for subscriptions would be another dependency, for one read.
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
            async with self.searches:
                return [
                    as_registry(one) async for one in self.registries_client(subscription).registries.list()
                ]

        return await self._facts.get(
            ("registries", subscription.lower()),
            lambda: self.call("ListRegistries", f"/subscriptions/{subscription}", listed),
        )

    async def registries_of(self, subscriptions: list[str]) -> list[list[Registry] | AzureApiError]:
        """List the registries of each subscription concurrently; an error in one does not stop the others."""

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

    async def name_is_free(self, name: str) -> bool:
        """Whether no registry of this Azure cloud has the name, whoever may see it; false if that may not be
        asked.
        """

        async def asked(subscription: str) -> bool:
            from azure.mgmt.containerregistry.models import RegistryNameCheckRequest

            body = RegistryNameCheckRequest(name=name, type="Microsoft.ContainerRegistry/registries")
            found = await self.registries_client(subscription).registries.check_name_availability(body)
            return found.name_available is True

        async def ask() -> bool:
            for subscription in await self.subscriptions():
                with contextlib.suppress(AzureApiError):
                    return await self.call("CheckNameAvailability", name, partial(asked, subscription))
            return False

        return await self._facts.get(("free", name.lower()), ask)

    async def allowed_actions(self, registry: Registry) -> list[tuple[list[str], list[str]]]:
        """For each role that the caller has on the registry: its `actions` and `notActions`."""

        async def listed() -> list[tuple[list[str], list[str]]]:
            held = self.authorization_client(registry.subscription).permissions.list_for_resource(
                registry.resource_group, "Microsoft.ContainerRegistry", "", "registries", registry.name
            )
            return [(list(one.actions or ()), list(one.not_actions or ())) async for one in held]

        return await self._facts.get(
            ("allowed", registry.id.lower()), lambda: self.call("ListPermissions", registry.id, listed)
        )


def call_refused(error: Any) -> AzureApiError:
    """The SDK's error as ours."""
    details = getattr(error, "error", None)
    code, message = getattr(details, "code", None), getattr(details, "message", None)
    wait = retry_after(error.response.headers) if error.response is not None else None
    status, found = error.status_code or 0, error.reason or error.message
    # The SDK raises a change that Azure has accepted, and then ended as failed, with the good status of the
    # answer that says so.
    accepted = 200 <= status < 300
    if accepted and (inner := error.inner_exception) is not None:
        code, found = code or type(inner).__name__, inner
    refusal = AzureApiError(status, code or "", message or one_line(str(found)), wait)
    refusal.accepted = accepted
    return refusal


def _ahead(date: str, begin: float, end: float) -> float | None:
    """Seconds by which this machine's clock is ahead of the one that wrote a `Date` header."""
    theirs = time_in_header(date)
    return (begin + end) / 2 - theirs.timestamp() if theirs is not None else None
