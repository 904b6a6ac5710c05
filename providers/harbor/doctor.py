"""What `pullkey doctor` checks: whether the configured Harbor answers, and whether the clocks agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.checks import Check, failed_check, registry_check, server_clock_checks
from bootstrap.plugin.context import RunContext
from providers.harbor import messages_login
from providers.harbor.connection import Connection
from providers.harbor.errors import HarborApiError
from providers.harbor.objects import server_info


async def checkup(context: RunContext, host: str, login: Mapping[str, Any]) -> Sequence[Check]:
    """Check API, clock and registry, without a login. Raises nothing.

    Args:
        context: for the connections.
        host: of the Harbor; "" if none is set.
        login: the values of the login's options.
    """
    user = login.get("user")
    whose = f"the password of {user} is" if user else "a password is"
    prompts = Check(
        "login", None, f"{whose} prompted for when a robot account is created or read, and never stored"
    )
    if not host:
        return [
            Check("Harbor", None, "nothing to check: PULLKEY_HARBOR_REGISTRY names no Harbor"),
            prompts,
        ]
    checks: list[Check] = []
    try:
        checks += await _api(context, host)
        checks.append(await registry_check(context, host))
    except PullkeyError as error:
        checks.append(failed_check("API", error))
    except Exception as error:  # noqa: BLE001  - a check-up reports what is wrong, whatever it is
        checks.append(Check("API", False, f"it could not be checked ({type(error).__name__})"))
    return [*checks, prompts]


async def _api(context: RunContext, host: str) -> list[Check]:
    connection = context.shared.get(("harbor", host), lambda: Connection(host))
    try:
        reply = await connection.send("GET", "/systeminfo", trace=context.trace)
        info = server_info(reply.body)
    except HarborApiError as error:
        return [
            Check(
                "API",
                False,
                f"{connection.url} answers: {error.summary}",
                error.fix or "Check the name of the Harbor, the network and its proxies",
            )
        ]
    if info.is_too_old:
        return [failed_check("API", messages_login.server_too_old(host, info.version))]
    version = f", version {info.version}" if info.version else ""
    return [
        Check("API", True, f"{connection.url} answers{version}, users from {info.auth_mode or 'not shown'}"),
        *server_clock_checks(reply.headers, "Harbor"),
    ]
