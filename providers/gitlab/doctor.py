"""What `pullkey doctor` checks: whether GitLab is reachable, and whether its clock agrees with this
machine's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.checks import Check, failed_check, registry_check, server_clock_checks
from bootstrap.plugin.context import RunContext
from providers.gitlab.address import ENDPOINT, SAAS, SAAS_REGISTRY, instance_named, url_of_calls
from providers.gitlab.connection import Connection
from providers.gitlab.errors import GitlabApiError

# Answered with 401 without a token (gitlabhq/gitlabhq, doc/api/version.md), so no login is needed.
_VERSION = "/api/v4/version"


async def checkup(context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
    """Check the API, the clock, and gitlab.com's registry, without a login. Raises nothing."""
    checks: list[Check] = []
    if os.environ.get(ENDPOINT):
        checks.append(Check("addresses", None, f"{os.environ[ENDPOINT]}, as {ENDPOINT} says"))
    named = login.get("gitlab")
    try:
        if named or os.environ.get(ENDPOINT):
            instance = instance_named(named) if named else SAAS
            checks += await _api(context, instance)
            if instance == SAAS:
                checks.append(await registry_check(context, SAAS_REGISTRY))
        else:
            # A user without GitLab has not named gitlab.com, and pullkey contacts only hosts that were named.
            checks.append(Check("API", None, f"not looked at: {SAAS} is contacted for its own targets only"))
    except PullkeyError as error:
        checks.append(failed_check("API", error))
    except Exception as error:  # noqa: BLE001  - a check-up says what is wrong, whatever it is
        checks.append(Check("API", False, f"it could not be looked at ({type(error).__name__})"))
    checks.append(
        Check(
            "login",
            None,
            "an access token is asked for when a deploy token is created or looked up, and never stored",
        )
    )
    return checks


async def _api(context: RunContext, instance: str) -> list[Check]:
    url = url_of_calls(instance)
    connection = context.shared.get(("gitlab", instance), lambda: Connection(url))
    try:
        answer = await connection.send("GET", _VERSION, trace=context.trace)
        headers: Mapping[str, str] = answer.headers
    except GitlabApiError as error:
        if not error.unauthenticated:
            return [
                Check(
                    "API",
                    False,
                    f"{url} answers: {error.summary}",
                    error.fix or "Check the network and its proxies",
                )
            ]
        headers = {}
    return [Check("API", True, f"{url} answers"), *server_clock_checks(headers, "GitLab")]
