"""Parse what users type for a registry: a host, a URL or an image reference."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from bootstrap.model.errors import UsageProblem
from bootstrap.model.metadata_hosts import is_metadata_host
from bootstrap.model.typed_logins import refuse_login

# The grammar of the Distribution specification (reference.go): path components, tag, digest.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"^{_COMPONENT}(?:/{_COMPONENT})*$")
_TAG = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
_LABEL = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")


@dataclass(frozen=True)
class ImageReference:
    """`HOST[:PORT]/PATH[:TAG][@DIGEST]`; `path` and `reference` are empty if only a host was given."""

    host: str
    port: int | None
    path: str
    reference: str

    @property
    def registry(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        if not self.path:
            return self.registry
        separator = "@" if self.reference.startswith("sha256:") else ":"
        return f"{self.registry}/{self.path}{separator}{self.reference}"


def parse_reference(text: str, *, where: str) -> ImageReference:
    """Parse a host, an https URL of a host, or an image reference.

    The tag defaults to `latest`, as it does for docker.

    Args:
        text: the user's input.
        where: the option, to name in the error.

    Raises:
        UsageProblem: the text is none of these.
    """
    refuse_login(text, where)
    if not text.isascii() or not text.isprintable() or " " in text or not text:
        raise UsageProblem(
            f"{where} may hold only printable ASCII characters without spaces: {text!r}",
            fix="Type the host by hand: a character that merely looks right may have been pasted.",
        )
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "https":
        raise UsageProblem(f"{where} must be https, or have no scheme: {text!r}")
    bare = (rest if separator else text).rstrip("/")
    authority, _, path = bare.partition("/")
    if authority.startswith("["):
        raise UsageProblem(
            f"{where} begins with an IPv6 address: {text!r}", fix="Name the registry by its host name."
        )
    host, colon, port = authority.lower().partition(":")
    if colon and not (port.isdigit() and 0 < int(port) < 65536):
        # The text after the colon may be a password: do not repeat it.
        raise UsageProblem(
            f"{where} has no valid port after {host!r}", fix="A port is a number, as in HOST:5000."
        )
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.match(label) for label in labels):
        raise UsageProblem(f"{where} does not begin with a host name: {text!r}")
    _refuse_address(host, labels[-1], where)
    number = int(port) if colon else None
    # `https://HOST/v2/` is the registry's own address, not an image.
    if not path or path in ("v1", "v2"):
        return ImageReference(host, number, "", "")
    path, at, blob_digest = path.partition("@")
    path, colon, tag = path.partition(":")
    if not _PATH.match(path):
        raise UsageProblem(
            f"{where} has a path that no image can have: {text!r}",
            fix="An image is HOST/NAME:TAG, its name in lower case.",
        )
    if (at and not _DIGEST.match(blob_digest)) or (colon and not _TAG.match(tag)):
        raise UsageProblem(f"{where} has no valid tag or digest: {text!r}")
    return ImageReference(host, number, path, blob_digest or tag or "latest")


def _refuse_address(host: str, last: str, where: str) -> None:
    """Accept an IP address in plain form only, and no address of a metadata service.

    Raises:
        UsageProblem: the host is an address in another form, or a metadata service.
    """
    inside = is_metadata_host(host)
    if last.isdigit() or last.startswith(
        "0x"
    ):  # what a resolver takes for an address: 2130706433, 0x7f.1, 0177.0.0.1
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError:
            raise UsageProblem(
                f"{where}: {host!r} is not a host name or a plain IP address",
                fix="An address is four decimal numbers, as in 192.0.2.1.",
            ) from None
        inside = inside or address in ipaddress.IPv4Network("0.0.0.0/8")
    if inside:
        raise UsageProblem(
            f"{where}: {host} is where a machine or its cloud answers for itself, and no registry"
        )
