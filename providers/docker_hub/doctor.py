"""The checks of `pullkey doctor` for Docker Hub: is it reachable, and do the clocks agree?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.checks import Check, failed_check, registry_check, server_clock_checks
from bootstrap.plugin.context import RunContext
from providers.docker_hub.connection import ENDPOINT, Connection
from providers.docker_hub.errors import HubApiError
from providers.docker_hub.target import REGISTRY

# An official image's repository: public, so that it answers without a login (`GetRepository`).
_PUBLIC = "/v2/namespaces/library/repositories/hello-world"


async def checkup(context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
    """Check the API, the clock and the registry, without a login. Raises nothing."""
    checks: list[Check] = []
    if os.environ.get(ENDPOINT):
        checks.append(Check("addresses", None, f"{os.environ[ENDPOINT]}, as {ENDPOINT} says"))
    try:
        checks += await _api(context)
        checks.append(await registry_check(context, REGISTRY))
    except PullkeyError as error:
        checks.append(failed_check("API", error))
    except Exception as error:  # noqa: BLE001  - any error is a result of the check
        checks.append(Check("API", False, f"it could not be looked at ({type(error).__name__})"))
    user = login.get("hub_user")
    whose = f"the password of {user} is" if user else "a password is"
    checks.append(
        Check("login", None, f"{whose} asked for when a token is created or looked up, and never stored")
    )
    return checks


async def _api(context: RunContext) -> list[Check]:
    connection = context.shared.get("docker-hub", Connection)
    try:
        answer = await connection.send("GET", _PUBLIC, trace=context.trace)
    except HubApiError as error:
        return [
            Check(
                "API",
                False,
                f"{connection.url} answers: {error.summary}",
                error.fix or "Check the network and its proxies; see also https://www.dockerstatus.com",
            )
        ]
    return [
        Check("API", True, f"{connection.url} answers"),
        *server_clock_checks(answer.headers, "Docker Hub"),
    ]
