"""Decides where the password may be sent: to the registry itself, and to the token service (the "realm") that
the registry names.

That is trusted if it is https and the same owner's, as far as names tell: the same host, or one of the same
registrable domain by the Public Suffix List (Red Hat has a registry at `registry.connect.redhat.com` and its
tokens at `sso.redhat.com`). An address or a name of one label has no owner that could be seen, so there it is
the same host only. So it is where each name below a domain is another customer's: the list's private section
has most of those domains, and `_SHARED` those that it lacks. Where an owner is known to have its tokens on
another domain, `_KNOWN` says so; where only the user knows it, they say so (`--token-host`).
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from bootstrap.http._fast_import import httpx
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.model.text import one_line

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

# Registries whose owner has its token service on another domain, or on one below which other names are
# customers'.
_KNOWN = (
    # Docker Hub: docs.docker.com, "Registry authentication".
    (re.compile(r"^(?:registry-1|index|registry)\.docker\.io$"), "auth.docker.io"),
    # Scaleway, as issue 2268 of github.com/apple/container shows it.
    (re.compile(r"^rg\.[a-z]{2}-[a-z]{3}\.scw\.cloud$"), "api.scaleway.com"),
    # Alibaba Cloud, registries that customers share and those of their own.
    (re.compile(r"^registry(?:-vpc)?\.([a-z]{2}-[a-z0-9-]+)\.aliyuncs\.com$"), r"dockerauth.\1.aliyuncs.com"),
    (
        re.compile(r"^[a-z0-9-]+-registry(?:-vpc)?\.([a-z]{2}-[a-z0-9-]+)\.cr\.aliyuncs\.com$"),
        r"dockerauth-ee.\1.aliyuncs.com",
    ),
)

# Domains below which each name is another customer's, and that the Public Suffix List (of 2026-10-23) does
# not have.
_SHARED = frozenset(
    {
        # Clouds
        "aliyuncs.com",
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
        "amazonwebservices.com.cn",
        "azmk8s.io",
        "azure.com",
        "azure.cn",
        "azure.us",
        "azurecontainerapps.io",
        "azurecontainer.io",
        "azurecr.cn",
        "azurecr.de",
        "azurecr.io",
        "azurecr.us",
        "baidubce.com",
        "civo.com",
        "cloud.ru",
        "exoscale.io",
        "gcore.cloud",
        "gcr.io",
        "googleapis.com",
        "googleusercontent.com",
        "hetzner.cloud",
        "icr.io",
        "infomaniak.cloud",
        "ionos.com",
        "kakaocloud.com",
        "myhuaweicloud.com",
        "myhuaweicloud.eu",
        "ncloudcontainerregistry.com",
        "nhncloudservice.com",
        "ntruss.com",
        "ocir.io",
        "on.aws",
        "onstackit.cloud",
        "openshiftapps.com",
        "oraclecloud.com",
        "ovh.net",
        "pkg.dev",
        "scw.cloud",
        "selcdn.ru",
        "selcloud.ru",
        "stackit.cloud",
        "t-systems.com",
        "telekomcloud.com",
        "tencentcloudcr.com",
        "tencentyun.com",
        "upcloud.host",
        "visualstudio.com",
        "volces.com",
        "vultrcr.com",
        "yandex.net",
        "cr.yandex",
        "your-server.de",
        # Registries and repositories as a service
        "artifactory.cloud",
        "buildkite.com",
        "cloudsmith.io",
        "cloudsmith.com",
        "container-registry.com",
        "fury.io",
        "gemfury.com",
        "gitea.cloud",
        "gitea.io",
        "gitlab.host",
        "goharbor.io",
        "harness.io",
        "jetbrains.space",
        "jetbrains.team",
        "jfrog.dev",
        "jfrog.io",
        "jfrogdev.org",
        "myget.org",
        "nexus.app",
        "packagecloud.io",
        "proget.cloud",
        "quay.io",
        "sonatype.app",
        # Names for development: tunnels, and addresses spelled as names
        "backname.io",
        "bore.pub",
        "devtunnels.ms",
        "getlocalhost.io",
        "github.dev",
        "gitpod.io",
        "koyeb.app",
        "lhr.life",
        "loca.lt",
        "localhost.run",
        "localtest.me",
        "localtunnel.me",
        "lvh.me",
        "nip.io",
        "playit.gg",
        "railway.app",
        "rancher.cloud",
        "run.app",
        "serveo.net",
        "sslip.io",
        "tailscale.net",
        "traefik.me",
        "vcap.me",
        "xip.io",
        "zrok.io",
    }
)

_LONGEST_NAME = 253  # RFC 1035, 2.3.4

# Common behind a proxy that ends TLS (goharbor/harbor issue 3933; moby/moby issue 38662).
_PLAINTEXT = (
    "The credential was not sent: Akka would send it unencrypted too. Have the registry's operator set its "
    "external address to https (Harbor: external_url; behind a proxy: the header X-Forwarded-Proto)."
)

# Of these each customer has one name, with registry and token service at or below it.
_ONE_NAME_EACH = ("gitlab-dedicated.com", "gitlab-dedicated.us")


def refusal_of(host: str, realm: str, token_host: str | None = None) -> PullAttempt | None:
    """Why the credential may not be sent to the token service that a registry names; None if it may.

    Args:
        host: the registry's, with its port where it has one.
        realm: the URL that it names.
        token_host: the host that the user allows besides; None where there is no way to say so.
    """
    try:
        url = httpx.URL(realm)
    except httpx.InvalidURL:
        return PullAttempt(Verdict.UNTRUSTED, f"{host} names a token service that is not a URL")
    if not (url.scheme and url.raw_host):
        return PullAttempt(Verdict.UNTRUSTED, f"{host} names a token service that is not a URL")
    if url.scheme != "https":
        return PullAttempt(
            Verdict.UNTRUSTED,
            f"{host} wants the credential sent without TLS, to {one_line(realm, 100)}",
            _PLAINTEXT,
        )
    # Not `url.host`, which is written out in Unicode.
    other = url.raw_host.decode("ascii", "replace")
    if len(other) <= _LONGEST_NAME and (
        same_owner(bare(host), other) or (token_host and other == token_host)
    ):
        return None
    named = one_line(other, 253)
    return PullAttempt(
        Verdict.UNTRUSTED,
        f"{host} wants the credential sent to another host, {named}",
        _allow(named) if token_host is not None and "." in other else "",
    )


def _allow(host: str) -> str:
    return (
        f"The credential was not sent. If {host} is known to be this registry's token service (ask its "
        f"operator, or see its documentation), allow it: --token-host {host}"
    )


def same_owner(registry: str, other: str) -> bool:
    """Whether a secret for one host may be sent to the other (both without a port).

    >>> same_owner("registry.gitlab.com", "gitlab.com")
    True
    >>> same_owner("alice.github.io", "mallory.github.io")
    False
    >>> same_owner("rg.fr-par.scw.cloud", "api.scaleway.com")
    True
    >>> same_owner("10.0.0.1", "10.0.0.2")
    False
    """
    if registry == other or any(
        found.expand(there) == other for here, there in _KNOWN if (found := here.match(registry))
    ):
        return True
    owner = _owner(registry)
    return owner is not None and owner == _owner(other)


def bare(host: str) -> str:
    """A host without its port."""
    return host.partition(":")[0]


def _owner(host: str) -> str | None:
    """The registrable domain of a name, or None where no owner can be seen in it."""
    last = host.rpartition(".")[2]
    if "." not in host or last[:1].isdigit():  # no top level domain begins with a digit, every address does
        return None
    for domain in _ONE_NAME_EACH:
        if host.endswith(f".{domain}"):
            return f"{host.removesuffix(f'.{domain}').rpartition('.')[2]}.{domain}"
    owner = _suffixes().privatesuffix(host)
    return None if owner in _SHARED else owner


@functools.cache
def _suffixes() -> PublicSuffixList:
    """The list of the installed package: nothing is fetched. Read only where two hosts differ."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
