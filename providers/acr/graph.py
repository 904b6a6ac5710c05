"""The calls of Microsoft Graph that this provider needs: applications, their secrets, service principals,
policies.

No type of the SDK leaves this module: callers see `directory_objects`.
"""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bootstrap.model.deadline import Deadline
from bootstrap.model.secret import Secret
from bootstrap.plugin.retry import read_twice
from providers.acr.deleted_items import DeletedItems
from providers.acr.directory_objects import (
    Application,
    NewPassword,
    PasswordPolicy,
    Principal,
    as_application,
    as_principal,
)
from providers.acr.errors import AzureApiError
from providers.acr.graph_client import GraphClient
from providers.acr.login import Login


class Graph(GraphClient):
    """The calls, with cached reads."""

    def __init__(
        self, login: Login, url: str, scope: str, trace: Callable[[str], None], deadline: Deadline
    ) -> None:
        super().__init__(login, url, scope, trace, deadline)
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

    # -- applications ----------------------------------------------------------------------------------------

    async def seen_application(
        self,
        *,
        app_id: str = "",
        unique_name: str = "",
        expected: Callable[[], Awaitable[bool]] | None = None,
    ) -> Application | None:
        """An application by either of its names, as it was when this command last looked.

        If it should exist, one "not found" may be a lagging replica's, so it is read twice: always by its id,
        which the caller has from somewhere, and by its name if `expected` says so.
        """
        if app_id:
            return await self._facts.get(
                ("app", app_id), lambda: read_twice(lambda: self.application_by_app_id(app_id))
            )

        async def named() -> Application | None:
            found = await self.application_by_unique_name(unique_name)
            if found is None and expected is not None and await expected():
                return await read_twice(lambda: self.application_by_unique_name(unique_name))
            return found

        return await self._facts.get(("name", unique_name), named)

    async def seen_principal(self, app_id: str) -> Principal | None:
        """The service principal of an application that is there, as it was when this command last looked."""
        return await self._facts.get(
            ("principal", app_id), lambda: read_twice(lambda: self.principal(app_id))
        )

    async def application_by_unique_name(self, unique_name: str) -> Application | None:
        one = self._client.applications_with_unique_name(unique_name)
        return await self.or_none(self.read("GetApplication", unique_name, lambda: self._got(one)))

    async def application_by_app_id(self, app_id: str) -> Application | None:
        one = self._client.applications_with_app_id(app_id)
        return await self.or_none(self.read("GetApplication", app_id, lambda: self._got(one)))

    async def _got(self, builder: Any) -> Application:
        found = await self.answer(builder.to_get_request_information(), self._models.Application)
        if found is None or not found.id or not found.app_id or found.password_credentials is None:
            raise AzureApiError(0, "", "its answer cannot be read")
        return as_application(found)

    async def applications_named(self, display_name: str) -> list[Application]:
        """All the applications of exactly that display name, of which there may be many, as this command
        last saw them.
        """
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
            found = [as_application(one) for one in _all(page)]
            # Graph compares without regard to case.
            return [one for one in found if one.display_name == display_name]

        return await self.read("ListApplications", display_name, listed)

    async def create_application(self, unique_name: str, display_name: str, notes: str) -> Application | None:
        """Create it under a name that only one application can have, or update the one that is there.

        "Create application: Upsert": 201 with a body when it was created, 204 without one when it was
        updated; without the header Graph answers 404.

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
            return as_application(made)

        return await self.change("UpsertApplication", unique_name, patch)

    async def federated_credentials(self, object_id: str) -> list[str]:
        """The names of the federated identity credentials of an application, with which others log in as
        it.
        """
        builder = self._client.applications.by_application_id(object_id).federated_identity_credentials

        async def listed() -> list[str]:
            # An application has at most 20 of them ("federatedIdentityCredential resource type"): one page.
            page = await self.answer(builder.to_get_request_information(), self._models.FederatedCredentials)
            return [one.name or str(one.id) for one in _all(page)]

        return await self.read("ListFederatedIdentityCredentials", object_id, listed)

    async def delete_application(self, object_id: str) -> None:
        builder = self._client.applications.by_application_id(object_id)
        await self.change("DeleteApplication", object_id, lambda: builder.delete(self.once()))

    # -- service principals ----------------------------------------------------------------------------------

    async def principal(self, app_id: str) -> Principal | None:
        builder = self._client.service_principals_with_app_id(app_id)

        async def got() -> Principal | None:
            found = await self.answer(builder.to_get_request_information(), self._models.ServicePrincipal)
            if found is None or not found.id:
                raise AzureApiError(0, "", "its answer cannot be read")
            return as_principal(found)

        return await self.or_none(self.read("GetServicePrincipal", app_id, got))

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

    # -- secrets ---------------------------------------------------------------------------------------------

    async def add_password(self, object_id: str, display_name: str, ends: dt.datetime) -> NewPassword:
        """Create a client secret. Sent once: a second call creates a second secret."""
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
                # It was created nevertheless, and must be looked for.
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

    # -- policies --------------------------------------------------------------------------------------------

    async def password_policy(self) -> PasswordPolicy:
        """The directory's default, which `own_password_policy` replaces.

        Source: Graph's "tenantAppManagementPolicy resource type".
        """
        return await self._policies.get("passwords", self._password_policy)

    async def _password_policy(self) -> PasswordPolicy:

        async def got() -> PasswordPolicy:
            request = self._client.policies.default_app_management_policy.to_get_request_information()
            found = await self.answer(request, self._models.ManagementPolicy)
            return _policy_of(found.application_restrictions if found and found.is_enabled else None)

        return await self.read("GetDefaultAppManagementPolicy", "policies", got)

    async def own_password_policy(self, object_id: str) -> PasswordPolicy | None:
        """The policy that is assigned to an application; None if the directory's default holds for it.

        There is one at most, and the application inherits nothing of the default then ("Application
        authentication methods API overview").
        """
        builder = self._client.applications.by_application_id(object_id).app_management_policies

        async def got() -> PasswordPolicy | None:
            found = _all(await self.answer(builder.to_get_request_information(), self._models.AppPolicies))
            return _policy_of(found[0].restrictions if found[0].is_enabled else None) if found else None

        return await self._policies.get(
            ("passwords", object_id), lambda: self.read("ListAppManagementPolicies", object_id, got)
        )

    async def members_create_applications(self) -> bool:
        """Whether the directory lets every member create applications."""

        async def got() -> bool:
            request = self._client.policies.authorization_policy.to_get_request_information()
            found = await self.answer(request, self._models.AuthorizationPolicy)
            rights = found.default_user_role_permissions if found else None
            return rights is None or rights.allowed_to_create_apps is not False

        return await self.read("GetAuthorizationPolicy", "policies", got)


def _policy_of(rules: Any) -> PasswordPolicy:
    """What a policy's rules for client secrets say.

    A rule may exempt callers with a certain attribute. Whether this one has it is not read, so that such a
    rule is left to the creation of a secret.
    """
    forbidden, forbidden_after, longest, longest_after = False, None, None, None
    for rule in (rules.password_credentials if rules else None) or ():
        if rule.state not in (None, "enabled") or (rule.exempt and rule.exempt.attributes):
            continue
        if rule.restriction_type == "passwordAddition":
            forbidden, forbidden_after = True, rule.restrict_for_apps_created_after
        elif rule.restriction_type == "passwordLifetime":
            longest, longest_after = rule.max_lifetime, rule.restrict_for_apps_created_after
    return PasswordPolicy(forbidden, forbidden_after, longest, longest_after)


def _all(page: Any) -> Sequence[Any]:
    """The items of a page. A page without a list is an unreadable answer, not an empty one."""
    if page is None or page.value is None:
        raise AzureApiError(0, "", "its answer cannot be read")
    values: Sequence[Any] = page.value
    return values
