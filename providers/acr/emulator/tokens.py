"""The JSON web tokens of the sandbox: made and read with one RSA key that lives as long as it does."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from providers.acr.emulator.answers import ApiError

AS_USER = "Directory.AccessAsUser.All"
"""The scope of a token that may do what its user may."""
_OF_ONE_TOKEN = ("iat", "nbf", "exp", "jti", "uti")


class TokenError(ValueError):
    """Raised for a token that is not ours, was changed, or has expired; the text says which."""


@dataclass(frozen=True)
class Caller:
    """Who a token speaks for, and the Graph rights it carries: application permissions, or scopes."""

    object_id: str
    app_id: str
    graph_roles: frozenset[str]
    directory_roles: frozenset[str]


class Tokens:
    """Signs claims and reads them back.

    Lifetimes are those of the machine's clock, not the sandbox's: the clients that keep a token compare it
    with theirs.
    """

    def __init__(self) -> None:
        self._key = generate_private_key(public_exponent=65537, key_size=2048)
        self.key_id = uuid.uuid4().hex
        self._read: dict[str, dict[str, Any]] = {}

    def sign(self, claims: Mapping[str, Any], *, lifetime: int) -> str:
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "kid": self.key_id}
        body = {"iat": now, "nbf": now, "exp": now + lifetime, **claims}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(body).encode())}"
        return f"{signed}.{_encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token.

        Raises:
            TokenError: it must not be believed.
        """
        # Each token is sent many times; its signature stays valid, unlike the token.
        if token not in self._read:
            self._read[token] = self._claims(token)
        claims = self._read[token]
        if claims["exp"] <= time.time():
            raise TokenError("expired")
        return {**claims}

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header, body, signature = token.split(".")
            self._key.public_key().verify(
                _decode(signature), f"{header}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            claims: dict[str, Any] = json.loads(_decode(body))
        except (ValueError, InvalidSignature):
            raise TokenError("invalid") from None
        return claims

    def login_of(self, token: str) -> str | None:
        """What a token says of its holder and of what it is for, which a later one says too; None for no
        token of ours.
        """
        try:
            claims = self.read(token)
        except TokenError:
            return None
        return json.dumps(
            {name: claim for name, claim in claims.items() if name not in _OF_ONE_TOKEN}, sort_keys=True
        )

    def public_keys(self) -> dict[str, Any]:
        """The JSON web key set that the OpenID configuration names."""
        numbers = self._key.public_key().public_numbers()
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        exponent = numbers.e.to_bytes(3, "big")
        key = {"kty": "RSA", "use": "sig", "kid": self.key_id, "n": _encode(modulus), "e": _encode(exponent)}
        return {"keys": [key]}

    def caller(self, request: web.Request, audiences: Iterable[str], *, challenge: str) -> Caller:
        """Who sends a request, by its bearer token.

        Raises:
            ApiError: 401; there is no token, or not one for `audiences`.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise TokenError("empty")
            claims = self.read(token)
            if str(claims.get("aud", "")).rstrip("/") not in audiences:
                raise TokenError("audience")
        except TokenError as problem:
            code, message = {
                "empty": (
                    "AuthenticationFailed",
                    "Authentication failed. The 'Authorization' header is missing.",
                ),
                "expired": (
                    "ExpiredAuthenticationToken",
                    "The access token expiry UTC time is earlier than current UTC time.",
                ),
                "audience": (
                    "InvalidAuthenticationTokenAudience",
                    "The access token has been obtained for wrong audience or resource.",
                ),
            }.get(str(problem), ("InvalidAuthenticationToken", "The access token is invalid."))
            raise ApiError(401, code, message, headers={"WWW-Authenticate": challenge}) from None
        return Caller(
            object_id=claims["oid"],
            app_id=claims["appid"],
            graph_roles=frozenset([*claims.get("roles", ()), *claims.get("scp", "").split()]),
            directory_roles=frozenset(claims.get("wids", ())),
        )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
