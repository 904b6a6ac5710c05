"""The data plane of one container registry: firewall, logins, tokens and refusals.

Sources: Azure/acr "Token-BasicAuth" (challenge, token call) and "AAD-OAuth" (a token of Entra ID is exchanged
for a refresh token, which is also the password of the user 00000000-…; recorded runs of `az acr`), "Azure
Container Registry roles" (permissions by mode), "Troubleshoot registry login" and "Configure rules to access
a registry behind a firewall" (refusals).
"""

from __future__ import annotations

import ipaddress
import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import form_fields
from bootstrap.sandbox.registry.answers import API_VERSION, Login, Refusal, Scope, bearer_challenge
from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy, Repository, Route
from providers.acr.emulator.entra import EntraId
from providers.acr.emulator.roles import CONTENT_READ, CONTENT_WRITE, PULL_ACTION, PUSH_ACTION
from providers.acr.emulator.scoped_tokens import allowed_by
from providers.acr.emulator.state import AzureState, Registry, ServicePrincipal, Token
from providers.acr.emulator.tokens import TokenError, Tokens

_TOKEN_LIFETIME = 75 * 60
_REFRESH_TOKEN_LIFETIME = 3 * 60 * 60
_ISSUER = "Azure Container Registry"
_WITH_REFRESH_TOKEN = "00000000-0000-0000-0000-000000000000"
"""The user name for a refresh token as the password."""
_REFUSED = "authentication required, visit https://aka.ms/acr/authorization for more information."


class AzureRegistryPolicy(RegistryPolicy):
    """The policy of one registry: its tokens are JWTs, and it exchanges Entra ID's for refresh tokens."""

    token_path = "/oauth2/token"
    takes_forms = True
    has_catalog = True
    error_headers = API_VERSION

    def __init__(self, registry: Registry, state: AzureState, entra: EntraId, tokens: Tokens) -> None:
        super().__init__(registry.login_server)
        self._registry = registry
        self._entra = entra
        self._state = state
        self._tokens = tokens

    def resource(self, request: web.Request) -> str:
        return f"{self.host}{request.path}"

    def routes(self) -> Iterable[Route]:
        return [("POST", "/oauth2/exchange", "ExchangeToken", self._exchange)]

    def error(self, status: int, code: str, message: str) -> web.Response:
        return self.refusal(status, code, message).response

    def admit(self, request: web.Request) -> None:
        address = request.remote or ""
        if not self._passes(address):
            raise self.refusal(
                403,
                "DENIED",
                f"client with IP '{address}' is not allowed access. Refer "
                "https://aka.ms/acr/firewall to grant "
                f"access. CorrelationId: {uuid.uuid4()}",
            )

    def _passes(self, address: str) -> bool:
        if not self._registry.public_network_access:
            return False
        if not self._registry.firewall_denies:
            return True
        networks = [ipaddress.ip_network(one, strict=False) for one in self._registry.allowed_addresses]
        return any(ipaddress.ip_address(address) in network for network in networks)

    # -- callers ---------------------------------------------------------------------------------------------

    def caller(self, request: web.Request, login: Login | None) -> Caller:
        """A service principal, a token of this registry, a refresh token, or an anonymous caller."""
        if login is None:
            if not self._registry.anonymous_pull:
                raise self._unauthorized()
            return Caller(allowed=lambda _: ("pull",))
        if login.name == _WITH_REFRESH_TOKEN:
            return self._by_refresh_token(login.password)
        token = self._registry.tokens.get(login.name.lower())
        if token is not None:
            if token.status == "disabled" or not self._accepts(token, login.password):
                raise self._unauthorized()
            return Caller(token.name, lambda repository: allowed_by(self._registry, token, repository))
        application = self._state.application_by_app_id(login.name)
        if application is None or self._state.secret_problem(application, login.password):
            raise self._unauthorized()
        return self._of(self._principal(application.app_id))

    def caller_by_form(self, request: web.Request, form: Mapping[str, str]) -> Caller:
        match form.get("grant_type", ""):
            case "password":
                return super().caller_by_form(request, form)
            case "refresh_token":
                return self._by_refresh_token(form.get("refresh_token", ""))
            case other:
                raise self._unsupported(other)

    def _by_refresh_token(self, token: str) -> Caller:
        claims = self._claims(token)
        if claims.get("aud") != self.host or claims.get("grant_type") != "refresh_token":
            raise self._unauthorized()
        return self._of(self._principal(str(claims.get("appid", ""))))

    def _accepts(self, token: Token, password: str) -> bool:
        for one in token.passwords.values():
            if secrets.compare_digest(one.text.encode(), password.encode()):
                expired = one.expiry is not None and one.expiry <= self._state.now()
                return not expired and self._state.replicas.honoured(one.lifetime)
        return False

    def _principal(self, app_id: str) -> ServicePrincipal:
        principal = self._state.principal_by_app_id(app_id)
        if principal is None or not principal.enabled:
            raise self._unauthorized()
        return principal

    def _of(self, principal: ServicePrincipal) -> Caller:
        state, at = self._state, self._registry.id
        if not self._registry.abac:
            actions = {"pull": PULL_ACTION, "push": PUSH_ACTION}
            allowed = {name for name, action in actions.items() if state.allowed(principal.id, action, at)}
            # An identity without any role here is refused like a wrong password.
            if not allowed:
                raise self._unauthorized()
            return Caller(principal.id, lambda _: allowed, lists=True)
        data_actions = {"pull": CONTENT_READ, "push": CONTENT_WRITE}

        def allowed_in(repository: str | None) -> set[str]:
            return {
                name
                for name, action in data_actions.items()
                if state.allowed_data(principal.id, action, at, repository)
            }

        if not allowed_in(None):
            raise self._unauthorized()
        return Caller(principal.id, allowed_in)

    # -- tokens ----------------------------------------------------------------------------------------------

    def issue(
        self, request: web.Request, caller: Caller, scopes: Sequence[str], service: str | None
    ) -> dict[str, Any]:
        if not service:
            raise self._service_required()
        return {"access_token": self.sign(caller, self.granted(caller, scopes))}

    def sign(self, caller: Caller, access: Sequence[Scope]) -> str:
        claims = {"iss": _ISSUER, "aud": self.host, "sub": caller.name, "access": list(map(asdict, access))}
        return self._tokens.sign(claims, lifetime=_TOKEN_LIFETIME)

    def access(self, token: str) -> Sequence[Scope] | None:
        try:
            claims = self._tokens.read(token)
        except TokenError:
            return None
        if claims.get("aud") != self.host or "access" not in claims:
            return None
        return [Scope(one["type"], one["name"], tuple(one["actions"])) for one in claims["access"]]

    async def _exchange(self, request: web.Request) -> web.Response:
        """Exchange an access token of Entra ID for a refresh token of the registry."""
        form = await form_fields(request)
        if form.get("grant_type") != "access_token":
            raise self._unsupported(form.get("grant_type", ""))
        if not form.get("service"):
            raise self._service_required()
        claims = self._claims(form.get("access_token", ""))
        audiences = self._entra.audiences
        accepted = audiences.registries | (audiences.arm if self._registry.arm_audience else frozenset())
        if str(claims.get("aud", "")).rstrip("/") not in accepted:
            raise self._unauthorized()
        principal = self._principal(str(claims.get("appid", "")))
        refresh = {
            "iss": _ISSUER,
            "aud": self.host,
            "sub": principal.id,
            "appid": principal.app_id,
            "grant_type": "refresh_token",
        }
        return web.json_response(
            {"refresh_token": self._tokens.sign(refresh, lifetime=_REFRESH_TOKEN_LIFETIME)}
        )

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            return self._tokens.read(token)
        except TokenError:
            raise self._unauthorized() from None

    # -- refusals --------------------------------------------------------------------------------------------

    def challenge(self, request: web.Request, scope: Scope | None, error: str) -> Refusal:
        # The detail describes scopes of repositories only.
        named = scope if scope is not None and scope.type == "repository" else None
        challenge = bearer_challenge(self.token_service(request), request.host, named, error)
        detail = [{"Type": named.type, "Name": named.name, "Action": named.actions[0]}] if named else None
        return self.refusal(401, "UNAUTHORIZED", _REFUSED, detail=detail, challenge=challenge)

    def unknown_repository(self, request: web.Request, repository: Repository) -> Refusal:
        return self.refusal(404, "NAME_UNKNOWN", f'repository "{repository.name}" is not found')

    def unknown_manifest(self, request: web.Request, reference: str) -> Refusal | None:
        return self.refusal(404, "MANIFEST_UNKNOWN", f'manifest tagged by "{reference}" is not found')

    def refusal(
        self, status: int, code: str, message: str, *, detail: Any = None, challenge: str = ""
    ) -> Refusal:
        # `detail` is always present.
        return super().refusal(status, code, message, detail=detail, challenge=challenge)

    def _unauthorized(self) -> Refusal:
        return self.refusal(401, "UNAUTHORIZED", _REFUSED)

    def _service_required(self) -> Refusal:
        return self.refusal(400, "BAD_REQUEST", "service is a required parameter")

    def _unsupported(self, grant_type: str) -> Refusal:
        return self.refusal(400, "UNSUPPORTED", f"grant type '{grant_type}' is not supported")
