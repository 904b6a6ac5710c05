"""One registry and one user of it, as a person names them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.credential import secret_name
from bootstrap.model.errors import UsageProblem
from bootstrap.model.image_reference import ImageReference, parse_reference
from bootstrap.model.key_ref import KeyRef, supplied_id
from bootstrap.model.secret import Secret
from bootstrap.model.server import canonical
from bootstrap.model.typed_logins import refuse_login
from providers.private.short_lived import refuse_host, refuse_username

_PULLKEY = "pullkey"
_VERSION = re.compile(r"^(?:v[12]/?)?$")
_EXPECTED = "Write it as https://HOST/v1/ or https://HOST:PORT/v1/."
_LOCAL = re.compile(r"^[A-Za-z0-9_%-]+(?:[.+][A-Za-z0-9_%+-]+)*$")
_DOMAIN = re.compile(
    r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$"
)
_LOCAL_PART = 64
_LOCAL_LIMIT = _LOCAL_PART - len(
    "+0123456789ab"
)  # RFC 5321, 4.5.3.1.1; beyond it KeyLink moves the name away
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
    token_host: str = ""  # a host of another domain that may be given the password; "" for none
    password: Secret | None = field(default=None, repr=False)  # None: to be asked for, when it is needed

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> PrivateTarget:
        """Read the options of `pullkey onboard private`, and `--image`.

        Raises:
            UsageProblem: one of them cannot be used, or two of them contradict each other; or the registry is
                one whose credentials do not last, or that needs none.
        """
        typed, image = values.get("server") or "", _image(values.get("image") or "")
        if typed:
            server, named = _server(typed)
        elif image is not None:
            server, named = canonical(f"https://{image.registry}/v1/"), image
        else:
            raise UsageProblem(
                "No registry is named", fix="Name it: --server https://HOST/v1/", code=Code.MISSING_VALUE
            )
        if image is not None and (image.host, image.port or 443) != (named.host, named.port or 443):
            raise UsageProblem(
                f"--image is of {image.registry}, and --server is {named.registry}: name one registry",
                code=Code.OPTIONS_CONFLICT,
            )
        refuse_host(named.host)
        username = _username(values.get("username") or "")
        return cls(
            server=server,
            host=named.registry.removesuffix(":443"),
            username=username,
            email=_email(values.get("email") or ""),
            repository=image.path if image else "",
            reference=image.reference if image else "",
            token_host=_token_host(values.get("token_host") or ""),
            password=values.get("password_stdin"),
        )

    @classmethod
    def behind(
        cls, held: HeldCredential, *, image: str | None, token_host: str | None = None
    ) -> PrivateTarget:
        """The target of a credential of ours, by Akka's record alone.

        Of an e-mail without an address of the user's, the domain is the registry's host, or else the token
        service's that the user has allowed. Whoever can change the record can change the server in it too, so
        it is trusted as much.

        Raises:
            UsageProblem: as for `parse`.
        """
        link, email = held.link, ""
        if link is not None and link.name != _PULLKEY:
            email = f"{link.name}@{link.domain}"
        values = {
            "server": held.server,
            "username": held.username,
            "email": email,
            "image": image,
            "token_host": token_host,
        }
        found = cls.parse(values)
        if link is not None and not email and not token_host and link.domain != found.bare_host:
            return replace(found, token_host=_token_host(link.domain))
        return found

    # -- as `bootstrap.plugin.provider.Target` ---------------------------------------------------------------

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
    def lock_key(self) -> str:
        return f"private {self.host} {self.username}"

    @property
    def shared_identity_key(self) -> str:
        return self.lock_key

    @property
    def quota_group(self) -> str:
        return f"private {self.host}"

    @property
    def lifetime(self) -> dt.timedelta | None:
        return None

    @property
    def key_limit(self) -> None:
        return None

    # -- names -----------------------------------------------------------------------------------------------

    @property
    def bare_host(self) -> str:
        return self.host.partition(":")[0]

    def link(self, run_id: str) -> KeyRef:
        """What Akka shows of a password: the run that handed it off."""
        name, _, domain = (self.email or f"{_PULLKEY}@{self.token_host or self.bare_host}").rpartition("@")
        key_id = supplied_id(run_id)
        # A long name of the user's leaves no room for the moment; KeyLink would move it away.
        return KeyRef(name, key_id if len(f"{name}+{key_id}") <= _LOCAL_PART else run_id, domain)


def _server(typed: str) -> tuple[str, ImageReference]:
    """The server as Akka is to have it, and its host."""
    refuse_login(typed, "--server")
    scheme, separator, rest = typed.partition("://")
    if not separator:
        scheme, rest = "https", typed
    authority, _, path = rest.partition("/")
    if scheme.lower() == "http":
        raise UsageProblem(
            f"--server is http, so the password would cross the network unencrypted: {typed!r}",
            fix="Pass a registry with TLS: https://HOST/v1/.",
        )
    if scheme.lower() != "https":
        raise UsageProblem(f"--server must be https: {typed!r}", fix=_EXPECTED)
    if not _VERSION.match(path):
        fix = "Name an image with --image." if not separator else ""
        raise UsageProblem(
            f"--server may end in the version of the API, /v1/ or /v2/, and in nothing else: {typed!r}",
            fix=f"{_EXPECTED} {fix}".rstrip(),
        )
    named = parse_reference(authority, where="--server")
    whole = typed if separator else f"https://{typed}"
    return canonical(whole if path else f"{whole.rstrip('/')}/v1/"), named


def _image(typed: str) -> ImageReference | None:
    if not typed:
        return None
    image = parse_reference(typed, where="--image")
    if not image.path:
        raise UsageProblem(f"--image names no image: {typed!r}")
    return image


def _token_host(typed: str) -> str:
    """A host that is trusted by its name, so it is one: no address, no port, no path."""
    if not typed:
        return ""
    named = parse_reference(typed, where="--token-host")
    if named.path or named.port is not None or "/" in typed.removeprefix("https://"):
        raise UsageProblem(
            "--token-host names more than a host",
            fix="Pass the host alone, as in tokens.example.com; its token service is reached with https.",
        )
    if not _DOMAIN.match(named.host) or named.host.rpartition(".")[2].isdigit():
        raise UsageProblem(
            f"--token-host: {named.host!r} is not a host name", fix="Write it as in tokens.example.com."
        )
    return named.host


def _username(text: str) -> str:
    if not text:
        raise UsageProblem(
            "No user name was supplied", fix="Give it: --username NAME", code=Code.MISSING_VALUE
        )
    if not text.isprintable() or text != text.strip() or len(text) > _USERNAME_LIMIT:
        raise UsageProblem(
            f"--username: {text[:_USERNAME_LIMIT]!r} is not a valid user name",
            fix="Type it again, without spaces around it.",
        )
    if ":" in text:
        # RFC 7617, section 2.
        raise UsageProblem(
            "--username holds a colon, which no registry can read: name and password are sent joined by one",
            fix="Pass the password apart, with --password-stdin or when asked.",
        )
    refuse_username(text)
    return text


def _email(text: str) -> str:
    if not text:
        return ""
    local, _, domain = text.rpartition("@")
    if not _LOCAL.match(local) or not _DOMAIN.match(domain) or len(domain) > 253:
        raise UsageProblem(f"--email: {text!r} is not a valid e-mail address", fix="It is NAME@DOMAIN.")
    if len(local) > _LOCAL_LIMIT:
        raise UsageProblem(
            f"--email: the part before the @ has {len(local)} characters; with {_LOCAL_LIMIT} there "
            "is room for the run's id",
            fix="Set a shorter one, or leave --email out.",
        )
    return f"{local}@{domain.lower()}"
