"""Settings from environment variables, and the rules for API endpoints.

Endpoints other than the cloud's own serve Private Service Connect, sovereign clouds and the sandbox.
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
    """Whether `host` is `localhost` or a loopback address. A name that resolves to one does not count."""
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
    """The address of an API that is not at its usual place."""

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
    """The endpoint in an environment variable; None if it is not set.

    Raises:
        UsageProblem: it is not the http(s) URL of a host, or it is plaintext and not loopback.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    return parse_endpoint(text, where=variable)


def parse_endpoint(text: str, *, where: str) -> Endpoint:
    """Parse `https://HOST[:PORT]`; `where` names the setting in the error.

    Raises:
        UsageProblem: as for `endpoint`.
    """
    fix = "Write it as https://HOST or https://HOST:PORT."
    if "@" in text:
        # The text before the @ may be a password: do not repeat it.
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
    """The address to connect to for a registry, if the user has overridden it.

    `PULLKEY_REGISTRY_CONNECT_TO` is `HOST=ADDRESS:PORT[,...]`, where HOST may begin with `*.`. TLS still
    verifies HOST, as with curl's `--connect-to`.

    Raises:
        UsageProblem: the variable does not have that form.
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
    """Check all endpoints and addresses in the environment before a run starts.

    Raises:
        UsageProblem: as for `endpoint` and `connect_to`.
    """
    for variable in sorted(os.environ):
        if variable.startswith("PULLKEY_") and variable.endswith(("_ENDPOINT", "_AUTHORITY_HOST")):
            endpoint(variable)
    connect_to(registry_host)


def state_directory() -> Path:
    """The journal's directory: `PULLKEY_STATE_DIR`, else the platform's directory for state.

    Raises:
        UsageProblem: it is in the home directory, and there is none.
    """
    configured = os.environ.get("PULLKEY_STATE_DIR")
    try:
        # A file of settings does not expand the `~`, as a shell does.
        return Path(configured).expanduser() if configured else platformdirs.user_state_path("pullkey")
    except RuntimeError:
        raise UsageProblem(
            "There is no home directory for the journal: HOME is not set, and this user has none",
            fix="Name another place with PULLKEY_STATE_DIR: it is to outlast the run.",
            code=Code.SETTING,
        ) from None
