"""Find the providers of an image reference, by its host."""

from __future__ import annotations

import re

from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.provider import Provider

_SCHEME = re.compile("^https?://", re.IGNORECASE)


def looks_like_an_image(text: str) -> bool:
    """Whether a word names an image or a registry, and is not a misspelt provider.

    A word without any of `/ : @ .` could only be an official image of Docker Hub (`nginx`), which needs no
    credential.
    """
    return any(mark in text for mark in "/:@.")


def host_of_image(text: str) -> str:
    """The host and port in an image reference or a registry's address; "" for a short name.

    The part before the first slash is a host if it has a dot or a colon, or is `localhost`
    (distribution/reference, `splitDockerDomain`). Without a slash, a name with a dot is a host.

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
    """The providers that claim a host; if none does, those that accept any registry."""
    bare = host.partition(":")[0]
    return plugins.claiming(bare) or [one for one in plugins.loaded() if one.fallback and bare]
