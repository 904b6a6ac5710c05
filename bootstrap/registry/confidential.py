"""The secrets of an exchange, removed from what the registry says: the password, as it is and as it is sent,
and its tokens.
"""

from __future__ import annotations

import base64

from bootstrap.model.secret import Secret

_LONG = 256


class Confidential:
    """Secrets that a registry may repeat in what it says."""

    def __init__(self) -> None:
        self._secrets: list[Secret] = []

    def add(self, secret: Secret) -> None:
        self._secrets.append(secret)

    def add_login(self, username: str, password: Secret) -> str:
        """Add a login.

        Returns:
            the value of its `Authorization` header (RFC 7617).
        """
        joined = f"{username}:{password.reveal()}".encode()
        sent = base64.b64encode(joined).decode("ascii")
        self._secrets.append(password)
        # A long password is recognised in the header by its own encoded forms.
        if len(joined) < _LONG:
            self._secrets += [Secret(sent), Secret(base64.urlsafe_b64encode(joined).decode("ascii"))]
        return f"Basic {sent}"

    def clean(self, text: str) -> str:
        """The text without these secrets."""
        for secret in self._secrets:
            text = secret.redact(text)
        return text
