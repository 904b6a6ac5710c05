"""What `pullkey doctor` sees of Google without a target."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.errors import PullkeyError
from bootstrap.provider import Check, RunContext
from providers.gcr.cloud import INSTALL, MEND_LOGIN
from providers.gcr.facts import shared_cloud
from providers.gcr.target import impersonated

_LIBRARIES = (
    "google-auth",
    "google-cloud-iam",
    "google-cloud-artifact-registry",
    "google-cloud-resource-manager",
    "google-cloud-service-usage",
    "google-cloud-org-policy",
)
_SKEW = dt.timedelta(seconds=60)


async def checkup(context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
    """See `bootstrap.provider.Provider.checkup`."""
    libraries = _libraries()
    checks = [libraries]
    if libraries.good:
        checks += await _login(context, login)
    checks += [_gcloud(), *_overrides()]
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
            "Google's libraries", False, f"not installed: {', '.join(missing)}", f"Install them: {INSTALL}"
        )
    return Check("Google's libraries", True, f"installed; google-cloud-iam {importlib.metadata.version('google-cloud-iam')}")  # fmt: skip


async def _login(context: RunContext, login: Mapping[str, Any]) -> list[Check]:
    try:
        google = shared_cloud(context, impersonated(login))
    except PullkeyError as error:
        return [Check("Google login", False, error.what, error.mend)]
    try:
        who = await google.connect()
        await google.read_clock()
    except PullkeyError as error:
        bad = Check("Google login", False, error.what, error.mend)
    except Exception as error:  # noqa: BLE001  - a doctor tells what is wrong, whatever it is
        bad = Check("Google login", False, f"it cannot be used ({type(error).__name__})", MEND_LOGIN)
    else:
        project = google.default_project
        return [
            Check("Google login", True, f"as {who}"),
            _clock(google.skew),
            Check(
                "Google project",
                None,
                f"the login's own is {project}" if project else "the login has none; --gcp-project names it",
            ),
        ]
    # A token that is signed by a wrong clock is refused too.
    return [bad] if google.skew is None else [bad, _clock(google.skew)]


def _clock(skew: dt.timedelta | None) -> Check:
    what = "Clock against Google's"
    if skew is None:
        return Check(what, None, "Google gave no time")
    seconds = abs(skew.total_seconds())
    if abs(skew) <= _SKEW:
        return Check(what, True, f"{seconds:.0f} s apart")
    side = "ahead" if skew > dt.timedelta() else "behind"
    return Check(what, False, f"this machine is {seconds:.0f} s {side}", "Set the clock: timedatectl set-ntp true")  # fmt: skip


def _gcloud() -> Check:
    path = shutil.which("gcloud")
    return Check(
        "gcloud",
        None,
        "installed" if path else "not installed; only the commands for a person to run need it",
    )


def _overrides() -> list[Check]:
    found = [name for name in sorted(os.environ) if name.startswith("PULLKEY_GOOGLE_") and name.endswith("_ENDPOINT") and os.environ[name]]  # fmt: skip
    return [Check("Addresses", None, f"{name} is {os.environ[name]}") for name in found]
