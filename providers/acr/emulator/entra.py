"""Entra ID: OpenID discovery, and the token endpoint for applications.

Error numbers and texts: "Microsoft Entra authentication and authorization error codes".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, RestApi, form_fields
from providers.acr.emulator.answers import ApiError, answering, entra_error
from providers.acr.emulator.state import Application, AzureState
from providers.acr.emulator.tokens import AS_USER, TokenError, Tokens

ASSERTION_AUDIENCE = "api://AzureADTokenExchange"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_ISSUER = "https://sandbox.pullkey.example/workloads"
_ASSERTION_LIFETIME = 365 * 24 * 3600
_ACCESS_TOKEN_LIFETIME = 3599
_DEFAULT_DIRECTORY_ROLE = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
"""Part of `wids` in every app-only token."""
_USER_NAME = "person@acme.example"


@dataclass(frozen=True)
class Audiences:
    """The resources for which tokens are issued, without a trailing slash."""

    arm: frozenset[str]
    graph: frozenset[str]
    registries: frozenset[str] = frozenset({"https://containerregistry.azure.net"})
    """The resource of `az acr login`."""

    def __contains__(self, resource: str) -> bool:
        return resource.rstrip("/") in self.arm | self.graph | self.registries


class EntraId:
    """The authority. `address` is its own URL, set once it is served."""

    def __init__(self, state: AzureState, tokens: Tokens, gate: CallGate) -> None:
        self._state = state
        self._tokens = tokens
        self.address = ""
        self.audiences = Audiences(frozenset(), frozenset())
        self.app = web.Application()
        api = RestApi(gate, "entra", entra_error, self.app)
        for path in (
            "/{tenant}/v2.0/.well-known/openid-configuration",
            "/{tenant}/.well-known/openid-configuration",
        ):
            api.route("GET", path, "GetConfiguration", answering(self._configuration, entra_error))
        api.route("GET", "/common/discovery/instance", "GetInstance", self._instance)
        api.route("GET", "/{tenant}/discovery/v2.0/keys", "GetKeys", self._keys)
        token = answering(self._token, entra_error)
        api.route("POST", "/{tenant}/oauth2/v2.0/token", "GetToken", token, changes=False)

    def federated_assertion(self) -> str:
        """The operator's workload token, which a platform with workload identity federation writes
        to a file.
        """
        claims: dict[str, object] = {
            "iss": _ASSERTION_ISSUER,
            "sub": self._state.operator.federated_subject,
            "aud": ASSERTION_AUDIENCE,
        }
        return self._tokens.sign(claims, lifetime=_ASSERTION_LIFETIME)

    def _known_tenant(self, request: web.Request) -> str:
        tenant = request.match_info["tenant"].lower()
        if tenant not in (self._state.tenant_id, "common", "organizations"):
            raise ApiError(
                400,
                "invalid_request",
                f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct "
                "tenant ID and are "
                "signing into the correct cloud. Check with your subscription administrator, this "
                "may happen if "
                "there are no active subscriptions for the tenant.",
            )
        return self._state.tenant_id

    async def _configuration(self, request: web.Request) -> web.Response:
        root = f"{self.address}/{self._known_tenant(request)}"
        return web.json_response(
            {
                "issuer": f"{root}/v2.0",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{root}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code", "id_token", "token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _instance(self, _request: web.Request) -> web.Response:
        host = self.address.removeprefix("https://")
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{self.address}/{self._state.tenant_id}/v2.0"
                "/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response(self._tokens.public_keys())

    async def _token(self, request: web.Request) -> web.Response:
        tenant = self._known_tenant(request)
        form = await form_fields(request)
        if form.get("grant_type") != "client_credentials":
            raise ApiError(
                400,
                "unsupported_grant_type",
                f"AADSTS70003: The app requested an unsupported grant type '{form.get('grant_type', '')}'.",
            )
        application = self._application(form.get("client_id", ""))
        self._prove(application, form)
        principal = self._state.principal_by_app_id(application.app_id)
        if principal is None:
            raise ApiError(
                401,
                "unauthorized_client",
                f"AADSTS7000229: The client application {application.app_id} is missing service "
                "principal in the "
                f"tenant {tenant}. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
            )
        if not principal.enabled:
            raise ApiError(
                401,
                "unauthorized_client",
                f"AADSTS7000112: Application '{application.app_id}'({application.display_name}) is disabled.",
            )
        resource = self._resource(form.get("scope", ""))
        claims: dict[str, object] = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{tenant}/",
            "tid": tenant,
            "oid": principal.id,
            "sub": principal.id,
            "appid": application.app_id,
            "appidacr": "2" if "client_assertion" in form else "1",
            "idtyp": "app",
            "ver": "1.0",
        }
        if resource.rstrip("/") in self.audiences.graph:
            is_operator = application.app_id == self._state.operator.app_id
            directory_roles: Iterable[str] = sorted(self._state.directory_roles) if is_operator else ()
            claims["wids"] = [_DEFAULT_DIRECTORY_ROLE, *directory_roles]
            if is_operator and self._state.operator_is_user:
                claims |= {"idtyp": "user", "scp": AS_USER, "upn": _USER_NAME, "wids": [*directory_roles]}
            elif is_operator and self._state.graph_roles:
                claims["roles"] = sorted(self._state.graph_roles)
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": _ACCESS_TOKEN_LIFETIME,
                "ext_expires_in": _ACCESS_TOKEN_LIFETIME,
                "access_token": self._tokens.sign(claims, lifetime=_ACCESS_TOKEN_LIFETIME),
            }
        )

    def _application(self, client_id: str) -> Application:
        application = self._state.application_by_app_id(client_id)
        if application is None or not self._state.replicas.seen(application.lifetime):
            raise ApiError(
                400,
                "unauthorized_client",
                f"AADSTS700016: Application with identifier '{client_id}' was not found in the directory "
                f"'{self._state.tenant_name}'. This can happen if the application has not been "
                "installed by the "
                "administrator of the tenant or consented to by any user in the tenant. You may "
                "have sent your "
                "authentication request to the wrong tenant.",
            )
        return application

    def _prove(self, application: Application, form: dict[str, str]) -> None:
        if "client_assertion" in form:
            self._prove_by_federation(application, form)
            return
        if "client_secret" not in form:
            raise ApiError(
                401,
                "invalid_client",
                "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or "
                "'client_secret'.",
            )
        match self._state.secret_problem(application, form["client_secret"]):
            case "invalid":
                raise ApiError(
                    401,
                    "invalid_client",
                    "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent "
                    "in the request is "
                    "the client secret value, not the client secret ID, for a secret added to app "
                    f"'{application.app_id}'.",
                )
            case "expired":
                raise ApiError(
                    401,
                    "invalid_client",
                    f"AADSTS7000222: The provided client secret keys for app '{application.app_id}' "
                    "are expired. "
                    "Visit the Azure portal to create new keys for your app: "
                    "https://aka.ms/NewClientSecret, or "
                    "consider using certificate credentials for added security: https://aka.ms/certCreds.",
                )

    def _prove_by_federation(self, application: Application, form: dict[str, str]) -> None:
        try:
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise TokenError("type")
            claims = self._tokens.read(form["client_assertion"])
        except TokenError:
            raise ApiError(
                401,
                "invalid_client",
                "AADSTS50027: JWT token is invalid or malformed.",
            ) from None
        operator = self._state.operator
        expected = (operator.app_id, ASSERTION_AUDIENCE, operator.federated_subject)
        if (application.app_id, claims.get("aud"), claims.get("sub")) != expected:
            raise ApiError(
                401,
                "invalid_client",
                "AADSTS700213: No matching federated identity record found for presented assertion subject "
                f"'{claims.get('sub')}'. Check your federated identity credential Subject, Audience "
                "and Issuer "
                "against the presented assertion.",
            )

    def _resource(self, scope: str) -> str:
        if not scope.endswith("/.default"):
            raise ApiError(
                400,
                "invalid_scope",
                f"AADSTS1002012: The provided value for scope {scope} is not valid. Client "
                "credential flows must "
                "have a scope value with /.default suffixed to the resource identifier (application ID URI).",
            )
        resource = scope.removesuffix("/.default")
        if resource not in self.audiences:
            raise ApiError(
                400,
                "invalid_resource",
                f"AADSTS500011: The resource principal named {resource} was not found in the tenant named "
                f"{self._state.tenant_name}. This can happen if the application has not been "
                "installed by the "
                "administrator of the tenant or consented to by any user in the tenant.",
            )
        return resource
