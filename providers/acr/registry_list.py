"""The registries that a login sees, to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.plugin.context import RunContext
from providers.acr.errors import AzureApiError
from providers.acr.registry_session import cloud_of


async def registries(context: RunContext, values: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Login servers, each with the registry's subscription.

    Raises:
        PullkeyError, AzureApiError: Azure cannot be asked.
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
