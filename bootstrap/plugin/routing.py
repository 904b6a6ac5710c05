"""Which provider an image reference belongs to: the host decides, as it does for every puller."""

from __future__ import annotations

import re

from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.provider import Provider

_SCHEME = re.compile("^https?://", re.IGNORECASE)


def looks_like_an_image(text: str) -> bool:
    """Whether a word can name an image or a registry, rather than be a misspelt name.

    A word without any of `/ : @ .` would be an official image of Docker Hub (`nginx`), which needs no
    credential.
    """
    return any(mark in text for mark in "/:@.")


def host_of_image(text: str) -> str:
    """The host, with its port, that an image reference or the address of a registry names; "" for a short
    name.

    The rule of every puller (distribution/reference, `splitDockerDomain`): what is before the first slash is
    a host if it has a dot or a colon, or is `localhost`. Without a slash, a name with a dot is taken for a
    host.

    >>> host_of_image("Europe-docker.pkg.dev/acme-shop/app:1.0")
    'europe-docker.pkg.dev'
    >>> host_of_image("acme/app:1.0"), host_of_image("nginx:1.27"), host_of_image("localhost:5000/app")
    ('', '', 'localhost:5000')
    """
    scheme = _SCHEME.match(text)
    first, slash, _ = _SCHEME.sub("", text).partition("/")
    name = first.partition(":")[0].partition("@")[0]
    if scheme or "." in name or name.lower() == "localhost" or (slash and ":" in first):
        return first.partition("@")[0].lower()
    return ""


def providers_for(host: str) -> list[Provider]:
    """The providers that claim a host; where none does, those that take any registry."""
    bare = host.partition(":")[0]
    providers = [plugins.load(name) for name in plugins.names()]
    claimed = [one for one in providers if not one.fallback and one.claims(bare)]
    return claimed or [one for one in providers if one.fallback and bare]
