"""Microsoft Graph, as far as this provider calls it: applications, their secrets, service principals, policies.

The SDK stays inside: what goes in and out is our own. Its request builders say what is sent and its adapter sends it,
with narrow models (`graph_models`). Reads are tried again as its own retry does it; a call that changes something is sent
once, and whoever made it judges the answer.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import stamina

from bootstrap.lean import httpx
from bootstrap.plugin import clock
from bootstrap.secret import Secret
from bootstrap.waiting import Deadline, surely
from providers.acr.calls import AzureApiError, is_page, retry_after, traced
from providers.acr.deleted_items import DeletedItems
from providers.acr.facts import Facts

if TYPE_CHECKING:
    from msgraph.generated.models.key_credential import KeyCredential
    from msgraph.generated.models.password_credential import PasswordCredential

    from providers.acr import graph_models
    from providers.acr.login import Login

T = TypeVar("T")
_SECONDS = 60.0
_ANSWER_SECONDS = 5.0  # what is left of them for an answer, after a wait


@dataclass(frozen=True)
class Password:
    """A client secret, without its text: Graph shows that once only."""

    key_id: str
    display_name: str
    created: dt.datetime | None
    ends: dt.datetime | None

    @property
    def expired(self) -> bool:
        return self.ends is not None and self.ends <= clock.now()


@dataclass(frozen=True)
class Application:
    """An application; `object_id` is what it is changed by, `app_id` what it logs in with.

    `certificates` are its `keyCredentials`, which have the same shape as its secrets.
    """

    object_id: str
    app_id: str
    unique_name: str
    display_name: str
    notes: str
    created: dt.datetime | None
    passwords: tuple[Password, ...]
    certificates: tuple[Password, ...] = ()
    disabled: str = ""  # by whom, if it is


@dataclass(frozen=True)
class Principal:
    """The application's service principal in this directory."""

    object_id: str
    enabled: bool
    disabled: str = ""  # why it gets no token, if that is so


@dataclass(frozen=True)
class NewPassword:
    """A client secret that was just made."""

    key_id: str
    text: Secret
    ends: dt.datetime


@dataclass(frozen=True)
class PasswordPolicy:
    """What the directory allows of client secrets; rules hold for applications made after a day, `None` for all."""

    forbidden: bool = False
    forbidden_after: dt.datetime | None = None
    longest: dt.timedelta | None = None
    longest_after: dt.datetime | None = None

    def forbids(self, created: dt.datetime | None) -> bool:
        """Whether an application of that day (`None`: one yet to be made) may have no secret."""
        return self.forbidden and _since(created, self.forbidden_after)

    def limit(self, created: dt.datetime | None) -> dt.timedelta | None:
        """The longest that a secret of such an application may live, or None."""
        return self.longest if _since(created, self.longest_after) else None


class Graph:
    """The calls.

    Args:
        login: gives tokens, as `azure.core`'s `AsyncTokenCredential`.
        url: the endpoint, without path.
        scope: what its tokens are asked for.
        trace: takes one line per call, without secrets.
        deadline: of the run; no call is waited for much longer.
    """

    def __init__(
        self, login: Login, url: str, scope: str, trace: Callable[[str], None], deadline: Deadline
    ) -> None:
        from kiota_authentication_azure.azure_identity_authentication_provider import (
            AzureIdentityAuthenticationProvider,
        )
        from kiota_http.kiota_client_factory import KiotaClientFactory
        from kiota_http.middleware import RetryHandler
        from msgraph.graph_request_adapter import GraphRequestAdapter
        from msgraph.graph_service_client import GraphServiceClient
        from msgraph_core import GraphClientFactory  # type: ignore[import-untyped]
        from msgraph_core.middleware import GraphTelemetryHandler  # type: ignore[import-untyped]

        from providers.acr import graph_models

        self._models = graph_models
        self._login = login
        self.url = url
        self.scope = scope
        self._facts = Facts()
        self._policies = Facts()  # which no run of ours changes
        self._trace = trace
        self._deadline = deadline
        host = urlsplit(url).hostname or ""
        # The default ones (`GraphClientFactory.create_with_default_middleware`), but for the one that repeats.
        middleware = [
            _reads_in_time(deadline) if isinstance(one, RetryHandler) else one
            for one in KiotaClientFactory.get_default_middleware(None)
        ]
        self._http = GraphClientFactory.create_with_custom_middleware(
            [*middleware, GraphTelemetryHandler()], client=KiotaClientFactory.get_default_client()
        )
        self._http.event_hooks = {"response": [_no_web_page]}
        self._http.timeout = httpx.Timeout(_SECONDS, connect=10.0)
        self._adapter = GraphRequestAdapter(
            AzureIdentityAuthenticationProvider(login, scopes=[self.scope], allowed_hosts=[host]), self._http
        )
        self._adapter.base_url = f"{url}/v1.0"
        self._client = GraphServiceClient(request_adapter=self._adapter)
        self.deleted = DeletedItems(self, self._client.directory.deleted_items, self._adapter.base_url)

    def purge_command(self, object_id: str) -> str:
        """Deletes one of the deleted items permanently."""
        return f"az rest --method DELETE --url {self.url}/v1.0/directory/deletedItems/{object_id}"

    def restore_command(self, object_id: str) -> str:
        """Restores one of the deleted items."""
        return f"az rest --method POST --url {self.url}/v1.0/directory/deletedItems/{object_id}/restore"

    def list_deleted_command(self, display_name: str) -> str:
        """Shows the object ids of the deleted applications of that name."""
        url = f"{self.url}/v1.0/directory/deletedItems/microsoft.graph.application"
        query = f"value[?displayName=='{display_name}'].id"
        return f"az rest --method GET --url {url} --query {shlex.quote(query)} --output tsv"

    async def close(self) -> None:
        await self._http.aclose()

    def forget(self) -> None:
        """Whoever asks from now on asks anew."""
        self.forget_state()
        self._policies.forget()

    def forget_state(self) -> None:
        """As `bootstrap.provider.Shared.forget_state`."""
        self._facts.forget()

    # -- calling -------------------------------------------------------------------------------------------------

    async def change(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """After a change, answered or not, nothing that was seen before counts."""
        try:
            return await self._sent(method, resource, call)
        finally:
            self._facts.forget()

    async def _sent(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call; with a new token once more where the token was refused (401 is answered before anything is done)."""
        sent = clock.monotonic()
        try:
            return await self._sent_once(method, resource, call)
        except AzureApiError as error:
            if not error.unauthenticated:
                raise
            self._login.renew(sent)
        return await self._sent_once(method, resource, call)

    async def _sent_once(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        async def translated() -> T:
            from azure.core.exceptions import AzureError
            from kiota_abstractions.api_error import APIError

            try:
                async with asyncio.timeout(self._deadline.within(_SECONDS)):
                    return await call()
            except AzureApiError:
                raise
            except APIError as error:
                raise _call_refused(error) from None
            except TimeoutError:
                raise AzureApiError(0, "", "there was no answer in time") from None
            except (httpx.TransportError, AzureError) as error:
                raise AzureApiError(0, "", type(error).__name__) from None
            except Exception:  # noqa: BLE001  - the SDK raises anything, a bare Exception too, where it cannot read it
                raise AzureApiError(0, "", "its answer cannot be read") from None

        return await traced(self._trace, method, resource, translated)

    async def read(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """A read may be repeated. The SDK does that where it is told 429, 503 and 504, and not for a lost connection."""
        async for attempt in stamina.retry_context(
            on=_comes_again,
            attempts=3,
            wait_initial=0.2,
            wait_max=2.0,
            timeout=self._deadline.within(_SECONDS),
        ):
            with attempt:
                return await self._sent(method, resource, call)
        raise AssertionError("stamina either returns or raises")

    async def answer(self, request: Any, model: type[T]) -> T | None:
        """Send what a request builder has made, and read the answer as `model`."""
        from msgraph.generated.models.o_data_errors.o_data_error import ODataError

        answer: T | None = await self._adapter.send_async(request, model, {"XXX": ODataError})
        return answer

    def once(self, **headers: str) -> Any:
        """The configuration of a request that the SDK must not repeat."""
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from kiota_abstractions.headers_collection import HeadersCollection
        from kiota_http.middleware.options import RetryHandlerOption

        collection = HeadersCollection()
        for name, value in headers.items():
            collection.add(name, value)
        return RequestConfiguration(
            headers=collection, options=[RetryHandlerOption(max_retries=0, should_retry=False)]
        )

    # -- applications --------------------------------------------------------------------------------------------

    async def seen_application(
        self,
        *,
        app_id: str = "",
        unique_name: str = "",
        expected: Callable[[], Awaitable[bool]] | None = None,
    ) -> Application | None:
        """An application by either of its names, as it was when this command last looked.

        Where it is expected to be there, one answer that there is none may be of a server that lags. Whoever knows its id
        has that from somewhere; of a name, `expected` tells.
        """
        if app_id:
            return await self._facts.get(
                ("app", app_id), lambda: surely(lambda: self.application_by_app_id(app_id))
            )

        async def named() -> Application | None:
            found = await self.application_by_unique_name(unique_name)
            if found is None and expected is not None and await expected():
                return await surely(lambda: self.application_by_unique_name(unique_name))
            return found

        return await self._facts.get(("name", unique_name), named)

    async def seen_principal(self, app_id: str) -> Principal | None:
        """The service principal of an application that is there, as it was when this command last looked."""
        return await self._facts.get(("principal", app_id), lambda: surely(lambda: self.principal(app_id)))

    async def application_by_unique_name(self, unique_name: str) -> Application | None:
        one = self._client.applications_with_unique_name(unique_name)
        return await self._or_none(self.read("GetApplication", unique_name, lambda: self._got(one)))

    async def application_by_app_id(self, app_id: str) -> Application | None:
        one = self._client.applications_with_app_id(app_id)
        return await self._or_none(self.read("GetApplication", app_id, lambda: self._got(one)))

    async def _got(self, builder: Any) -> Application:
        found = await self.answer(builder.to_get_request_information(), self._models.Application)
        if found is None or not found.id or not found.app_id or found.password_credentials is None:
            raise AzureApiError(0, "", "its answer cannot be read")
        return _as_application(found)

    async def _or_none(self, found: Awaitable[T]) -> T | None:
        try:
            return await found
        except AzureApiError as error:
            if error.missing:
                return None
            raise

    async def applications_named(self, display_name: str) -> list[Application]:
        """All the applications of exactly that display name, of which there may be many, as this command last saw them."""
        return await self._facts.get(("called", display_name), lambda: self._named(display_name))

    async def _named(self, display_name: str) -> list[Application]:
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder

        quoted = display_name.replace("'", "''")
        parameters = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
            filter=f"displayName eq '{quoted}'"
        )

        async def listed() -> list[Application]:
            page = await self.answer(
                self._client.applications.to_get_request_information(
                    RequestConfiguration(query_parameters=parameters)
                ),
                self._models.Applications,
            )
            found = [_as_application(one) for one in _all(page)]
            # Graph compares without regard to case.
            return [one for one in found if one.display_name == display_name]

        return await self.read("ListApplications", display_name, listed)

    async def create_application(self, unique_name: str, display_name: str, notes: str) -> Application | None:
        """Create it under a name that only one application can have, or update the one that is there.

        "Create application: Upsert": 201 with a body when it was created, 204 without one when it was updated; without
        the header Graph answers 404.

        Returns:
            the application if it was created, None if there was one.
        """
        body: Any = self._models.Application(
            display_name=display_name, notes=notes, tags=["pullkey"], sign_in_audience="AzureADMyOrg"
        )
        builder = self._client.applications_with_unique_name(unique_name)

        async def patch() -> Application | None:
            made = await self.answer(
                builder.to_patch_request_information(body, self.once(Prefer="create-if-missing")),
                self._models.Application,
            )
            if made is None:
                return None
            if not made.id:
                raise AzureApiError(0, "", "the answer to the creation does not say what was created")
            return _as_application(made)

        return await self.change("UpsertApplication", unique_name, patch)

    async def federated_credentials(self, object_id: str) -> list[str]:
        """The names of the federated identity credentials of an application, with which others log in as it."""
        builder = self._client.applications.by_application_id(object_id).federated_identity_credentials

        async def listed() -> list[str]:
            # An application has at most 20 of them ("federatedIdentityCredential resource type"): one page.
            page = await self.answer(builder.to_get_request_information(), self._models.FederatedCredentials)
            return [one.name or str(one.id) for one in _all(page)]

        return await self.read("ListFederatedIdentityCredentials", object_id, listed)

    async def delete_application(self, object_id: str) -> None:
        builder = self._client.applications.by_application_id(object_id)
        await self.change("DeleteApplication", object_id, lambda: builder.delete(self.once()))

    # -- service principals --------------------------------------------------------------------------------------

    async def principal(self, app_id: str) -> Principal | None:
        builder = self._client.service_principals_with_app_id(app_id)

        async def got() -> Principal | None:
            found = await self.answer(builder.to_get_request_information(), self._models.ServicePrincipal)
            if found is None or not found.id:
                raise AzureApiError(0, "", "its answer cannot be read")
            return _as_principal(found)

        return await self._or_none(self.read("GetServicePrincipal", app_id, got))

    async def create_principal(self, app_id: str) -> Principal:
        body: Any = self._models.ServicePrincipal(app_id=app_id)

        async def post() -> Principal:
            request = self._client.service_principals.to_post_request_information(body, self.once())
            made = await self.answer(request, self._models.ServicePrincipal)
            if made is None or not made.id:
                raise AzureApiError(0, "", "its answer is empty")
            return Principal(made.id, enabled=True)

        return await self.change("CreateServicePrincipal", app_id, post)

    async def delete_principal(self, object_id: str) -> None:
        builder = self._client.service_principals.by_service_principal_id(object_id)
        await self.change("DeleteServicePrincipal", object_id, lambda: builder.delete(self.once()))

    # -- secrets -------------------------------------------------------------------------------------------------

    async def add_password(self, object_id: str, display_name: str, ends: dt.datetime) -> NewPassword:
        """A new client secret. Sent once: a second call makes a second secret."""
        from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
            AddPasswordPostRequestBody,
        )
        from msgraph.generated.models.password_credential import PasswordCredential

        body = AddPasswordPostRequestBody(
            password_credential=PasswordCredential(display_name=display_name, end_date_time=ends)
        )
        builder = self._client.applications.by_application_id(object_id).add_password

        async def post() -> NewPassword:
            made = await builder.post(body, self.once())
            if made is None or made.key_id is None or not made.secret_text:
                # It was made all the same, and must be looked for.
                raise AzureApiError(0, "", "its answer holds no secret")
            return NewPassword(str(made.key_id), Secret(made.secret_text), made.end_date_time or ends)

        return await self.change("AddPassword", object_id, post)

    async def remove_password(self, object_id: str, key_id: str) -> None:
        from uuid import UUID

        from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
            RemovePasswordPostRequestBody,
        )

        body = RemovePasswordPostRequestBody(key_id=UUID(key_id))
        builder = self._client.applications.by_application_id(object_id).remove_password
        await self.change("RemovePassword", f"{object_id} {key_id}", lambda: builder.post(body, self.once()))

    # -- policies ------------------------------------------------------------------------------------------------

    async def password_policy(self) -> PasswordPolicy:
        """The directory's default; one of the application's own is not read, and shows when the secret is made.

        Source: Graph's "tenantAppManagementPolicy resource type".
        """
        return await self._policies.get("passwords", self._password_policy)

    async def _password_policy(self) -> PasswordPolicy:

        async def got() -> PasswordPolicy:
            request = self._client.policies.default_app_management_policy.to_get_request_information()
            found = await self.answer(request, self._models.ManagementPolicy)
            rules = found.application_restrictions if found and found.is_enabled else None
            forbidden, forbidden_after, longest, longest_after = False, None, None, None
            for rule in (rules.password_credentials if rules else None) or ():
                if rule.state not in (None, "enabled"):
                    continue
                if rule.restriction_type == "passwordAddition":
                    forbidden, forbidden_after = True, rule.restrict_for_apps_created_after
                elif rule.restriction_type == "passwordLifetime":
                    longest, longest_after = rule.max_lifetime, rule.restrict_for_apps_created_after
            return PasswordPolicy(forbidden, forbidden_after, longest, longest_after)

        return await self.read("GetDefaultAppManagementPolicy", "policies", got)

    async def members_create_applications(self) -> bool:
        """Whether the directory lets every member create applications."""

        async def got() -> bool:
            request = self._client.policies.authorization_policy.to_get_request_information()
            found = await self.answer(request, self._models.AuthorizationPolicy)
            rights = found.default_user_role_permissions if found else None
            return rights is None or rights.allowed_to_create_apps is not False

        return await self.read("GetAuthorizationPolicy", "policies", got)


async def _no_web_page(response: httpx.Response) -> None:
    """The SDK asks for no more than a good status where it expects no content, and some proxies' pages have one."""
    if is_page(response.headers):
        raise httpx.RemoteProtocolError("a web page came instead of an answer", request=response.request)


def _all(page: Any) -> Sequence[Any]:
    """What a page lists. One without a list is no page: it does not say that there is nothing."""
    if page is None or page.value is None:
        raise AzureApiError(0, "", "its answer cannot be read")
    values: Sequence[Any] = page.value
    return values


def _as_application(found: graph_models.Application) -> Application:
    return Application(
        object_id=str(found.id),
        app_id=str(found.app_id),
        unique_name=found.unique_name or "",
        display_name=found.display_name or "",
        notes=found.notes or "",
        created=found.created_date_time,
        passwords=tuple(map(_as_password, found.password_credentials or ())),
        certificates=tuple(map(_as_password, found.key_credentials or ())),
        disabled=_disabled(found.disabled_by_microsoft_status, by_owner=found.is_disabled is True),
    )


def _as_principal(found: graph_models.ServicePrincipal) -> Principal:
    enabled = found.account_enabled is not False
    by_microsoft = _disabled(found.disabled_by_microsoft_status, by_owner=False)
    return Principal(str(found.id), enabled, by_microsoft or ("" if enabled else "it is disabled"))


def _disabled(by_microsoft: str | None, *, by_owner: bool) -> str:
    """Why an application gets no tokens, if that is so: `isDisabled` and `disabledByMicrosoftStatus`, whose value for
    one that is not disabled is null or `NotDisabled` ("application resource type").
    """
    if by_microsoft and by_microsoft.lower() != "notdisabled":
        return f"Microsoft disabled it ({by_microsoft})"
    return "it is disabled" if by_owner else ""


def _as_password(found: PasswordCredential | KeyCredential) -> Password:
    return Password(str(found.key_id), found.display_name or "", found.start_date_time, found.end_date_time)


def _reads_in_time(deadline: Deadline) -> Any:
    """The SDK's own retries. A Retry-After that does not fit into a call's time is not waited for: the answer is then told as it is."""
    from kiota_http.middleware import RetryHandler

    class InTime(RetryHandler):
        def should_retry(self, request: Any, options: Any, response: Any) -> bool:
            wait = retry_after(response.headers) or 0.0
            begin = request.extensions.setdefault("pullkey_begin", clock.monotonic())
            left = min(deadline.left, _SECONDS - _ANSWER_SECONDS - (clock.monotonic() - begin))
            return wait < left and bool(super().should_retry(request, options, response))

    return InTime()


def _call_refused(error: Any) -> AzureApiError:
    main = getattr(error, "error", None)
    code, message = getattr(main, "code", None), getattr(main, "message", None)
    status = error.response_status_code
    wait = retry_after(getattr(error, "response_headers", None) or {})
    return AzureApiError(status if isinstance(status, int) else 0, code or "", message or "", wait)


def _comes_again(error: Exception) -> bool:
    return isinstance(error, AzureApiError) and (error.status == 0 or error.status in (500, 502))


def _since(created: dt.datetime | None, day: dt.datetime | None) -> bool:
    return created is None or day is None or created.timestamp() > _timestamp(day)


def _timestamp(moment: dt.datetime) -> float:
    # Graph's "for all" is the year 1, which some platforms' time cannot hold.
    return moment.timestamp() if moment.year > 1970 else 0.0
