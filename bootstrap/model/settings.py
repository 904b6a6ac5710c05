"""Settings that come from the environment, and the rule for endpoints.

An endpoint other than the cloud's own is for people behind Private Service Connect or in a sovereign cloud,
and for the sandbox.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its very name; a name that merely resolves to it does not count."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


@dataclass(frozen=True)
class Endpoint:
    """Where an API is, other than at its usual place."""

    scheme: str
    host: str
    port: int | None

    @property
    def plaintext(self) -> bool:
        return self.scheme == "http"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def grpc_target(self) -> str:
        return self.authority if self.port is not None else f"{self.authority}:443"


def endpoint(variable: str) -> Endpoint | None:
    """The endpoint that an environment variable names, or None if it is not set.

    Raises:
        UsageProblem: it is no http(s) URL of a host, or it is plaintext and not on loopback.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    return parse_endpoint(text, where=variable)


def parse_endpoint(text: str, *, where: str) -> Endpoint:
    """Read `https://HOST[:PORT]`; `where` is named in the error.

    Raises:
        UsageProblem: as for `endpoint`.
    """
    fix = "Write it as https://HOST or https://HOST:PORT."
    if "@" in text:
        # What is before it may be a password, so it is not repeated.
        raise UsageProblem(
            f"{where} must name a host only, and holds an @, as a user name or password before a host does",
            fix=fix,
            code=Code.SETTING,
        )
    if not _is_plain(text):
        raise UsageProblem(
            f"{where} may hold only printable ASCII characters without spaces: {text!a}",
            fix=fix,
            code=Code.SETTING,
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageProblem(f"{where} is not a URL: {text!r}", fix=fix, code=Code.SETTING) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageProblem(f"{where} is not an http(s) URL: {text!r}", fix=fix, code=Code.SETTING)
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username or parts.password:
        raise UsageProblem(
            f"{where} must name a host only, without path, query or user: {text!r}",
            fix=fix,
            code=Code.SETTING,
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageProblem(
            f"{where} is plaintext (http) and not on this machine, so keys could be read on the "
            f"way: {text!r}",
            fix="Use https; http is accepted for 127.0.0.1, [::1] and localhost only.",
            code=Code.SETTING,
        )
    return Endpoint(parts.scheme, parts.hostname, port)


CONNECT_TO = "PULLKEY_REGISTRY_CONNECT_TO"


def connect_to(registry_host: str) -> tuple[str, int] | None:
    """The address at which a registry is to be reached, if it is not the one its name leads to.

    `PULLKEY_REGISTRY_CONNECT_TO` is `HOST=ADDRESS:PORT[,...]`, where HOST may begin with `*.`; TLS is still
    spoken with, and verified for, HOST (like curl's `--connect-to`).

    Raises:
        UsageProblem: the variable is not of that form.
    """
    for entry in filter(None, (part.strip() for part in os.environ.get(CONNECT_TO, "").split(","))):
        name, _, address = entry.partition("=")
        host, _, port = address.rpartition(":")
        if not _is_plain(entry) or not name or not host or not (port.isdigit() and 0 < int(port[:6]) < 65536):
            shown = "an entry with an @" if "@" in entry else ascii(entry)
            raise UsageProblem(
                f"{CONNECT_TO}: {shown} is not of the form HOST=ADDRESS:PORT", code=Code.SETTING
            )
        if name == registry_host or (name.startswith("*.") and registry_host.endswith(name[1:])):
            return host.strip("[]"), int(port)
    return None


def check_addresses(registry_host: str) -> None:
    """Refuse every address in the environment that cannot be used, before anything is begun.

    Raises:
        UsageProblem: as for `endpoint` and `connect_to`.
    """
    for variable in sorted(os.environ):
        if variable.startswith("PULLKEY_") and variable.endswith(("_ENDPOINT", "_AUTHORITY_HOST")):
            endpoint(variable)
    connect_to(registry_host)


def state_directory() -> Path:
    """Where the journal is: `PULLKEY_STATE_DIR`, else the platform's own place for state."""
    configured = os.environ.get("PULLKEY_STATE_DIR")
    return Path(configured) if configured else platformdirs.user_state_path("pullkey")
