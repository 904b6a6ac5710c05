"""The checks of `pullkey doctor` for Azure, which need no target."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from typing import Any

from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.checks import Check, clock_check, failed_check, tool_check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.installation import install_command
from providers.acr.cloud import Azure
from providers.acr.errors import AzureApiError
from providers.acr.registry_session import cloud_of

_LIBRARIES = ("azure-identity", "azure-mgmt-containerregistry", "azure-mgmt-authorization", "msgraph-sdk")


async def checks(context: RunContext, login: Mapping[str, Any]) -> list[Check]:
    """See `bootstrap.plugin.provider.Provider.checkup`; raises nothing."""
    found = [_libraries()]
    if found[0].good:
        cloud = cloud_of(
            context,
            cloud=login.get("cloud") or "public",
            auth=login.get("auth") or "default",
            tenant=login.get("tenant") or "",
        )
        found += await _login(cloud)
    return [*found, tool_check("az", "log in with it"), *_environment()]


def _libraries() -> Check:
    versions = []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            return Check(
                "libraries",
                False,
                f"{name} is not installed",
                f"Install them: {install_command('acr')}",
            )
    return Check("libraries", True, ", ".join(versions))


async def _login(cloud: Azure) -> list[Check]:
    try:
        who = await cloud.connect()
    except PullkeyError as error:
        return [failed_check("login", error)]
    except Exception as error:  # noqa: BLE001  - an SDK can raise anything, and a checkup goes on
        return [Check("login", False, f"It could not be tried ({type(error).__name__})", "Run: az login")]
    tenant = cloud.manager_claims.get("tid")
    found = [Check("login", True, f"{who}, of the directory {tenant}" if tenant else who)]
    return [*found, await _directory(cloud), *await _subscriptions(cloud)]


async def _directory(cloud: Azure) -> Check:
    """Check the login for Microsoft Graph. Only service principals need it, so its absence is no failure."""
    try:
        await cloud.connect_to_directory()
    except Exception as error:  # noqa: BLE001
        summary = error.what if isinstance(error, PullkeyError) else type(error).__name__
        return Check("Microsoft Graph", None, f"no login there ({summary}); --auth-kind token needs none")
    return Check("Microsoft Graph", True, "the login is valid there too")


async def _subscriptions(cloud: Azure) -> list[Check]:
    try:
        seen = await cloud.subscriptions()
    except AzureApiError as error:
        return [
            Check(
                "subscriptions",
                False,
                f"they could not be listed ({error.summary})",
                "Check --tenant against `az account list`.",
            )
        ]
    except Exception as error:  # noqa: BLE001
        return [
            Check(
                "subscriptions",
                False,
                f"they could not be listed ({type(error).__name__})",
                "Run it again in a while.",
            )
        ]
    names = sorted(seen.values())
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    if names:
        return [Check("subscriptions", True, f"{len(names)}: {shown}"), *_clock(cloud)]
    none = Check(
        "subscriptions",
        False,
        "this login sees none",
        "Check --tenant against `az account list`, or have a role assigned.",
    )
    return [none, *_clock(cloud)]


def _clock(cloud: Azure) -> list[Check]:
    return [clock_check(cloud.clock_ahead, "Azure")] if cloud.clock_ahead is not None else []


def _environment() -> list[Check]:
    names = sorted(name for name in os.environ if name.startswith("PULLKEY_AZURE_") and os.environ[name])
    return [Check("addresses", None, f"Azure is reached elsewhere, by {', '.join(names)}")] if names else []
