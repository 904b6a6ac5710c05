"""The server of a credential: which registry it names, its one spelling for Akka, and what a kubelet makes of
it.

Akka's services run on Kubernetes, whose kubelet looks a credential up by the image's host. It takes the
server as it is spelled: case and port count, `/v1/` and `/v2/` stand for the host alone, and any other path
(`/v1` without its slash too) is a path of images (kubernetes, `pkg/credentialprovider/keyring.go`,
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
    """The registry that a server names, however it is spelled: its host, its port if that is not 443, its
    path.

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
    """The host in a server, with its port if that is not 443; an alias of Docker Hub's stays as it is."""
    return _SCHEME.sub("", server.strip()).lower().partition("/")[0].removesuffix(":443")


def same_registry(one: str, other: str) -> bool:
    """Whether two servers name one registry, in whatever spelling."""
    return registry_of(one) == registry_of(other)


def canonical(server: str) -> str:
    """The spelling that is handed to Akka: https in lower case, the host in lower case, no `:443`, `/v1/`
    with its slash.

    Whether there is a scheme and a version is left as it is: what is documented of a registry decides.

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
    """Whether a kubelet finds the credential for an image of the registry that the server names."""
    rest = re.sub("^https?://", "", server)
    host, slash, path = rest.partition("/")
    if path.startswith(("v1/", "v2/")):
        path = path[3:]
    return registry_of(server) == (f"{host}{slash}{path}" if path else host)
