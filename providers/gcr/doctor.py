"""The checks that `pullkey doctor` makes of Google: libraries, login, clock, project, endpoints."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.checks import Check, clock_check, failed_check, tool_check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.installation import install_command
from providers.gcr.cache import shared_cloud
from providers.gcr.cloud import GoogleCloud
from providers.gcr.errors import login_fix
from providers.gcr.target import impersonated

_LIBRARIES = (
    "google-auth",
    "google-cloud-iam",
    "google-cloud-artifact-registry",
    "google-cloud-resource-manager",
    "google-cloud-service-usage",
    "google-cloud-org-policy",
)


async def checkup(context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
    """See `bootstrap.plugin.provider.Provider.checkup`."""
    libraries = _libraries()
    checks = [libraries]
    if libraries.good:
        checks += await _login(context, login)
    checks += [tool_check("gcloud", "log in with it and to run commands by hand"), *_overrides()]
    return checks


def _libraries() -> Check:
    missing = []
    for name in _LIBRARIES:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check(
            "libraries",
            False,
            f"not installed: {', '.join(missing)}",
            f"Install them: {install_command('gcr')}",
        )
    return Check(
        "libraries", True, f"installed; google-cloud-iam {importlib.metadata.version('google-cloud-iam')}"
    )


async def _login(context: RunContext, login: Mapping[str, Any]) -> list[Check]:
    try:
        google = shared_cloud(context, impersonated(login))
    except PullkeyError as error:
        return [failed_check("login", error)]
    try:
        who = await google.login.connect()
        await google.login.read_clock()
    except PullkeyError as error:
        bad = failed_check("login", error)
    except Exception as error:  # noqa: BLE001  - doctor reports every error
        bad = Check("login", False, f"it cannot be used ({type(error).__name__})", login_fix())
    else:
        project = google.login.default_project
        return [
            Check("login", True, f"as {who}"),
            _clock(google),
            Check(
                "project",
                None,
                f"the login's own is {project}" if project else "the login has none; --gcp-project names it",
            ),
        ]
    # A wrong clock can be the reason: a token signed by it is refused.
    return [bad] if google.login.skew is None else [bad, _clock(google)]


def _clock(google: GoogleCloud) -> Check:
    return clock_check(google.login.skew.total_seconds() if google.login.skew is not None else None, "Google")


def _overrides() -> list[Check]:
    found = [
        name
        for name in sorted(os.environ)
        if name.startswith("PULLKEY_GOOGLE_") and name.endswith("_ENDPOINT") and os.environ[name]
    ]
    return [Check("addresses", None, f"{name} is {os.environ[name]}") for name in found]
