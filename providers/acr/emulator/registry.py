"""The data plane of one container registry: the challenge, the token service, and the images.

Sources: Azure/acr "Token-BasicAuth" (challenge, token call) and "AAD-OAuth" (a token of Entra ID's is exchanged for a
refresh token, which is also the password of the user 00000000-…; recorded runs of `az acr`), "Azure Container Registry
roles" (who pulls in which mode),
"Troubleshoot registry login" and "Configure rules to access a registry behind a firewall" (how it refuses).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, Handler, RestApi
from bootstrap.sandbox.images import ImageStore
from providers.acr.emulator.answers import ApiError, answering, form_fields, registry_error_form
from providers.acr.emulator.entra import EntraId
from providers.acr.emulator.roles import CONTENT_READ, CONTENT_WRITE, PULL_ACTION, PUSH_ACTION
from providers.acr.emulator.scoped_tokens import allowed_by
from providers.acr.emulator.state import AzureState, Registry, ServicePrincipal, Token
from providers.acr.emulator.tokens import TokenError, Tokens

_TOKEN_LIFETIME = 75 * 60
_REFRESH_TOKEN_LIFETIME = 3 * 60 * 60
_ISSUER = "Azure Container Registry"
_WITH_REFRESH_TOKEN = "00000000-0000-0000-0000-000000000000"
"""The user name with which a refresh token is the password."""
_REFUSED = "authentication required, visit https://aka.ms/acr/authorization for more information."


@dataclass(frozen=True)
class _Puller:
    """Who asks for a token: what it is known by, and what it may do with a repository."""

    name: str
    allowed: Callable[[str], set[str]]
    lists: bool = False


class RegistryService:
    """One registry on a port of its own."""

    def __init__(
        self,
        registry: Registry,
        state: AzureState,
        entra: EntraId,
        tokens: Tokens,
        images: ImageStore,
        gate: CallGate,
    ) -> None:
        self._registry = registry
        self._entra = entra
        self._state = state
        self._tokens = tokens
        self._images = images
        self.app = web.Application()
        api = RestApi(gate, "registry", registry_error_form, self.app)

        def route(verb: str, path: str, method: str, handler: Handler) -> None:
            guarded = answering(self._behind_firewall(handler), registry_error_form)
            api.route(verb, path, method, guarded, changes=False, resource=self._resource)

        route("GET", "/v2/", "Ping", self._ping)
        route("GET", "/oauth2/token", "GetToken", self._token_by_basic)
        route("POST", "/oauth2/token", "GetToken", self._token_by_form)
        route("POST", "/oauth2/exchange", "ExchangeToken", self._exchange)
        route("GET", "/v2/_catalog", "ListRepositories", self._catalog)
        route("GET", "/v2/{name:.+}/tags/list", "ListTags", self._tags)
        for verb in ("GET", "HEAD"):
            route(verb, "/v2/{name:.+}/manifests/{reference}", "GetManifest", self._manifest)
            route(verb, "/v2/{name:.+}/blobs/{digest}", "GetBlob", self._blob)

    def _resource(self, request: web.Request) -> str:
        return f"{self._registry.login_server}{request.path}"

    def _behind_firewall(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            address = request.remote or ""
            if not self._passes(address):
                raise ApiError(
                    403,
                    "DENIED",
                    f"client with IP '{address}' is not allowed access. Refer https://aka.ms/acr/firewall to grant "
                    f"access. CorrelationId: {uuid.uuid4()}",
                )
            return await handler(request)

        return answer

    def _passes(self, address: str) -> bool:
        if not self._registry.public_network_access:
            return False
        if not self._registry.firewall_denies:
            return True
        networks = [ipaddress.ip_network(one, strict=False) for one in self._registry.allowed_addresses]
        return any(ipaddress.ip_address(address) in network for network in networks)

    # -- tokens --------------------------------------------------------------------------------------------------

    async def _token_by_basic(self, request: web.Request) -> web.Response:
        scopes = request.query.getall("scope", [])
        header = request.headers.get("Authorization", "")
        if not header:
            return self._issue(self._anybody(), scopes, request.query.get("service"))
        try:
            scheme, _, given = header.partition(" ")
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
            if scheme.lower() != "basic":
                raise _refused()
        except (binascii.Error, UnicodeDecodeError):
            raise _refused() from None
        return self._issue(self._puller(user, password), scopes, request.query.get("service"))

    async def _token_by_form(self, request: web.Request) -> web.Response:
        form = await form_fields(request)
        match form.get("grant_type"):
            case "password":
                puller = self._puller(form.get("username", ""), form.get("password", ""))
            case "refresh_token":
                puller = self._by_refresh_token(form.get("refresh_token", ""))
            case other:
                raise ApiError(400, "UNSUPPORTED", f"grant type '{other or ''}' is not supported")
        return self._issue(puller, form.get("scope", "").split(), form.get("service"))

    async def _exchange(self, request: web.Request) -> web.Response:
        """A refresh token of the registry's for an access token of Entra ID's."""
        form = await form_fields(request)
        if form.get("grant_type") != "access_token":
            raise ApiError(400, "UNSUPPORTED", f"grant type '{form.get('grant_type', '')}' is not supported")
        if not form.get("service"):
            raise _service_required()
        try:
            claims = self._tokens.read(form.get("access_token", ""))
        except TokenError:
            raise _refused() from None
        audiences = self._entra.audiences
        taken = audiences.registries | (audiences.arm if self._registry.arm_audience else frozenset())
        if str(claims.get("aud", "")).rstrip("/") not in taken:
            raise _refused()
        principal = self._principal(str(claims.get("appid", "")))
        refresh = {
            "iss": _ISSUER,
            "aud": self._registry.login_server,
            "sub": principal.id,
            "appid": principal.app_id,
            "grant_type": "refresh_token",
        }
        return web.json_response(
            {"refresh_token": self._tokens.sign(refresh, lifetime=_REFRESH_TOKEN_LIFETIME)}
        )

    def _by_refresh_token(self, token: str) -> _Puller:
        try:
            claims = self._tokens.read(token)
        except TokenError:
            raise _refused() from None
        ours = (claims.get("aud"), claims.get("grant_type")) == (
            self._registry.login_server,
            "refresh_token",
        )
        if not ours:
            raise _refused()
        return self._of(self._principal(str(claims.get("appid", ""))))

    def _puller(self, user: str, password: str) -> _Puller:
        """Whom user name and password prove: a service principal, a token of this registry, or a refresh token."""
        if user == _WITH_REFRESH_TOKEN:
            return self._by_refresh_token(password)
        token = self._registry.tokens.get(user.lower())
        if token is not None:
            if token.status == "disabled" or not self._proves(token, password):
                raise _refused()
            return _Puller(token.name, lambda repository: allowed_by(self._registry, token, repository))
        application = self._state.application_by_app_id(user)
        if application is None or self._state.secret_problem(application, password):
            raise _refused()
        return self._of(self._principal(application.app_id))

    def _principal(self, app_id: str) -> ServicePrincipal:
        principal = self._state.principal_by_app_id(app_id)
        if principal is None or not principal.enabled:
            raise _refused()
        return principal

    def _of(self, principal: ServicePrincipal) -> _Puller:
        allowed = self._allowed(principal.id)
        # An identity without any right here is told what a wrong password is told.
        if not allowed:
            raise _refused()
        return _Puller(principal.id, lambda _repository: allowed, lists=not self._registry.abac)

    def _proves(self, token: Token, password: str) -> bool:
        for one in token.passwords.values():
            if secrets.compare_digest(one.text.encode(), password.encode()):
                expired = one.expiry is not None and one.expiry <= self._state.now()
                return not expired and self._state.replicas.honoured(one.lifetime)
        return False

    def _anybody(self) -> _Puller:
        if not self._registry.anonymous_pull:
            raise _refused()
        return _Puller("", lambda _repository: {"pull"})

    def _issue(self, puller: _Puller, scopes: Iterable[str], service: str | None) -> web.Response:
        if not service:
            raise _service_required()
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            if rest == "catalog:*":
                access.append({"type": kind, "name": "catalog", "actions": ["*"] if puller.lists else []})
            elif kind == "repository":
                granted = [one for one in actions.split(",") if one in puller.allowed(name)]
                access.append({"type": kind, "name": name, "actions": granted})
        claims = {
            "iss": _ISSUER,
            "aud": self._registry.login_server,
            "sub": puller.name,
            "access": access,
        }
        return web.json_response({"access_token": self._tokens.sign(claims, lifetime=_TOKEN_LIFETIME)})

    def _allowed(self, principal_id: str) -> set[str]:
        """What a principal may do with this registry's images."""
        if self._registry.abac:
            check, actions = self._state.allowed_data, {"pull": CONTENT_READ, "push": CONTENT_WRITE}
        else:
            check, actions = self._state.allowed, {"pull": PULL_ACTION, "push": PUSH_ACTION}
        return {name for name, action in actions.items() if check(principal_id, action, self._registry.id)}

    # -- the Distribution API ------------------------------------------------------------------------------------

    async def _ping(self, request: web.Request) -> web.Response:
        self._claims(request, "")
        return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})

    async def _catalog(self, request: web.Request) -> web.Response:
        access = self._claims(request, "").get("access", [])
        if not isinstance(access, list) or not any(
            one["name"] == "catalog" and "*" in one["actions"] for one in access
        ):
            raise self._challenge(request, "", "insufficient_scope")
        return web.json_response({"repositories": await self._images.below(self._registry.login_server)})

    async def _tags(self, request: web.Request) -> web.Response:
        name = self._pullable(request)
        tags = await self._images.tags(self._stored(name))
        if tags is None:
            raise ApiError(404, "NAME_UNKNOWN", f'repository "{name}" is not found')
        return web.json_response({"name": name, "tags": tags})

    async def _manifest(self, request: web.Request) -> web.Response:
        name = self._pullable(request)
        head = request.method == "HEAD"
        response = await self._images.manifest(self._stored(name), request.match_info["reference"], head=head)
        if response.status == 404:
            raise ApiError(
                404,
                "MANIFEST_UNKNOWN",
                f'manifest tagged by "{request.match_info["reference"]}" is not found',
            )
        return response

    async def _blob(self, request: web.Request) -> web.Response:
        name = self._pullable(request)
        head = request.method == "HEAD"
        return await self._images.blob(self._stored(name), request.match_info["digest"], head=head)

    def _stored(self, name: str) -> str:
        return f"{self._registry.login_server}/{name}"

    def _pullable(self, request: web.Request) -> str:
        """The repository that a request names, if its token lets it be pulled."""
        name = request.match_info["name"]
        access = self._claims(request, name).get("access", [])
        if not isinstance(access, list) or not any(
            one["name"] == name and "pull" in one["actions"] for one in access
        ):
            raise self._challenge(request, name, "insufficient_scope")
        return name

    def _claims(self, request: web.Request, name: str) -> dict[str, object]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise self._challenge(request, name, "")
        try:
            claims = self._tokens.read(token)
        except TokenError:
            raise self._challenge(request, name, "invalid_token") from None
        if claims.get("aud") != self._registry.login_server or "access" not in claims:
            raise self._challenge(request, name, "invalid_token")
        return claims

    def _challenge(self, request: web.Request, name: str, error: str) -> ApiError:
        # The host that the client used, so that a client at a loopback address finds its way back here.
        challenge = f'Bearer realm="https://{request.host}/oauth2/token",service="{request.host}"'
        details = []
        if name:
            challenge += f',scope="repository:{name}:pull"'
            details = [{"Type": "repository", "Name": name, "Action": "pull"}]
        if error:
            challenge += f',error="{error}"'
        return ApiError(
            401, "UNAUTHORIZED", _REFUSED, details=details, headers={"WWW-Authenticate": challenge}
        )


def _service_required() -> ApiError:
    return ApiError(400, "BAD_REQUEST", "service is a required parameter")


def _refused() -> ApiError:
    return ApiError(401, "UNAUTHORIZED", _REFUSED)
