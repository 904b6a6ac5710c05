"""Authentication: access tokens, self-signed tokens, the token endpoint, and impersonation.

Sources: "Using OAuth 2.0 for Server to Server Applications" (the jwt-bearer grant), the IAM Credentials
reference, and reported errors: `Invalid JWT Signature.` (googleapis/google-cloud-python#10004), `Invalid
grant: account not found` for an account that is disabled or does not exist
(googleapis/google-cloud-php#3622), `The account has been deleted` (GAM-team/GAM#1171).
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bootstrap.sandbox.calls import CallGate, RestApi
from providers.gcr.emulator.access import Access, Caller
from providers.gcr.emulator.errors import CloudError, code_of_status, permission_denied, unauthenticated
from providers.gcr.emulator.state import GoogleState, ServiceAccount, base64url

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_GOOGLE_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"
_LIFETIME: Final = dt.timedelta(hours=1)
_SKEW: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class AccessToken:
    email: str
    expires: dt.datetime


class RefusedAssertionError(Exception):
    """A JWT was not accepted. The text is the token endpoint's `error_description`."""


class Tokens:
    """Issues access tokens and authenticates callers."""

    def __init__(self, state: GoogleState) -> None:
        self._state = state
        self._issued: dict[str, AccessToken] = {}
        self._signatures: set[tuple[str, str]] = set()

    def issue(self, email: str, lifetime: dt.timedelta = _LIFETIME) -> tuple[str, dt.datetime]:
        """Issue an access token for an account. Return the token and its expiry."""
        token = "ya29.c." + secrets.token_urlsafe(48)
        expires = self._state.now() + lifetime
        self._issued[token] = AccessToken(email, expires)
        return token, expires

    def account_of(self, token: str) -> str | None:
        """The account of an access token, if the token is valid.

        A token outlives the key with which it was obtained, but not its account (IAM documentation, "Delete
        service account keys": deleting a key does not revoke short-lived credentials issued with it).
        """
        issued = self._issued.get(token)
        if issued is None or issued.expires <= self._state.now():
            return None
        account = self._state.account(issued.email)
        return issued.email if account is not None and not account.disabled else None

    def login_of(self, token: str) -> str | None:
        """The account that a token was issued to or signed by; None for a token of others."""
        if (issued := self._issued.get(token)) is not None:
            return issued.email
        try:
            return str(self.verify(token)["iss"])
        except RefusedAssertionError:
            return None

    def is_anonymous(self, token: str) -> bool:
        """Whether this is a valid token that the registry issued to an anonymous caller."""
        issued = self._issued.get(token)
        return issued is not None and not issued.email and issued.expires > self._state.now()

    def authenticate(self, authorization: str, service: str) -> Caller:
        """The caller of an API, from the `Authorization` header.

        Raises:
            CloudError: UNAUTHENTICATED.
        """
        scheme, _, token = authorization.partition(" ")
        if not token:
            raise unauthenticated("CREDENTIALS_MISSING", service)
        if scheme.lower() != "bearer":
            raise unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", service)
        if token.count(".") == 2 and not token.startswith("ya29."):
            return self._self_signed(token, service)
        email = self.account_of(token)
        if email is None:
            expired = token in self._issued
            reason = "ACCESS_TOKEN_EXPIRED" if expired else "ACCESS_TOKEN_TYPE_UNSUPPORTED"
            raise unauthenticated(reason, service)
        return Caller(email)

    def check_front_end(self, service: str) -> None:
        """Refuse what Google's front end refuses, before the API sees the call.

        Raises:
            CloudError: it is refused.
        """
        if (refusal := self._state.refusals.get(service)) is not None:
            raise refusal

    def _self_signed(self, token: str, service: str) -> Caller:
        try:
            claims = self.verify(token)
        except RefusedAssertionError:
            raise unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", service) from None
        # A self-signed token is valid for the one API that it names, or for scopes (AIP-4111).
        if "scope" not in claims and claims.get("aud") != f"https://{service}/":
            raise unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", service)
        return Caller(str(claims["iss"]))

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a JWT that is signed with a usable key of the account that it names.

        Raises:
            RefusedAssertionError: it is not.
        """
        head, _, rest = token.partition(".")
        body, _, signature = rest.partition(".")
        try:
            header, claims = json.loads(base64url(head)), json.loads(base64url(body))
            signed = base64url(signature)
            email, key_id = str(claims["iss"]), str(header.get("kid", ""))
            begin, end = (dt.datetime.fromtimestamp(int(claims[it]), dt.UTC) for it in ("iat", "exp"))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RefusedAssertionError("Invalid JWT: Failed to parse.") from None
        account = self._state.account(email)
        if account is None and self._state.was_deleted(email):
            raise RefusedAssertionError("The account has been deleted")
        if account is None or account.disabled:
            raise RefusedAssertionError("Invalid grant: account not found")
        key = self._state.usable_key(email, key_id)
        try:
            if key is None or header.get("alg") != "RS256":
                raise RefusedAssertionError("Invalid JWT Signature.")
            # Each token is sent many times.
            if (token, key.id) not in self._signatures:
                key.public_key.verify(signed, f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
                self._signatures.add((token, key.id))
        except InvalidSignature:
            raise RefusedAssertionError("Invalid JWT Signature.") from None
        # The client signs by the machine's clock, even if the sandbox's was advanced.
        now = dt.datetime.now(dt.UTC)
        if not (begin - _SKEW <= now < end + _SKEW) or end - begin > _LIFETIME + _SKEW:
            raise RefusedAssertionError(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
        return dict(claims)


class OAuthServer:
    """`POST /token` and `generateAccessToken`, over HTTP."""

    def __init__(self, state: GoogleState, access: Access, tokens: Tokens) -> None:
        self._state = state
        self._access = access
        self._tokens = tokens

    def add_token_endpoint(self, gate: CallGate, app: web.Application) -> None:
        RestApi(gate, "oauth", _oauth_fault, app).route(
            "POST", "/token", "GetToken", self._token, changes=False
        )

    def add_iam_credentials(self, gate: CallGate, app: web.Application) -> None:
        RestApi(gate, "iamcredentials", render_fault, app).route(
            "POST",
            r"/v1/projects/{project:[^/]+}/serviceAccounts/{account:[^/:]+}:generateAccessToken",
            "GenerateAccessToken",
            self._generate_access_token,
            changes=False,
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if form.get("grant_type") != _GRANT:
            return _oauth_error(
                400, "unsupported_grant_type", "Invalid grant_type: " + str(form.get("grant_type"))
            )
        try:
            claims = self._tokens.verify(str(form.get("assertion", "")))
        except RefusedAssertionError as error:
            return _oauth_error(400, "invalid_grant", str(error))
        if claims.get("aud") not in (_GOOGLE_TOKEN_URI, self._state.token_uri):
            return _oauth_error(400, "invalid_grant", "Invalid JWT: Failed audience check.")
        if not (claims.get("scope") or claims.get("target_audience")):
            return _oauth_error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token, _ = self._tokens.issue(str(claims["iss"]))
        return web.json_response(
            {"access_token": token, "expires_in": int(_LIFETIME.total_seconds()) - 1, "token_type": "Bearer"}
        )

    async def _generate_access_token(self, request: web.Request) -> web.StreamResponse:
        try:
            account, seconds = await self._impersonated(request)
        except CloudError as error:
            return web.json_response(error.body(), status=error.http_status)
        token, expires = self._tokens.issue(account.email, dt.timedelta(seconds=seconds))
        return web.json_response({"accessToken": token, "expireTime": f"{expires:%Y-%m-%dT%H:%M:%SZ}"})

    async def _impersonated(self, request: web.Request) -> tuple[ServiceAccount, float]:
        """The account to impersonate, and the lifetime of the token in seconds."""
        authorization = request.headers.get("Authorization", "")
        caller = self._tokens.authenticate(authorization, "iamcredentials.googleapis.com")
        permission = "iam.serviceAccounts.getAccessToken"
        account = self._state.account(request.match_info["account"])
        if account is None or not self._access.holds(caller.email, permission, account):
            message = f"Permission '{permission}' denied on resource (or it may not exist)."
            raise permission_denied(message, "iam.googleapis.com", permission)
        if account.disabled:
            raise CloudError("FAILED_PRECONDITION", "Service account is disabled.")
        body = await request.json()
        if not body.get("scope"):
            raise CloudError("INVALID_ARGUMENT", "Request contains an invalid argument.")
        return account, float(str(body.get("lifetime", "3600s")).removesuffix("s"))


def render_fault(status: int, code: str, message: str) -> web.Response:
    """An injected failure, in the form of Google's REST errors."""
    name = code or code_of_status(status)
    return web.json_response({"error": {"code": status, "message": message, "status": name}}, status=status)


def _oauth_fault(status: int, code: str, message: str) -> web.Response:
    return _oauth_error(status, code or "internal_failure", message)


def _oauth_error(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)
