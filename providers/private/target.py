"""One registry and one user of it, as a person names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bootstrap.credential import secret_name
from bootstrap.errors import UsageProblem
from bootstrap.link import KeyLink
from bootstrap.provider import HeldCredential
from bootstrap.reference import ImageReference, parse_reference
from bootstrap.secret import Secret
from providers.private.unfit import refuse_host, refuse_username

_PULLKEY = "pullkey"
_VERSION = re.compile(r"^(?:v[12]/?)?$")
_EXPECTED = "Give it as https://HOST/v1/ or https://HOST:PORT/v1/."
_LOCAL = re.compile(r"^[A-Za-z0-9_%-]+(?:[.+][A-Za-z0-9_%+-]+)*$")
_DOMAIN = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$")  # fmt: skip
_LOCAL_LIMIT = 64 - len("+0123456789ab")  # RFC 5321, 4.5.3.1.1; beyond it KeyLink moves the name away
_USERNAME_LIMIT = 255


@dataclass(frozen=True)
class PrivateTarget:
    """A registry, and who pulls from it."""

    server: str  # as it is handed to Akka
    host: str  # with the port, where there is one, as a puller names it
    username: str
    email: str  # "" for one of our own making
    repository: str  # of the image; "" if none was named
    reference: str
    password: Secret | None = field(default=None, repr=False)  # None: to be asked for, when it is needed

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> PrivateTarget:
        """Read the options of `pullkey onboard private`, and `--image`.

        Raises:
            UsageProblem: one of them cannot be used, or two of them contradict each other; or the registry is one whose
                credentials do not last, or that needs none.
        """
        typed, image = values.get("server") or "", _image(values.get("image") or "")
        if typed:
            server, named = _server(typed)
        elif image is not None:
            server, named = f"https://{image.registry}/v1/", image
        else:
            raise UsageProblem("No registry is named", mend="Name it: --server https://HOST/v1/")
        if image is not None and (image.host, image.port or 443) != (named.host, named.port or 443):
            raise UsageProblem(f"--image is of {image.registry}, and --server is {named.registry}: name one registry")  # fmt: skip
        refuse_host(named.host)
        username = _username(values.get("username") or "")
        return cls(
            server=server,
            host=named.registry,
            username=username,
            email=_email(values.get("email") or ""),
            repository=image.path if image else "",
            reference=image.reference if image else "",
            password=values.get("password_stdin"),
        )

    @classmethod
    def behind(cls, held: HeldCredential, *, image: str | None) -> PrivateTarget:
        """The target of a credential of ours, by Akka's record alone.

        Raises:
            UsageProblem: as for `parse`.
        """
        link, email = held.link, ""
        if link is not None and link.name != _PULLKEY:
            email = f"{link.name}@{link.domain}"
        values = {"server": held.server, "username": held.username, "email": email, "image": image}
        return cls.parse(values)

    # -- as `bootstrap.provider.Target` ---------------------------------------------------------------------------

    @property
    def label(self) -> str:
        return self.host

    @property
    def registry(self) -> str:
        return self.host

    @property
    def secret_name(self) -> str:
        return secret_name(self.host)

    @property
    def identity(self) -> str:
        return f"private {self.host} {self.username}"

    @property
    def who(self) -> str:
        return self.identity

    @property
    def group(self) -> str:
        return f"private {self.host}"

    @property
    def key_limit(self) -> None:
        return None

    # -- names ----------------------------------------------------------------------------------------------------

    @property
    def bare_host(self) -> str:
        return self.host.partition(":")[0]

    def link(self, run_id: str) -> KeyLink:
        """What Akka shows of a password: the run that handed it off."""
        name, _, domain = (self.email or f"{_PULLKEY}@{self.bare_host}").rpartition("@")
        return KeyLink(name, run_id, domain)


def _server(typed: str) -> tuple[str, ImageReference]:
    """The server as Akka is to have it, and its host."""
    scheme, separator, rest = typed.partition("://")
    if not separator:
        scheme, rest = "https", typed
    authority, _, path = rest.partition("/")
    if "@" in authority:
        # What is before the @ may be a password, so it is not repeated.
        raise UsageProblem("--server holds a user name or password", mend="Give the name with --username, and the password with --password-stdin or when asked.")  # fmt: skip
    if scheme.lower() == "http":
        raise UsageProblem(f"--server is http, so the password would cross the network unencrypted: {typed!r}", mend="Give a registry with TLS: https://HOST/v1/.")  # fmt: skip
    if scheme.lower() != "https":
        raise UsageProblem(f"--server must be https: {typed!r}", mend=_EXPECTED)
    if not _VERSION.match(path):
        mend = "Name an image with --image." if not separator else ""
        raise UsageProblem(f"--server may end in the version of the API, /v1/ or /v2/, and in nothing else: {typed!r}", mend=f"{_EXPECTED} {mend}".rstrip())  # fmt: skip
    named = parse_reference(authority, where="--server")
    whole = typed if separator else f"https://{typed}"
    return (whole if path else f"{whole.rstrip('/')}/v1/"), named


def _image(typed: str) -> ImageReference | None:
    if not typed:
        return None
    image = parse_reference(typed, where="--image")
    if not image.path:
        raise UsageProblem(f"--image names no image: {typed!r}")
    return image


def _username(text: str) -> str:
    if not text:
        raise UsageProblem("No user name is given", mend="Give it: --username NAME")
    if not text.isprintable() or text != text.strip() or len(text) > _USERNAME_LIMIT:
        raise UsageProblem(f"--username: {text[:_USERNAME_LIMIT]!r} is no user name", mend="Type it anew, without spaces around it.")  # fmt: skip
    if ":" in text:
        # RFC 7617, section 2.
        raise UsageProblem("--username holds a colon, which no registry can read: name and password are sent joined by one", mend="Give the password apart, with --password-stdin or when asked.")  # fmt: skip
    refuse_username(text)
    return text


def _email(text: str) -> str:
    if not text:
        return ""
    local, _, domain = text.rpartition("@")
    if not _LOCAL.match(local) or not _DOMAIN.match(domain) or len(domain) > 253:
        raise UsageProblem(f"--email: {text!r} is no e-mail address", mend="It is NAME@DOMAIN.")
    if len(local) > _LOCAL_LIMIT:
        raise UsageProblem(f"--email: the part before the @ has {len(local)} characters; with {_LOCAL_LIMIT} there is room for the run's id", mend="Give a shorter one, or leave --email out.")  # fmt: skip
    return f"{local}@{domain.lower()}"
