"""The credential that is registered with Akka, and the name of its Akka secret."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, field

from bootstrap.model.errors import UsageProblem
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_NAME = re.compile(
    r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
)  # a DNS subdomain (RFC 1123), as Kubernetes names a secret
_NAME_LIMIT = 63  # a Kubernetes label, which Akka's resource names are


@dataclass(frozen=True)
class Credential:
    """Server, user name and password, and a reference to the key that the password is.

    Args:
        token_service: the only URL that may get the password, for a login that is worth more than a pull; ""
            for the registry and the token service that it names.
    """

    server: str
    username: str
    password: Secret
    link: KeyRef
    expires: dt.datetime | None = field(default=None)
    token_service: str = ""

    @property
    def email(self) -> str:
        return str(self.link)


def check_secret_name(name: str, *, where: str = "--secret-name") -> str:
    """Return the name unchanged if it is a valid name of an Akka secret.

    Raises:
        UsageProblem: it is not. `where` names the option in the message.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageProblem(
            f"{where}: {name!r} is not a valid name of an Akka secret",
            fix="It is lower-case letters, digits, dashes and dots, and begins and ends with a letter "
            "or digit",
        )
    return name


def secret_name(*parts: str) -> str:
    """Derive the name of the Akka secret from the parts that identify a registry.

    A name over the length limit is cut and gets a hash, so that two registries never share a name.

    >>> secret_name("europe-west1-docker.pkg.dev", "acme-shop", "containers")
    'europe-west1-docker-pkg-dev-acme-shop-containers'
    """
    name = _NOT_IN_A_NAME.sub("-", "-".join(filter(None, parts)).lower()).strip("-")
    if len(name) <= _NAME_LIMIT:
        return name
    mark = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    return f"{name[: _NAME_LIMIT - 9].rstrip('-')}-{mark}"
