"""Log in to a registry with this run's own Azure login, as `az acr login` does.

A token of Entra ID for registries is exchanged at the registry for a refresh token, which is the password of
the zero GUID as user name (Azure/acr, "AAD-OAuth"; "Individual login with Microsoft Entra ID").
"""

from __future__ import annotations

import asyncio

from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Tell
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.plugin.http import Unreadable, httpx
from bootstrap.plugin.registry import Client

AUDIENCE = "https://containerregistry.azure.net/.default"
"""The scope of such a token, which is valid for registries only."""
_USER = "00000000-0000-0000-0000-000000000000"


async def log_in(
    login_server: str, token: Secret, tenant: str, *, trace: Tell, seconds: float
) -> Credential | None:
    """Exchange the token at the registry; None if the registry does not accept it.

    Args:
        login_server: as Resource Manager shows it, so that no other host is sent the token.
        token: of Entra ID, for `AUDIENCE`.
        tenant: the directory that the token is of, or "".
        trace: takes one line per exchange, without secrets.
        seconds: timeout of the exchange.
    """
    form = {"grant_type": "access_token", "service": login_server, "access_token": token.reveal()}
    if tenant:
        form["tenant"] = tenant
    try:
        async with asyncio.timeout(seconds), Client(login_server, trace, token.redact) as client:
            answer = await client.get(f"https://{login_server}/oauth2/exchange", method="POST", form=form)
            body = answer.json() if answer.status == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, Unreadable, TimeoutError):
        return None
    given = body.get("refresh_token") if isinstance(body, dict) else None
    if not isinstance(given, str) or not given:
        return None
    return Credential(login_server, _USER, Secret(given), KeyRef("", "", ""))
