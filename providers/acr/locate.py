"""Find the Azure target of a credential in Akka's records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import PullkeyError
from bootstrap.model.server import host_of
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import refused
from providers.acr import messages
from providers.acr.assignments import Assignments
from providers.acr.cloud import Azure
from providers.acr.deleted_items import DeletedApplication
from providers.acr.directory_objects import Application
from providers.acr.errors import AzureApiError
from providers.acr.registry_session import cloud_of, find_registry, is_deleted
from providers.acr.roles import derived_names
from providers.acr.target import DEFAULT_APP, AcrTarget, is_guid, slug
from providers.acr.tokens import Tokens, repositories_of

_OURS = "pullkey-"


async def located(held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> AcrTarget:
    """See `bootstrap.plugin.provider.Provider.locate`.

    Raises:
        PullkeyError: there is no login, or the cloud does not show what is needed.
    """
    values = {**login, "registry": host_of(held.server)}
    if is_guid(held.username):
        return await _of_principal(held, context, values)
    return await _of_token(held, context, values)


async def _of_principal(held: HeldCredential, context: RunContext, values: Mapping[str, Any]) -> AcrTarget:
    app_id = held.username.lower()
    given = AcrTarget.parse({**values, "app_id": app_id})
    cloud = cloud_of(context, cloud=given.cloud, auth=given.auth, tenant=given.tenant)
    await cloud.connect_to_directory()
    application: Application | DeletedApplication | None
    try:
        application = await cloud.graph.seen_application(app_id=app_id)
    except AzureApiError as error:
        if error.unauthenticated or error.inconclusive:
            raise refused(error, f"show the application {app_id}") from None
        raise messages.application_unreadable(app_id, error) from None
    if application is None:
        deleted = await _deleted(cloud, app_id)
        if deleted is None:
            # It may be new, or permanently deleted. Until it is seen, it is assumed to be pullkey's, with the
            # name in the key's reference; before a removal its mark is checked.
            name = held.link.name if held.link is not None else DEFAULT_APP
            return AcrTarget.parse({**values, "app_name": name, "located": app_id})
        if not (deleted.ours and deleted.unique_name.startswith(_OURS)):
            return given
        application = deleted
    elif not application.unique_name.startswith(_OURS):
        return await _foreign(given, cloud)
    # The unique name never changes; the display name may have been changed since.
    mark = application.unique_name.removeprefix(_OURS)
    name = application.display_name if slug(application.display_name) == mark else mark
    ours = AcrTarget.parse({**values, "app_name": name or DEFAULT_APP, "located": app_id})
    return ours if ours.unique_name == application.unique_name else await _foreign(given, cloud)


async def _deleted(cloud: Azure, app_id: str) -> DeletedApplication | None:
    """The application in the directory's deleted items, as far as this login may read them."""
    try:
        return await cloud.graph.deleted.application(app_id=app_id)
    except AzureApiError:
        return None


async def _foreign(given: AcrTarget, cloud: Azure) -> AcrTarget:
    """The target of an application that is not pullkey's. It may pull by any role, here or above, its own or
    a group's (`--skip-grant`): what pullkey was not seen to assign, it does not assign again.
    """
    try:
        registry, principal = (
            await find_registry(cloud, given),
            await cloud.graph.seen_principal(given.app_id),
        )
        if principal is None:
            return given
        names = derived_names(registry.id, principal.object_id).values()
        assigned = await asyncio.gather(*(Assignments(cloud).get(registry.id, name) for name in names))
    except PullkeyError:
        return given  # no registry: the steps say so
    except AzureApiError as error:
        if error.unauthenticated or error.inconclusive:
            raise refused(error, f"show the roles of the application {given.app_id}") from None
        return replace(given, granted_elsewhere=True)
    return replace(given, granted_elsewhere=not any(assigned))


async def _of_token(held: HeldCredential, context: RunContext, values: Mapping[str, Any]) -> AcrTarget:
    """Find a token in its registry, and its repositories in its scope map."""
    named = {**values, "auth_kind": "token", "token": held.username}
    target = AcrTarget.parse({**named, "image": None})
    cloud = cloud_of(context, cloud=target.cloud, auth=target.auth, tenant=target.tenant)
    await cloud.connect()
    try:
        registry = await find_registry(cloud, target)
    except PullkeyError as error:
        if await is_deleted(cloud, target.name, target.host, error):
            return target
        raise
    tokens = Tokens(cloud)
    try:
        token = await tokens.token(registry, held.username)
        scope_map = await tokens.scope_map(registry, token.scope_map) if token and token.scope_map else None
    except AzureApiError as error:
        if error.unauthenticated or error.inconclusive:
            raise refused(error, f"show the token {held.username} of {registry.name}") from None
        raise messages.token_unreadable(registry.name, held.username, error) from None
    allowed = repositories_of(scope_map) if scope_map else ()
    return AcrTarget.parse(
        {
            **named,
            "repository": ",".join(allowed),
            "scope_map": token.scope_map if token else "",
        }
    )
