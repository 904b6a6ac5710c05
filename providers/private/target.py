"""The target of this provider: one registry and one user of it, parsed from the options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.image_reference import ImageReference, parse_reference
from bootstrap.model.key_ref import KeyRef, supplied_id
from bootstrap.model.secret import Secret
from bootstrap.model.server import canonical
from bootstrap.model.typed_logins import refuse_login
from bootstrap.plugin.provider import Target
from providers.private import messages
from providers.private.short_lived import refuse_host, refuse_username

_PULLKEY = "pullkey"
_VERSION = re.compile(r"^(?:v[12]/?)?$")
_LOCAL = re.compile(r"^[A-Za-z0-9_%-]+(?:[.+][A-Za-z0-9_%+-]+)*$")
_DOMAIN = re.compile(
    r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$"
)
_LOCAL_PART = 64
# RFC 5321, 4.5.3.1.1. KeyRef would move a longer name behind the @.
_LOCAL_LIMIT = _LOCAL_PART - len("+0123456789ab")
_USERNAME_LIMIT = 255


@dataclass(frozen=True)
class PrivateTarget(Target):
    """A registry, and the user that pulls from it."""

    server: str  # as Akka's record has it
    host: str  # with the port if there is one, as in an image reference
    username: str
    email: str  # "" for one that pullkey derives
    repository: str  # of the image; "" if none was named
    reference: str
    token_host: str = ""  # of another domain, to which the password may be sent; "" for none
    password: Secret | None = field(default=None, repr=False)  # None: prompted for when it is needed

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> PrivateTarget:
        """Read the options of `pullkey onboard private`, and `--image`.

        Raises:
            UsageProblem: one of them is not valid, or two of them contradict each other; or the registry
                has short-lived credentials only, or needs none.
        """
        typed, image = values.get("server") or "", _image(values.get("image") or "")
        if typed:
            server, named = _server(typed)
        elif image is not None:
            server, named = canonical(f"https://{image.registry}/v1/"), image
        else:
            raise messages.no_registry()
        if image is not None and (image.host, image.port or 443) != (named.host, named.port or 443):
            raise messages.two_registries(image.registry, named.registry)
        refuse_host(named.host)
        username = _username(values.get("username") or "")
        refuse_username(named.host, username)
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
    def of_record(
        cls, held: HeldCredential, *, image: str | None, token_host: str | None = None
    ) -> PrivateTarget:
        """Derive the target of a credential of pullkey's from Akka's record alone.

        If the e-mail has no address of the user's, its domain is the registry's host, or else the token
        service that the user has allowed. The domain is trusted as much as the server is: a user who can
        change one of them in the record can change both.

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
    def registry(self) -> str:
        return self.host

    @property
    def lock_key(self) -> str:
        return f"private {self.host} {self.username}"

    @property
    def key_supplied(self) -> bool:
        return True

    # -- names -----------------------------------------------------------------------------------------------

    @property
    def bare_host(self) -> str:
        return self.host.partition(":")[0]

    def link(self, run_id: str) -> KeyRef:
        """The reference to a password in Akka's record: the run that handed it off."""
        name, _, domain = (self.email or f"{_PULLKEY}@{self.token_host or self.bare_host}").rpartition("@")
        key_id = supplied_id(run_id)
        # A long name leaves no room for the time; KeyRef would move it behind the @.
        return KeyRef(name, key_id if len(f"{name}+{key_id}") <= _LOCAL_PART else run_id, domain)


def _server(typed: str) -> tuple[str, ImageReference]:
    """Return the server as Akka's record is to have it, and its host."""
    refuse_login(typed, "--server")
    scheme, separator, rest = typed.partition("://")
    if not separator:
        scheme, rest = "https", typed
    authority, _, path = rest.partition("/")
    if scheme.lower() == "http":
        raise messages.server_unencrypted(typed)
    if scheme.lower() != "https":
        raise messages.server_not_https(typed)
    if not _VERSION.match(path):
        raise messages.server_with_path(typed, may_be_image=not separator)
    named = parse_reference(authority, where="--server")
    whole = typed if separator else f"https://{typed}"
    return canonical(whole if path else f"{whole.rstrip('/')}/v1/"), named


def _image(typed: str) -> ImageReference | None:
    if not typed:
        return None
    image = parse_reference(typed, where="--image")
    if not image.path:
        raise messages.image_without_repository(typed)
    return image


def _token_host(typed: str) -> str:
    """Parse a host that is trusted by its name, so it must be a name: no address, no port, no path."""
    if not typed:
        return ""
    named = parse_reference(typed, where="--token-host")
    if named.path or named.port is not None or "/" in typed.removeprefix("https://"):
        raise messages.token_host_with_port_or_path()
    if not _DOMAIN.match(named.host) or named.host.rpartition(".")[2].isdigit():
        raise messages.token_host_invalid(named.host)
    return named.host


def _username(text: str) -> str:
    if not text:
        raise messages.no_username()
    if not text.isprintable() or text != text.strip() or len(text) > _USERNAME_LIMIT:
        raise messages.username_invalid(text[:_USERNAME_LIMIT])
    if ":" in text:
        # RFC 7617, section 2.
        raise messages.username_with_colon()
    return text


def _email(text: str) -> str:
    if not text:
        return ""
    local, _, domain = text.rpartition("@")
    if not _LOCAL.match(local) or not _DOMAIN.match(domain) or len(domain) > 253:
        raise messages.email_invalid(text)
    if len(local) > _LOCAL_LIMIT:
        raise messages.email_too_long(len(local), _LOCAL_LIMIT)
    return f"{local}@{domain.lower()}"
