"""The addresses of a GitLab instance: its API, its token service, and the host of its container registry.

Sources: gitlabhq/gitlabhq, doc/administration/packages/container_registry.md (the registry shares GitLab's
domain on a port of its own, or has a domain of its own; `auth.token.realm` is GitLab's URL with `/jwt/auth`,
`service` is `container_registry`), doc/user/gitlab_com/_index.md (registry.gitlab.com), and
doc/api/rest/_index.md (`/api/v4` below GitLab's URL, which may have a path: a relative URL root).
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from bootstrap.model.image_reference import parse_reference
from bootstrap.model.settings import endpoint
from providers.gitlab import messages_options

SAAS = "https://gitlab.com"
SAAS_REGISTRY = "registry.gitlab.com"
ENDPOINT = "PULLKEY_GITLAB_ENDPOINT"
_ROOT = re.compile(r"^(?:/[A-Za-z0-9._~-]+)*$")


def instance_named(text: str) -> str:
    """The URL of an instance, as it is typed for `--gitlab`: `gitlab.example.com`, `https://HOST:PORT/root`.

    >>> instance_named("GitLab.example.com/"), instance_named("https://git.example.com:8443/gitlab/")
    ('https://gitlab.example.com', 'https://git.example.com:8443/gitlab')

    Raises:
        UsageProblem: it is not a host, or a URL with https.
    """
    scheme, separator, rest = text.strip().partition("://")
    if separator and scheme.lower() != "https":
        raise messages_options.gitlab_not_https(text)
    authority, slash, root = (rest if separator else text.strip()).rstrip("/").partition("/")
    named = parse_reference(authority, where="--gitlab")
    if not _ROOT.match(f"{slash}{root}"):
        raise messages_options.gitlab_invalid(text)
    return f"https://{named.registry.removesuffix(':443')}{slash}{root}"


def host_of_instance(url: str) -> str:
    """The host of an instance, without its port."""
    return urlsplit(url).hostname or ""


def url_of_calls(instance: str) -> str:
    """Where an instance is called: as it is named, but for gitlab.com where the environment names another
    address.
    """
    named = endpoint(ENDPOINT) if instance == SAAS and os.environ.get(ENDPOINT) else None
    return named.url if named else instance
