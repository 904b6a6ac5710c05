"""Google's registries by their addresses: hosts, locations, projects and repositories in image names."""

from __future__ import annotations

import re

from bootstrap.model.credential import secret_name
from bootstrap.model.image_reference import parse_reference
from providers.gcr import messages_options

# Which repository serves a Container Registry host: "Transition from Container Registry", and gcloud's own
# table (command_lib/artifacts/util.py).
_CONTAINER_REGISTRY = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
_ARTIFACT_REGISTRY = re.compile(r"^(?P<location>[a-z0-9-]+)-docker\.pkg\.dev$")
_REGIONAL = re.compile(r"^docker\.(?P<location>[a-z0-9-]+)\.rep\.pkg\.dev$")

# "Creating and managing projects": 6 to 30 characters; a domain before the colon in domain-scoped projects.
_PROJECT = re.compile(r"^(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")
# In an image: a tag would have nothing after it.
_DOMAIN_SCOPED = re.compile(
    r"^((?:https://)?[^/:]+/)([a-z0-9-]+(?:\.[a-z0-9-]+)+):(?=[a-z][a-z0-9-]{4,28}[a-z0-9]/)"
)
_REPOSITORY = re.compile(r"^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$")


def with_domain_as_folder(text: str) -> str:
    """An image of a domain-scoped project in the form of pullers: `gcr.io/example.com/project/image`.

    Google writes such a project `example.com:project` everywhere else, also in the addresses that its console
    shows.
    """
    return _DOMAIN_SCOPED.sub(r"\1\2/", text)


def is_project(text: str) -> bool:
    return bool(_PROJECT.match(text))


def is_repository(text: str) -> bool:
    return bool(_REPOSITORY.match(text.replace(".", "-")))


def repository_of(host: str) -> str:
    """The only repository of a Container Registry host; "" for a host that may have many."""
    return host if is_container_registry(host) else ""


def registry_secret_name(host: str, project: str, repository: str) -> str:
    """The Akka secret's name for a place; without the repository where the host implies it."""
    return secret_name(host, project, "" if is_container_registry(host) else repository)


def is_container_registry(host: str) -> bool:
    """Whether a host is one of the Container Registry family, which is one repository."""
    return host in _CONTAINER_REGISTRY


def is_google(host: str) -> bool:
    return _location_of(host) is not None


def options_of_image(image: str) -> dict[str, str]:
    """The options for an image reference, or for a registry's address.

    Raises:
        UsageProblem: it is not a valid reference.
    """
    named = parse_reference(with_domain_as_folder(image), where="IMAGE")
    project, repository, path = split_path(named.host, named.path)
    found = {
        "server": image,
        "gcp-project": project,
        "repository": repository if project else "",
        "image": image if path else "",
    }
    return {name: value for name, value in found.items() if value}


def place_of_image(image: str) -> str:
    """Host, project and repository of an image, in the form of pullers.

    >>> place_of_image("europe-docker.pkg.dev/acme-shop/containers/web/checkout:1.0")
    'europe-docker.pkg.dev/acme-shop/containers'
    >>> place_of_image("gcr.io/acme-shop/app")
    'gcr.io/acme-shop'

    Raises:
        UsageProblem: it is not a valid reference.
    """
    named = parse_reference(with_domain_as_folder(image), where="IMAGE")
    project, repository, _ = split_path(named.host, named.path)
    parts = (named.host, project.replace(":", "/"), "" if repository == named.host else repository)
    return "/".join(filter(None, parts))


def address_of(project: str, location: str, repository: str) -> str:
    """The address of a repository, in the form of pullers.

    >>> address_of("acme-shop", "europe-west1", "containers"), address_of("example.com:shop", "us", "gcr.io")
    ('europe-west1-docker.pkg.dev/acme-shop/containers', 'gcr.io/example.com/shop')
    """
    folder = project.replace(":", "/")
    if _CONTAINER_REGISTRY.get(repository) == location:
        return f"{repository}/{folder}"
    return f"{location}-docker.pkg.dev/{folder}/{repository}"


def _location_of(host: str) -> str | None:
    if host in _CONTAINER_REGISTRY:
        return _CONTAINER_REGISTRY[host]
    match = _ARTIFACT_REGISTRY.match(host) or _REGIONAL.match(host)
    return match["location"] if match else None


def location_of(host: str) -> str:
    """The location of a Google host's repositories.

    Raises:
        UsageProblem: it is not a Google registry.
    """
    location = _location_of(host)
    if location is None:
        raise messages_options.not_a_google_registry(host)
    return location


def split_path(host: str, path: str) -> tuple[str, str, str]:
    """Project, repository and the rest of an image's path. A Container Registry host is one repository."""
    project, _, rest = path.partition("/")
    if "." in project:  # example.com/project: a domain-scoped project
        domain, (project, _, rest) = project, rest.partition("/")
        project = f"{domain}:{project}"
    if is_container_registry(host):
        return project, host, rest
    repository, _, rest = rest.partition("/")
    return project, repository, rest
