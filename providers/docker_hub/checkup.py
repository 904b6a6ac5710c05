"""What `pullkey doctor` looks at: whether Docker Hub is reachable from here, and whether our clocks agree."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.errors import PullkeyError
from bootstrap.handshake import Challenge, fetch_challenge
from bootstrap.provider import Check, RunContext
from providers.docker_hub.hub import ENDPOINT, Connection, HubRefused, their_clock
from providers.docker_hub.target import REGISTRY

_SKEW = dt.timedelta(seconds=60)
# An official image's repository: public, so that it answers without a login (`GetRepository`).
_PUBLIC = "/v2/namespaces/library/repositories/hello-world"


async def checkup(context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
    """The API, the clock, the registry; nobody logs in. Raises nothing."""
    checks: list[Check] = []
    if os.environ.get(ENDPOINT):
        checks.append(Check("Docker Hub's address", None, f"{os.environ[ENDPOINT]}, as {ENDPOINT} says"))
    try:
        checks += await _api(context)
        checks.append(await _registry(context))
    except PullkeyError as error:
        checks.append(Check("Docker Hub", False, error.what, error.mend))
    except Exception as error:  # noqa: BLE001  - a check-up says what is wrong, whatever it is
        checks.append(Check("Docker Hub", False, f"it could not be looked at ({type(error).__name__})"))
    user = login.get("hub_user")
    whose = f"the password of {user} is" if user else "a password is"
    checks.append(Check("Docker Hub's login", None, f"{whose} asked for where a token is made or looked at, and kept nowhere"))  # fmt: skip
    return checks


async def _api(context: RunContext) -> list[Check]:
    connection = context.shared.get("docker-hub", Connection)
    try:
        answer = await connection.send("GET", _PUBLIC, trace=context.trace)
    except HubRefused as error:
        return [Check("Docker Hub's API", False, f"{connection.url} answers: {error.said}", "Check the network and its proxies; what is wrong at Docker Hub stands at https://www.dockerstatus.com")]  # fmt: skip
    checks = [Check("Docker Hub's API", True, f"{connection.url} answers")]
    theirs = their_clock(answer.headers)
    if theirs is None:
        return checks
    skew = dt.datetime.now(dt.UTC) - theirs
    if abs(skew) <= _SKEW:
        return [*checks, Check("clock", True, "it agrees with Docker Hub's to a minute")]
    ahead = "ahead of" if skew > dt.timedelta() else "behind"
    return [*checks, Check("clock", None, f"it is {abs(skew.total_seconds()):.0f} s {ahead} Docker Hub's", "Set this machine's clock, or tokens end at another time than is shown")]  # fmt: skip


async def _registry(context: RunContext) -> Check:
    answered = await fetch_challenge(REGISTRY, trace=context.trace)
    if isinstance(answered, Challenge):
        return Check("Docker Hub's registry", True, f"{REGISTRY} answers, and asks for a token")
    return Check("Docker Hub's registry", False, str(answered), "Check the network and its proxies")
