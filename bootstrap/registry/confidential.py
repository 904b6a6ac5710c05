"""What must not be shown of an exchange: the password, as it is and as it is sent, and what it is
exchanged for.
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
        """Take a login; the value of `Authorization` that it is sent with (RFC 7617)."""
        joined = f"{username}:{password.reveal()}".encode()
        sent = base64.b64encode(joined).decode("ascii")
        self._secrets.append(password)
        # A long password is found in what is sent by the forms that it has itself.
        if len(joined) < _LONG:
            self._secrets += [Secret(sent), Secret(base64.urlsafe_b64encode(joined).decode("ascii"))]
        return f"Basic {sent}"

    def clean(self, text: str) -> str:
        """A text without any of them."""
        for secret in self._secrets:
            text = secret.redact(text)
        return text
