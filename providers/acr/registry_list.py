"""List the registries that the login sees, for the user to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.plugin.context import RunContext
from providers.acr.errors import AzureApiError
from providers.acr.registry_session import cloud_of


async def registries(context: RunContext, values: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Return login servers, each with the name of the registry's subscription.

    Raises:
        PullkeyError, AzureApiError: the subscriptions cannot be listed.
    """
    cloud = cloud_of(
        context,
        cloud=values.get("cloud") or "public",
        auth=values.get("auth") or "default",
        tenant=values.get("tenant") or "",
    )
    await cloud.connect()
    names = await cloud.subscriptions()
    wanted = values.get("subscription")
    chosen = [one for one, name in names.items() if wanted in (None, "", one, name)]
    found = await cloud.registries_of(chosen)
    return sorted(
        (registry.login_server, names[subscription])
        for subscription, listed in zip(chosen, found, strict=True)
        if not isinstance(listed, AzureApiError)
        for registry in listed
    )
