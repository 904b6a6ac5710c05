"""The server of a credential: which registry it names, its canonical spelling, and how a kubelet reads it.

Akka's services run on Kubernetes, whose kubelet finds a credential by the image's host. It compares the
server as spelled: case and port are significant, `/v1/` and `/v2/` mean the host alone, and any other path
(also `/v1` without a slash) is a path of images (kubernetes, `pkg/credentialprovider/keyring.go`,
`BasicDockerKeyring.Add`). Docker Hub's images are looked up as `index.docker.io` only (ibid., `Lookup`).
"""

from __future__ import annotations

import re

_SCHEME = re.compile("^https?://", re.IGNORECASE)
_VERSION = re.compile("/v[12]/?$")
_DOCKER_HUB = "index.docker.io"
_ALIASES = dict.fromkeys(
    ("docker.io", "www.docker.io", "hub.docker.com", "registry-1.docker.io", "registry.hub.docker.com"),
    _DOCKER_HUB,
)


def registry_of(server: str) -> str:
    """Normalise a server to host, port unless 443, and path, so that two spellings of a registry are equal.

    >>> registry_of("HTTPS://Registry.Example.com:443/v1")
    'registry.example.com'
    >>> registry_of("docker.io")
    'index.docker.io'
    """
    bare = _VERSION.sub("", _SCHEME.sub("", server.strip()).lower().rstrip("/")).rstrip("/")
    host, slash, path = bare.partition("/")
    host = host.removesuffix(":443")
    return f"{_ALIASES.get(host, host)}{slash}{path}"


def host_of(server: str) -> str:
    """The host of a server, with its port unless 443; aliases of Docker Hub are not resolved."""
    return _SCHEME.sub("", server.strip()).lower().partition("/")[0].removesuffix(":443")


def same_registry(one: str, other: str) -> bool:
    """Whether two servers name the same registry, whatever their spelling."""
    return registry_of(one) == registry_of(other)


def canonical(server: str) -> str:
    """The spelling that is registered with Akka: scheme and host in lower case, no `:443`, `/v1/` with its
    slash.

    A scheme or version is neither added nor removed: that depends on the registry's documentation.

    >>> canonical("HTTPS://Registry.Example.com:443/v1")
    'https://registry.example.com/v1/'
    >>> canonical("ACME.azurecr.io")
    'acme.azurecr.io'
    """
    scheme = _SCHEME.match(server.strip())
    rest = _SCHEME.sub("", server.strip())
    host, slash, path = rest.partition("/")
    version = _VERSION.search(f"/{path}")
    path = f"{slash}{path.rstrip('/')}/" if version else f"{slash}{path}".rstrip("/")
    return f"{scheme[0].lower() if scheme else ''}{host.lower().removesuffix(':443')}{path}"


def is_matched(server: str) -> bool:
    """Whether a kubelet finds this credential for the images of the registry that the server names."""
    rest = re.sub("^https?://", "", server)
    host, slash, path = rest.partition("/")
    if path.startswith(("v1/", "v2/")):
        path = path[3:]
    return registry_of(server) == (f"{host}{slash}{path}" if path else host)
